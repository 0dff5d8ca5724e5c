//! Views by key, beside a bare GET of the same bytes.

use anyhow::{Context, ensure};
use redis::AsyncCommands;

use crate::client::Connection;
use crate::load;
use crate::measured::{Fact, LoadRow, Measured, middle};
use crate::server::Server;
use crate::stage::{ALL_BUT_ACCOUNTS, PARTITIONS, Stage};
use crate::steps::{self, ReadYourWrite, Request};

const ACCOUNTS: u64 = 1_000;
const COMMANDS_PER_SECOND: u32 = 1_000;

pub(crate) async fn measure(stage: &Stage, measured: &mut Measured) -> anyhow::Result<()> {
    let topic = stage.topic("queries");
    let service = stage.service(&topic, PARTITIONS, ALL_BUT_ACCOUNTS)?;
    stage.fill(&service, ACCOUNTS, ACCOUNTS).await?;
    stage.seconds_behind(&service).await?;
    let floor = stage.floor("queries", &topic).await?;
    copy_views(stage, &service, &topic).await?;
    let both = Both { service, floor, topic };
    turns(stage, &both, "views by key", 0.85, measured).await?;
    read_ones_writes(stage, &both.service, measured).await?;
    both.service.stop()?;
    let kept = [("RETELL_READ__KEPT_BYTES_MAX", "4194304")];
    let service = stage.service_with(&both.topic, PARTITIONS, ALL_BUT_ACCOUNTS, &kept)?;
    stage.seconds_behind(&service).await?;
    let both = Both { service, ..both };
    turns(stage, &both, "views by key, kept in memory", 1.0, measured).await?;
    both.service.stop()?;
    both.floor.stop()
}

struct Both {
    service: Server,
    floor: Server,
    topic: String,
}

async fn turns(
    stage: &Stage,
    Both { service, floor, topic }: &Both,
    name: &'static str,
    goal: f64,
    measured: &mut Measured,
) -> anyhow::Result<()> {
    let floor_step = || {
        let topic = topic.clone();
        let write = move |_, random| steps::get(&format!("/get/{topic}.{}", random % ACCOUNTS));
        Request { status: 200, write }
    };
    let step = || Request { status: 200, write: |_, random| steps::view(random % ACCOUNTS, "") };
    load::measure(stage, floor, 64, floor_step()).await?;
    load::measure(stage, service, 64, step()).await?;
    for &connections in &stage.connections {
        eprintln!("{name}: {connections} connections");
        let mut turns = Vec::new();
        let mut floors = vec![load::measure(stage, floor, connections, floor_step()).await?];
        for _ in 0..stage.rounds {
            turns.push(load::measure(stage, service, connections, step()).await?);
            floors.push(load::measure(stage, floor, connections, floor_step()).await?);
        }
        let goal = (connections == 64).then_some(goal);
        measured.loads.push(LoadRow::new(name, connections, floors, turns, goal));
    }
    Ok(())
}

/// How long after its answer a command is in its view, while commands come at a steady rate.
async fn read_ones_writes(
    stage: &Stage,
    service: &Server,
    measured: &mut Measured,
) -> anyhow::Result<()> {
    eprintln!("queries: reading one's writes");
    let mut samples = Vec::new();
    for _ in 0..stage.rounds {
        let step = ReadYourWrite { accounts: ACCOUNTS, only_read: true };
        samples.push(load::measure_paced(stage, service, 64, COMMANDS_PER_SECOND, step).await?);
    }
    let millis = |figure: fn(&load::Sample) -> u64| {
        middle(&samples, |sample| figure(sample) as f64 / 1_000.0)
    };
    let (p50, p99) = (millis(|it| it.p50_micros), millis(|it| it.p99_micros));
    let failed: u64 = samples.iter().map(|sample| sample.failed).sum();
    measured.facts.push(Fact {
        what: format!("from a command's answer to its view, {COMMANDS_PER_SECOND} commands/s"),
        figure: format!("p50 {p50:.2} ms, p99 {p99:.2} ms, {failed} failed"),
        goal: "p50 2 ms, p99 20 ms".to_owned(),
    });
    Ok(())
}

/// Puts the views under keys that the bare handler can ask for.
async fn copy_views(stage: &Stage, service: &Server, topic: &str) -> anyhow::Result<()> {
    let client = redis::Client::open(stage.redis.as_str())?;
    let mut redis = client.get_multiplexed_async_connection().await?;
    let mut connection = Connection::open(service.address).await?;
    for account in 0..ACCOUNTS {
        let answer = connection.exchange(&steps::view(account, "")).await?;
        ensure!(answer.status == 200, "there is no view of account {account}");
        let set = redis.set(format!("{topic}.{account}"), answer.body);
        let () = set.await.context("copying a view")?;
    }
    Ok(())
}
