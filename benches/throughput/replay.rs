//! A replay beside the raw reading of its topic, and queries beside a replay that takes its time.

use std::time::Duration;

use anyhow::{Context, bail};
use retell::Time;
use serde::Deserialize;

use crate::client::Connection;
use crate::consumer;
use crate::load::{self, Sample};
use crate::measured::{Fact, Measured, RateRow, RecordCpu, median, middle};
use crate::server::Server;
use crate::stage::{ALL_BUT_ACCOUNTS, PARTITIONS, Stage};
use crate::steps::{self, Request};

/// Records of each account.
const RECORDS_PER_ACCOUNT: u64 = 20;
/// Records a second of the replay that takes its time, and queries a second beside it.
const LIMITED_PER_SECOND: u32 = 20_000;
const QUERIES_PER_SECOND: u32 = 2_000;
const QUERIES_CONNECTIONS: usize = 64;

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
    disturb(stage, &service, accounts, measured).await?;
    service.stop()
}

/// What a replay with a limit does to queries that come at a steady rate.
async fn disturb(
    stage: &Stage,
    service: &Server,
    accounts: u64,
    measured: &mut Measured,
) -> anyhow::Result<()> {
    eprintln!("replay: queries beside it");
    let queries = || {
        let step =
            Request { status: 200, write: move |_, random| steps::view(random % accounts, "") };
        load::measure_paced(stage, service, QUERIES_CONNECTIONS, QUERIES_PER_SECOND, step)
    };
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..stage.rounds {
        stage.quiet(&[service]).await?;
        alone.push(queries().await?);
        let mut connection = Connection::open(service.address).await?;
        let limited =
            format!(r#"{{"projection":"accounts","records_per_second":{LIMITED_PER_SECOND}}}"#);
        let started = start(&mut connection, &limited).await?;
        beside.push(queries().await?);
        let path = format!("/admin/replays/{}", started.id);
        let status: Status =
            serde_json::from_slice(connection.exchange(&steps::get(&path)).await?.body)?;
        anyhow::ensure!(status.state == "running", "it was over before the queries were");
        connection.exchange(&steps::delete(&path)).await?;
    }
    let p99 = |samples: &[Sample]| middle(samples, |sample| sample.p99_micros as f64 / 1_000.0);
    let (alone, beside) = (p99(&alone), p99(&beside));
    measured.facts.push(Fact {
        what: format!(
            "p99 of {QUERIES_PER_SECOND} queries/s beside a replay of {LIMITED_PER_SECOND} \
             records/s, and alone"
        ),
        figure: format!("{beside:.2} and {alone:.2} ms: {:.2} times", beside / alone),
        goal: "at most 2 times".to_owned(),
    });
    Ok(())
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
