//! Views by key, beside a bare GET of the same bytes.

use anyhow::{Context, ensure};
use redis::AsyncCommands;

use crate::client::Connection;
use crate::load;
use crate::measured::{LoadRow, Measured};
use crate::server::Server;
use crate::stage::{ALL_BUT_ACCOUNTS, PARTITIONS, Stage};
use crate::steps::{self, Request};

const ACCOUNTS: u64 = 1_000;

pub(crate) async fn measure(stage: &Stage, measured: &mut Measured) -> anyhow::Result<()> {
    let topic = stage.topic("queries");
    let service = stage.service(&topic, PARTITIONS, ALL_BUT_ACCOUNTS)?;
    stage.fill(&service, ACCOUNTS, ACCOUNTS).await?;
    stage.seconds_behind(&service).await?;
    let floor = stage.floor("queries", &topic).await?;
    copy_views(stage, &service, &topic).await?;
    let floor_step = || {
        let topic = topic.clone();
        let write = move |_, random| steps::get(&format!("/get/{topic}.{}", random % ACCOUNTS));
        Request { status: 200, write }
    };
    let step = || Request { status: 200, write: |_, random| steps::view(random % ACCOUNTS, "") };
    load::measure(stage, &floor, 64, floor_step()).await?;
    load::measure(stage, &service, 64, step()).await?;
    for &connections in &stage.connections {
        eprintln!("queries: {connections} connections");
        let mut turns = Vec::new();
        let mut floors = vec![load::measure(stage, &floor, connections, floor_step()).await?];
        for _ in 0..stage.rounds {
            turns.push(load::measure(stage, &service, connections, step()).await?);
            floors.push(load::measure(stage, &floor, connections, floor_step()).await?);
        }
        let goal = (connections == 64).then_some(0.85);
        measured.loads.push(LoadRow::new("views by key", connections, floors, turns, goal));
    }
    service.stop()?;
    floor.stop()
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
