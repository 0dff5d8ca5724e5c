//! A live projection that has fallen behind: how fast it folds what it missed.

use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Deserialize;

use crate::client::Connection;
use crate::consumer;
use crate::measured::{Measured, RateRow, RecordCpu};
use crate::server::Server;
use crate::stage::{ALL_BUT_ACCOUNTS, ALL_PROJECTIONS, PARTITIONS, Stage};
use crate::steps;

const ACCOUNTS: u64 = 50_000;

#[derive(Deserialize)]
struct Projections {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    name: String,
    partitions: Vec<Lane>,
}

#[derive(Deserialize)]
struct Lane {
    next: u64,
}

pub(crate) async fn measure(stage: &Stage, measured: &mut Measured) -> anyhow::Result<()> {
    eprintln!("catch-up: falling behind");
    let topic = stage.topic("catch-up");
    let service = stage.service(&topic, PARTITIONS, ALL_BUT_ACCOUNTS)?;
    stage.fill(&service, ACCOUNTS, 0).await?;
    stage.seconds_behind(&service).await?;
    service.stop()?;
    let paused = stage.service(&topic, PARTITIONS, ALL_PROJECTIONS)?;
    stage.fill_further(&paused, ACCOUNTS, stage.records).await?;
    paused.stop()?;
    let floor = consumer::rate(&stage.kafka, &topic, PARTITIONS)?;
    eprintln!("catch-up: catching up");
    let service = stage.service(&topic, PARTITIONS, ALL_BUT_ACCOUNTS)?;
    let (rate, cpu) = catch_up(stage, &service).await?;
    measured.rates.push(RateRow {
        name: "`accounts` catching up, live",
        records: stage.records,
        floor_per_second: vec![floor],
        service_per_second: vec![rate],
        ratio: rate / floor,
        goal: Some(0.25),
        cpu_micros: vec![cpu],
    });
    service.stop()
}

/// Looks until nothing more is folded: every partition has a claim and a record to wait for.
async fn catch_up(stage: &Stage, service: &Server) -> anyhow::Result<(f64, RecordCpu)> {
    let mut connection = Connection::open(service.address).await?;
    let (began, cpu) = (Instant::now(), stage.cpu(service));
    let first = folded(&mut connection).await?;
    let (mut last, mut last_at) = (first, began);
    let mut spent = stage.cpu(service).since(&cpu);
    while last_at.elapsed() < Duration::from_secs(2) {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let now = folded(&mut connection).await?;
        if now > last {
            (last, last_at) = (now, Instant::now());
            spent = stage.cpu(service).since(&cpu);
        }
    }
    let records = (last - first) as f64;
    let each = |spent: Duration| spent.as_secs_f64() * 1e6 / records;
    let cpu = RecordCpu {
        service: each(spent.server),
        kafka: each(spent.kafka),
        redis: each(spent.redis),
    };
    Ok((records / (last_at - began).as_secs_f64(), cpu))
}

/// How many records are in the views.
async fn folded(connection: &mut Connection) -> anyhow::Result<u64> {
    let answer = connection.exchange(&steps::get("/projections")).await?;
    let projections: Projections = serde_json::from_slice(answer.body)?;
    let mut items = projections.items.into_iter();
    let accounts = items.find(|item| item.name == "accounts").context("no `accounts`")?;
    Ok(accounts.partitions.iter().map(|lane| lane.next).sum())
}
