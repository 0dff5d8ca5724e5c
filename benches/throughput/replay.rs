//! A replay beside the raw reading of its topic.

use std::time::Duration;

use anyhow::{Context, bail};
use retell::Time;
use serde::Deserialize;

use crate::client::Connection;
use crate::consumer;
use crate::measured::{Measured, RateRow, RecordCpu, median};
use crate::server::Server;
use crate::stage::{ALL_BUT_ACCOUNTS, PARTITIONS, Stage};
use crate::steps;

/// Records of each account.
const RECORDS_PER_ACCOUNT: u64 = 20;

/// What the service says of a replay.
#[derive(Debug, Deserialize)]
struct Status {
    id: String,
    state: String,
    records: u64,
    started_at: Time,
    ended_at: Option<Time>,
}

pub(crate) async fn measure(stage: &Stage, measured: &mut Measured) -> anyhow::Result<()> {
    eprintln!("replay: filling the topic");
    let topic = stage.topic("replay");
    let service = stage.service(&topic, PARTITIONS, ALL_BUT_ACCOUNTS)?;
    let accounts = stage.records / RECORDS_PER_ACCOUNT;
    stage.fill(&service, accounts, stage.records - accounts).await?;
    stage.seconds_behind(&service).await?;
    let (mut floor, mut rates, mut cpu_micros) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=stage.rounds {
        eprintln!("replay: {round} of {}", stage.rounds);
        stage.quiet(&[&service]).await?;
        let raw = consumer::rate(&stage.kafka, &topic, PARTITIONS)?;
        let before = stage.cpu(&service);
        let (records, rate) = replay(&service).await?;
        let spent = stage.cpu(&service).since(&before);
        if round == 0 {
            continue; // a warm-up
        }
        floor.push(raw);
        rates.push(rate);
        let each = |spent: Duration| spent.as_secs_f64() * 1e6 / records as f64;
        cpu_micros.push(RecordCpu {
            service: each(spent.server),
            kafka: each(spent.kafka),
            redis: each(spent.redis),
        });
    }
    let ratio = median(rates.iter().zip(&floor).map(|(rate, floor)| rate / floor));
    measured.rates.push(RateRow {
        name: "replay of `accounts`",
        records: stage.records,
        floor_per_second: floor,
        service_per_second: rates,
        ratio,
        goal: Some(0.5),
        cpu_micros,
    });
    service.stop()
}

async fn start(connection: &mut Connection, json: &str) -> anyhow::Result<Status> {
    let request = steps::post("/admin/replays", json);
    Ok(serde_json::from_slice(connection.exchange(&request).await?.body)?)
}

/// Replays once; returns records and records a second, from the request to the flip.
async fn replay(service: &Server) -> anyhow::Result<(u64, f64)> {
    let mut connection = Connection::open(service.address).await?;
    let started = start(&mut connection, r#"{"projection":"accounts"}"#).await?;
    let look = steps::get(&format!("/admin/replays/{}", started.id));
    loop {
        let status: Status = serde_json::from_slice(connection.exchange(&look).await?.body)?;
        match status.state.as_str() {
            "running" => tokio::time::sleep(Duration::from_millis(20)).await,
            "done" => {
                let ended_at = status.ended_at.context("it is done")?;
                let millis = ended_at.millis() - status.started_at.millis();
                return Ok((status.records, status.records as f64 * 1_000.0 / millis as f64));
            }
            other => bail!("a replay is {other}"),
        }
    }
}
