//! What being watched costs: the service with authentication, metrics and traces beside the one
//! without, in turn.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Deserialize;
use tokio::task::JoinHandle;

use crate::client::Connection;
use crate::load;
use crate::measured::{Fact, Measured, median};
use crate::server::Server;
use crate::stage::{ALL_BUT_ACCOUNTS, PARTITIONS, Stage};
use crate::steps::{self, Request};

const ACCOUNTS: u64 = 1_000;
const CONNECTIONS: usize = 64;
const GOAL: f64 = 0.9;
/// How often Prometheus asks, and more often than it does.
const SCRAPE_INTERVAL: Duration = Duration::from_secs(1);

/// A key, and its line in the file of keys.
#[derive(Deserialize)]
struct Key {
    key: String,
    line: String,
}

/// Both services.
struct Both {
    plain: Server,
    watched: Server,
    /// The header that the watched one asks for.
    key: String,
}

pub(crate) async fn measure(stage: &Stage, measured: &mut Measured) -> anyhow::Result<()> {
    eprintln!("watched: authentication, metrics and traces");
    let like = stage.topic("unwatched");
    let plain = [("RETELL_TELEMETRY__METRICS_ENABLED", "false"), STATISTICS_RARE];
    let plain = stage.service_with(&like, PARTITIONS, ALL_BUT_ACCOUNTS, &plain)?;
    stage.fill(&plain, ACCOUNTS, ACCOUNTS).await?;
    // It takes traces, and measures nothing here.
    let collector = stage.floor("watched", &like).await?;
    let folder = tempfile::tempdir()?;
    let (keys_file, Key { key, line }) = (folder.path().join("keys"), make_key()?);
    fs::write(&keys_file, line + "\n")?;
    let traces_url = format!("http://{}/v1/traces", collector.address);
    let settings = [
        ("RETELL_AUTH__KEYS_FILE", keys_file.to_str().context("a strange folder")?),
        ("RETELL_TELEMETRY__TRACES_URL", &traces_url),
        ("RETELL_TELEMETRY__TRACES_PERCENT", "1"),
    ];
    let topic = stage.topic("watched");
    let watched = stage.service_with(&topic, PARTITIONS, ALL_BUT_ACCOUNTS, &settings)?;
    let both = Both { plain, watched, key };
    for account in 0..ACCOUNTS {
        let opening = both.with_key(steps::open(account));
        let mut connection = Connection::open(both.watched.address).await?;
        let answer = connection.exchange(&opening).await?;
        ensure!(answer.status == 200, "{}", String::from_utf8_lossy(answer.body));
    }
    let scraping = both.scrape();
    turns(stage, &both, "durable commands", steps::deposit, measured).await?;
    turns(stage, &both, "views by key", |account| steps::view(account, ""), measured).await?;
    scraping.abort();
    for server in [both.plain, both.watched, collector] {
        server.stop()?;
    }
    Ok(())
}

const STATISTICS_RARE: (&str, &str) = ("RETELL_LOG__KAFKA__STATISTICS_INTERVAL_MS", "60000");

/// As a person makes one.
fn make_key() -> anyhow::Result<Key> {
    let mut retell = Command::new(env!("CARGO_BIN_EXE_retell"));
    let made = retell
        .args(["key", "new", "bench", "--role", "read", "--role", "write", "--json"])
        .output()?;
    serde_json::from_slice(&made.stdout).context("`retell key new` printed no key")
}

async fn turns(
    stage: &Stage,
    both: &Both,
    name: &str,
    request: fn(u64) -> Vec<u8>,
    measured: &mut Measured,
) -> anyhow::Result<()> {
    let plain = async || {
        let step = Request { status: 200, write: move |_, random| request(random % ACCOUNTS) };
        anyhow::Ok(load::measure(stage, &both.plain, CONNECTIONS, step).await?.per_second)
    };
    let mut befores = vec![plain().await?];
    let mut turns = Vec::new();
    for _ in 0..(2 * stage.rounds) {
        let key = both.key.clone();
        let write = move |_, random| with_key(&key, request(random % ACCOUNTS));
        let watched = Request { status: 200, write };
        let sample = load::measure(stage, &both.watched, CONNECTIONS, watched).await?;
        ensure!(sample.failed == 0, "{} requests failed", sample.failed);
        turns.push(sample.per_second);
        befores.push(plain().await?);
    }
    let around = befores.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0);
    let ratio = median(turns.iter().zip(around).map(|(watched, plain)| watched / plain));
    measured.facts.push(Fact {
        what: format!(
            "{name} of {CONNECTIONS} connections with an API key, metrics read each second and \
             1 % traced, beside a service with nothing of it; a second"
        ),
        figure: format!(
            "{:.0} beside {:.0}: {ratio:.2} times",
            median(turns.into_iter()),
            median(befores.into_iter())
        ),
        goal: format!("{GOAL:.2} times"),
    });
    Ok(())
}

impl Both {
    fn with_key(&self, request: Vec<u8>) -> Vec<u8> {
        with_key(&self.key, request)
    }

    /// Reads the metrics again and again.
    fn scrape(&self) -> JoinHandle<anyhow::Result<()>> {
        let (address, request) = (self.watched.address, self.with_key(steps::get("/metrics")));
        tokio::spawn(async move {
            let mut connection = Connection::open(address).await?;
            loop {
                let answer = connection.exchange(&request).await?;
                ensure!(answer.status == 200, "/metrics: {}", answer.status);
                tokio::time::sleep(SCRAPE_INTERVAL).await;
            }
        })
    }
}

/// Puts a header into a request, before the end of its head.
fn with_key(key: &str, mut request: Vec<u8>) -> Vec<u8> {
    let first_line = request.windows(2).position(|window| window == b"\r\n").unwrap_or_default();
    let header = format!("\r\nAuthorization: Bearer {key}").into_bytes();
    request.splice(first_line..first_line, header);
    request
}
