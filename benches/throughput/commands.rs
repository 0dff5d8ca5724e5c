//! Durable commands: spread over accounts, all on one account, and with their views.
//!
//! Two services are up: one folds nothing, one folds `accounts`. Turns go round: floor, spread,
//! hot, floor, projected, floor, … so that each turn has a floor right before and after it.

use crate::load::{self, Sample};
use crate::measured::{LoadRow, Measured, SingleRow};
use crate::server::Server;
use crate::stage::{ALL_BUT_ACCOUNTS, ALL_PROJECTIONS, PARTITIONS, Stage};
use crate::steps::{self, ReadYourWrite, Request};

const ACCOUNTS: u64 = 1_000;

const PAUSED: &str = "durable commands, projections paused";
const PROJECTED: &str = "durable commands, `accounts` projected";
const HOT: &str = "one hot account, projections paused";

struct Servers {
    floor: Server,
    paused: Server,
    projected: Server,
}

/// The turns with one number of connections.
#[derive(Default)]
struct Turns {
    floor: Vec<Sample>,
    spread: Vec<Sample>,
    hot: Vec<Sample>,
    projected: Vec<Sample>,
    behind_seconds: f64,
}

pub(crate) async fn measure(stage: &Stage, measured: &mut Measured) -> anyhow::Result<()> {
    let paused_topic = stage.topic("paused");
    let paused = stage.service(&paused_topic, PARTITIONS, ALL_PROJECTIONS)?;
    let projected = stage.service(&stage.topic("projected"), PARTITIONS, ALL_BUT_ACCOUNTS)?;
    stage.fill(&paused, ACCOUNTS, ACCOUNTS).await?;
    stage.fill(&projected, ACCOUNTS, ACCOUNTS).await?;
    let floor = stage.floor("commands", &paused_topic).await?;
    let servers = Servers { floor, paused, projected };
    warm_up(stage, &servers).await?;
    for &connections in &stage.connections {
        let turns = turns(stage, &servers, connections).await?;
        measured.loads.extend(rows(connections, turns));
    }
    singles(stage, &servers, measured).await?;
    for server in [servers.floor, servers.paused, servers.projected] {
        server.stop()?;
    }
    Ok(())
}

/// Kafka's Java needs some seconds of load before it is as fast as it will be.
async fn warm_up(stage: &Stage, servers: &Servers) -> anyhow::Result<()> {
    eprintln!("commands: warming up");
    for _ in 0..3 {
        load::measure(stage, &servers.floor, 64, appended()).await?;
        load::measure(stage, &servers.paused, 64, deposited()).await?;
        load::measure(stage, &servers.projected, 64, deposited()).await?;
    }
    Ok(())
}

async fn turns(stage: &Stage, servers: &Servers, connections: usize) -> anyhow::Result<Turns> {
    eprintln!("commands: {connections} connections");
    let Servers { floor, paused, projected } = servers;
    let mut turns = Turns::default();
    turns.floor.push(load::measure(stage, floor, connections, appended()).await?);
    for _ in 0..stage.rounds {
        turns.spread.push(load::measure(stage, paused, connections, deposited()).await?);
        turns.hot.push(load::measure(stage, paused, connections, deposited_on_one()).await?);
        turns.projected.push(load::measure(stage, projected, connections, deposited()).await?);
        let behind = stage.seconds_behind(projected).await?;
        turns.behind_seconds = turns.behind_seconds.max(behind);
        stage.quiet(&[projected]).await?;
        turns.floor.push(load::measure(stage, floor, connections, appended()).await?);
    }
    Ok(turns)
}

fn rows(connections: usize, turns: Turns) -> [LoadRow; 3] {
    let Turns { floor, spread, hot, projected, behind_seconds } = turns;
    let goal = |at: usize, goal: f64| (at == connections).then_some(goal);
    let mut projected =
        LoadRow::new(PROJECTED, connections, floor.clone(), projected, goal(64, 0.6));
    projected.behind_seconds = Some(behind_seconds);
    [
        LoadRow::new(PAUSED, connections, floor.clone(), spread, goal(64, 0.8)),
        projected,
        LoadRow::new(HOT, connections, floor, hot, goal(64, 0.6)),
    ]
}

/// Answers that have no floor: they append nothing, or wait for a view.
async fn singles(stage: &Stage, servers: &Servers, measured: &mut Measured) -> anyhow::Result<()> {
    eprintln!("commands: refusals, reading one's writes");
    for connections in [1, 64] {
        let write = |_, random| steps::overdraw(random % ACCOUNTS);
        let refused = Request { status: 422, write };
        let sample = load::measure(stage, &servers.paused, connections, refused).await?;
        measured.singles.push(SingleRow { name: "refused commands", connections, sample });
        let step = ReadYourWrite { accounts: ACCOUNTS };
        let sample = load::measure(stage, &servers.projected, connections, step).await?;
        let name = "a command, then its view as of its position";
        measured.singles.push(SingleRow { name, connections, sample });
    }
    Ok(())
}

fn appended() -> Request<impl Fn(u64, u64) -> Vec<u8>> {
    let body = r#"{"type":"DepositMoney","amount":1}"#;
    Request { status: 200, write: move |_, _| steps::post("/append", body) }
}

fn deposited() -> Request<impl Fn(u64, u64) -> Vec<u8>> {
    Request { status: 200, write: |_, random| steps::deposit(random % ACCOUNTS) }
}

fn deposited_on_one() -> Request<impl Fn(u64, u64) -> Vec<u8>> {
    Request { status: 200, write: |_, _| steps::deposit(0) }
}
