//! Durable commands: spread over accounts, all on one account, and with their views.
//!
//! Three services are up: one folds nothing, one folds `accounts`, and one `history` and `traces`
//! too. Turns go round: floor, spread, hot, projected, all projected, floor, the same with an
//! Idempotency-Key on every command, floor, … so that each turn is near a floor.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::load::{self, Sample};
use crate::measured::{LoadRow, Measured, SingleRow};
use crate::server::Server;
use crate::stage::{
    ALL_BUT_ACCOUNTS, ALL_BUT_ACCOUNTS_AND_OWN, ALL_PROJECTIONS, PARTITIONS, Stage,
};
use crate::steps::{self, ReadYourWrite, Request};

const ACCOUNTS: u64 = 1_000;

const PAUSED: &str = "durable commands, projections paused";
const PROJECTED: &str = "durable commands, `accounts` projected";
const HOT: &str = "one hot account, projections paused";
const OWN: &str = "durable commands, `accounts`, `history` and `traces` projected";
const KEYED: &str = "durable commands with keys, projections paused";
const KEYED_PROJECTED: &str = "durable commands with keys, `accounts` projected";
const KEYED_OWN: &str = "durable commands with keys, `accounts`, `history` and `traces` projected";
const KEYED_HOT: &str = "one hot account with keys, projections paused";

/// Counts turns, so that no two give a command the same key.
static TURNS: AtomicU64 = AtomicU64::new(0);

struct Servers {
    floor: Server,
    paused: Server,
    projected: Server,
    own: Server,
}

/// The turns with one number of connections.
#[derive(Default)]
struct Turns {
    plain: Kinds,
    keyed: Kinds,
}

/// Turns with the same kind of request.
#[derive(Default)]
struct Kinds {
    /// Before and after each turn.
    floor: Vec<[Sample; 2]>,
    spread: Vec<Sample>,
    hot: Vec<Sample>,
    projected: Vec<Sample>,
    own: Vec<Sample>,
    behind_seconds: [f64; 2],
}

pub(crate) async fn measure(stage: &Stage, measured: &mut Measured) -> anyhow::Result<()> {
    let paused_topic = stage.topic("paused");
    let paused = stage.service(&paused_topic, PARTITIONS, ALL_PROJECTIONS)?;
    let projected = stage.service(&stage.topic("projected"), PARTITIONS, ALL_BUT_ACCOUNTS)?;
    stage.fill(&paused, ACCOUNTS, ACCOUNTS).await?;
    stage.fill(&projected, ACCOUNTS, ACCOUNTS).await?;
    let own = stage.service(&stage.topic("own"), PARTITIONS, ALL_BUT_ACCOUNTS_AND_OWN)?;
    stage.fill(&own, ACCOUNTS, ACCOUNTS).await?;
    let floor = stage.floor("commands", &paused_topic).await?;
    let servers = Servers { floor, paused, projected, own };
    warm_up(stage, &servers).await?;
    for &connections in &stage.connections {
        let turns = turns(stage, &servers, connections).await?;
        measured.loads.extend(rows(connections, turns));
    }
    singles(stage, &servers, measured).await?;
    for server in [servers.floor, servers.paused, servers.projected, servers.own] {
        server.stop()?;
    }
    Ok(())
}

/// Kafka's Java needs some seconds of load before it is as fast as it will be.
async fn warm_up(stage: &Stage, servers: &Servers) -> anyhow::Result<()> {
    eprintln!("commands: warming up");
    let spread = |random| random % ACCOUNTS;
    for _ in 0..3 {
        load::measure(stage, &servers.floor, 64, appended()).await?;
        load::measure(stage, &servers.paused, 64, deposited(Sent::Keyed, spread)).await?;
        load::measure(stage, &servers.projected, 64, deposited(Sent::Keyed, spread)).await?;
    }
    Ok(())
}

async fn turns(stage: &Stage, servers: &Servers, connections: usize) -> anyhow::Result<Turns> {
    eprintln!("commands: {connections} connections");
    let floor = || load::measure(stage, &servers.floor, connections, appended());
    let mut turns = Turns::default();
    let mut before = floor().await?;
    for _ in 0..stage.rounds {
        turns.plain.take(stage, servers, connections, Sent::Plain).await?;
        let between = floor().await?;
        turns.plain.floor.push([before, between]);
        turns.keyed.take(stage, servers, connections, Sent::Keyed).await?;
        before = floor().await?;
        turns.keyed.floor.push([between, before]);
    }
    Ok(turns)
}

/// Whether commands come with a key.
#[derive(Clone, Copy)]
enum Sent {
    Plain,
    Keyed,
}

impl Kinds {
    async fn take(
        &mut self,
        stage: &Stage,
        servers: &Servers,
        connections: usize,
        sent: Sent,
    ) -> anyhow::Result<()> {
        let Servers { paused, projected, own, .. } = servers;
        let spread = |random| random % ACCOUNTS;
        let measure = |server, step| load::measure(stage, server, connections, step);
        self.spread.push(measure(paused, deposited(sent, spread)).await?);
        self.hot.push(load::measure(stage, paused, connections, deposited(sent, |_| 0)).await?);
        self.projected.push(measure(projected, deposited(sent, spread)).await?);
        let behind = stage.seconds_behind(projected).await?;
        self.behind_seconds[0] = self.behind_seconds[0].max(behind);
        stage.quiet(&[projected]).await?;
        self.own.push(measure(own, deposited(sent, spread)).await?);
        let behind = stage.seconds_behind(own).await?;
        self.behind_seconds[1] = self.behind_seconds[1].max(behind);
        stage.quiet(&[own]).await
    }

    fn rows(
        self,
        names: [&'static str; 4],
        connections: usize,
        goals: [Option<f64>; 4],
    ) -> [LoadRow; 4] {
        let floor = self.floor;
        let row = |at: usize, samples| {
            LoadRow::between(names[at], connections, &floor, samples, goals[at])
        };
        let (mut projected, mut own) = (row(1, self.projected), row(2, self.own));
        projected.behind_seconds = Some(self.behind_seconds[0]);
        own.behind_seconds = Some(self.behind_seconds[1]);
        [row(0, self.spread), projected, own, row(3, self.hot)]
    }
}

fn rows(connections: usize, turns: Turns) -> Vec<LoadRow> {
    let Turns { plain, keyed } = turns;
    let at = |is: bool, [paused, projected, hot]: [f64; 3]| {
        [Some(paused), Some(projected), None, Some(hot)].map(|goal| goal.filter(|_| is))
    };
    let plain_goals = at(connections == 64, [0.8, 0.6, 0.6]);
    // The hot account is held against the spread load, which has its own goal.
    let keyed_goals = at(matches!(connections, 64 | 256), [1.0, 0.75, 0.9]);
    let plain = plain.rows([PAUSED, PROJECTED, OWN, HOT], connections, plain_goals);
    let names = [KEYED, KEYED_PROJECTED, KEYED_OWN, KEYED_HOT];
    let keyed = keyed.rows(names, connections, keyed_goals);
    plain.into_iter().chain(keyed).collect()
}

/// Answers that have no floor: they append nothing, or wait for a view.
async fn singles(stage: &Stage, servers: &Servers, measured: &mut Measured) -> anyhow::Result<()> {
    eprintln!("commands: refusals, reading one's writes");
    for connections in [1, 64] {
        let write = |_, random| steps::overdraw(random % ACCOUNTS);
        let refused = Request { status: 422, write };
        let sample = load::measure(stage, &servers.paused, connections, refused).await?;
        measured.singles.push(SingleRow { name: "refused commands", connections, sample });
        let step = ReadYourWrite { accounts: ACCOUNTS, only_read: false };
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

fn deposited(sent: Sent, account: impl Fn(u64) -> u64) -> Request<impl Fn(u64, u64) -> Vec<u8>> {
    let turn = TURNS.fetch_add(1, Ordering::Relaxed);
    let write = move |number, random| match sent {
        Sent::Plain => steps::deposit(account(random)),
        Sent::Keyed => steps::deposit_with_key(account(random), turn, number),
    };
    Request { status: 200, write }
}
