//! A tenth of a day's Idempotency-Keys at 1,000 commands a second, in two halves: what each costs
//! in memory and at a start, and so what ten times as many do.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::batch;
use crate::cpu;
use crate::measured::{Fact, Measured};
use crate::server::Server;
use crate::stage::{ALL_PROJECTIONS, PARTITIONS, Stage};

const DAY: u64 = 86_400_000;
const BATCHES: u64 = 4;
/// As many segments as a day has hours, each so much shorter.
const SEGMENTS: u64 = 24;
/// How long a service may take to seal what it has.
const SEALED_WITHIN: Duration = Duration::from_secs(120);

/// What a number of keys costs.
struct Cost {
    memory_mib: f64,
    redis_mib: f64,
    start_seconds: f64,
}

pub(crate) async fn measure(stage: &Stage, measured: &mut Measured) -> anyhow::Result<()> {
    eprintln!("keys: {} in two halves", stage.keys);
    let topic = stage.topic("keys");
    let exact_max = stage.keys / SEGMENTS;
    let exact_text = exact_max.to_string();
    let settings = [("RETELL_WRITE__EXACT_KEYS_MAX", exact_text.as_str())];
    let start = || {
        let began = Instant::now();
        let service = stage.service_with(&topic, PARTITIONS, ALL_PROJECTIONS, &settings)?;
        anyhow::Ok((service, began.elapsed().as_secs_f64()))
    };
    let (mut service, start_seconds) = start()?;
    batch::send(service.address, 1, 1_000, batch::open).await?;
    let mut costs = vec![look(stage, &service, start_seconds)?];
    let lines = stage.keys / 2 / BATCHES;
    for line in [batch::deposit_with_key as fn(u64, &mut String), batch::deposit_with_other_key] {
        let sent = batch::send(service.address, BATCHES, lines, line).await?;
        ensure!(sent.undone == 0, "{} deposits with keys were not done", sent.undone);
        sealed(&service, exact_max).await?;
        service.kill()?;
        let (again, start_seconds) = start()?;
        service = again;
        costs.push(look(stage, &service, start_seconds)?);
    }
    service.stop()?;
    let [none, half, all] = &costs[..] else { anyhow::bail!("three costs") };
    let day =
        |of: fn(&Cost) -> f64| of(none) + (of(all) - of(none)) * DAY as f64 / stage.keys as f64;
    let mut add = |what: &str, unit: &str, goal: &str, of: fn(&Cost) -> f64| {
        measured.facts.push(Fact {
            what: format!("{what} without keys, with {}, with {}", stage.keys / 2, stage.keys),
            figure: format!(
                "{:.2}, {:.2}, {:.2} {unit}; by that {:.2} {unit} with a day's at 1,000/s",
                of(none),
                of(half),
                of(all),
                day(of)
            ),
            goal: goal.to_owned(),
        });
    };
    add("a start after kill -9", "s", "at most 2 s more", |cost| cost.start_seconds);
    add("memory of the service after that", "MiB", "", |cost| cost.memory_mib);
    add("memory of Redis", "MiB", "", |cost| cost.redis_mib);
    Ok(())
}

fn look(stage: &Stage, service: &Server, start_seconds: f64) -> anyhow::Result<Cost> {
    Ok(Cost {
        memory_mib: cpu::memory_max_mib(service.pid()) as f64,
        redis_mib: redis_mib(&stage.redis)?,
        start_seconds,
    })
}

/// Waits until no more keys are held as they are than one segment of each partition may have, and
/// everything is stored.
async fn sealed(service: &Server, exact_max: u64) -> anyhow::Result<()> {
    let began = Instant::now();
    let url = format!("http://{}/admin/status", service.address);
    loop {
        let status: serde_json::Value = reqwest::get(&url).await?.json().await?;
        let partitions = status["partitions"].as_array().context("partitions")?;
        let is_sealed = partitions.iter().all(|partition| {
            let exact = partition["exact_outcomes"].as_u64().unwrap_or(u64::MAX);
            exact <= exact_max / u64::from(PARTITIONS) && partition["behind"] == 0
        });
        if is_sealed {
            return Ok(());
        }
        ensure!(began.elapsed() < SEALED_WITHIN, "keys are not sealed: {status}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn redis_mib(url: &str) -> anyhow::Result<f64> {
    let mut connection = redis::Client::open(url)?.get_connection()?;
    let info: String = redis::cmd("INFO").arg("memory").query(&mut connection)?;
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    let bytes: f64 = used.context("used_memory")?.trim().parse()?;
    Ok(bytes / f64::from(1 << 20))
}
