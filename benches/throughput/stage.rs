//! What all sections share: the servers, their processes, and how long things take.
//!
//! Every section has a topic of its own, and with it a namespace: none meets what another left.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use retell::adapters::SystemClock;
use retell::app::open_log;
use retell::config::Config;
use retell::ports::Ids;

use crate::client::Connection;
use crate::cpu::{self, Cpu};
use crate::server::Server;
use crate::{load, steps};

/// Connections that fill a topic.
const FILLING_CONNECTIONS: usize = 256;
/// What counts as quiet: so much of a processor, for so long.
const QUIET: f64 = 0.04;
const QUIET_FOR: Duration = Duration::from_millis(500);
const QUIET_WITHIN: Duration = Duration::from_secs(60);

/// Partitions of every log here, unless a section says otherwise.
pub(crate) const PARTITIONS: u32 = 4;
/// All projections that the service ships.
pub(crate) const ALL_PROJECTIONS: &str = "accounts,account-totals,messages,history,traces";
pub(crate) const ALL_BUT_ACCOUNTS: &str = "account-totals,messages,history,traces";
/// Those of the domains but `accounts`: Retell's own stay, which every service has unless it says
/// otherwise.
pub(crate) const ALL_BUT_ACCOUNTS_AND_OWN: &str = "account-totals,messages";

pub(crate) struct Stage {
    pub(crate) seconds: Duration,
    pub(crate) rounds: usize,
    pub(crate) connections: Vec<usize>,
    pub(crate) records: u64,
    pub(crate) large_records: u64,
    pub(crate) views: u64,
    pub(crate) keys: u64,
    pub(crate) kafka: String,
    pub(crate) redis: String,
    kafka_pid: Option<u32>,
    redis_pid: Option<u32>,
    run: String,
}

impl Stage {
    pub(crate) fn new(
        seconds: Duration,
        rounds: usize,
        connections: Vec<usize>,
        records: u64,
        large_records: u64,
        views: u64,
        keys: u64,
    ) -> anyhow::Result<Self> {
        let kafka = std::env::var("RETELL_TEST_KAFKA")
            .context("RETELL_TEST_KAFKA is not set; `make bench` starts servers and sets it")?;
        let redis = Self::redis_url()?;
        let port = |address: &str| {
            let digits = address.rsplit(':').next()?.split('/').next()?;
            cpu::listening_on(digits.parse().ok()?)
        };
        let (kafka_pid, redis_pid) = (port(&kafka), port(&redis));
        let run = Ids::new(Arc::new(SystemClock)).next().simple().to_string();
        Ok(Self {
            seconds,
            rounds,
            connections,
            records,
            large_records,
            views,
            keys,
            kafka,
            redis,
            kafka_pid,
            redis_pid,
            run,
        })
    }

    pub(crate) fn redis_url() -> anyhow::Result<String> {
        std::env::var("RETELL_TEST_REDIS").context("RETELL_TEST_REDIS is not set")
    }

    /// A topic that no other section uses.
    pub(crate) fn topic(&self, section: &str) -> String {
        format!("bench.{}.{section}", &self.run[..12])
    }

    /// Starts the service on a topic.
    pub(crate) fn service(
        &self,
        topic: &str,
        partitions: u32,
        paused: &str,
    ) -> anyhow::Result<Server> {
        self.service_with(topic, partitions, paused, &[])
    }

    /// Starts the service on a topic, with these settings besides.
    pub(crate) fn service_with(
        &self,
        topic: &str,
        partitions: u32,
        paused: &str,
        more: &[(&str, &str)],
    ) -> anyhow::Result<Server> {
        let log = format!("kafka://{}/{topic}", self.kafka);
        let partitions = partitions.to_string();
        let settings = [
            ("RETELL_HTTP__LISTEN", "127.0.0.1:0"),
            ("RETELL_LOG__URL", &log),
            ("RETELL_LOG__PARTITIONS", &partitions),
            ("RETELL_VIEWS__URL", &self.redis),
            ("RETELL_READ__PAUSED", paused),
            ("RETELL_TELEMETRY__FILTER", "warn"),
        ];
        Server::service(&[&settings, more].concat())
    }

    /// Starts the bare handlers; what they append is like a deposit in the topic `like`.
    pub(crate) async fn floor(&self, section: &str, like: &str) -> anyhow::Result<Server> {
        let topic = self.topic(&format!("{section}.floor"));
        let mut config = Config::defaults();
        config.log.url = format!("kafka://{}/{topic}", self.kafka).parse()?;
        config.log.partitions = PARTITIONS;
        open_log(&config.log, Arc::new(SystemClock)).await?.check().await?;
        let partitions = PARTITIONS.to_string();
        let mut args = vec!["--kafka", &self.kafka, "--redis", &self.redis];
        args.extend(["--topic", &topic, "--partitions", &partitions, "--like", like]);
        Server::floor(&args)
    }

    /// Opens accounts and puts money into each.
    pub(crate) async fn fill(
        &self,
        service: &Server,
        accounts: u64,
        deposits: u64,
    ) -> anyhow::Result<()> {
        let opening = steps::Request { status: 200, write: |number, _| steps::open(number) };
        load::all(service.address, FILLING_CONNECTIONS, accounts, opening).await?;
        self.fill_further(service, accounts, deposits).await
    }

    /// Puts money into accounts, in turn.
    pub(crate) async fn fill_further(
        &self,
        service: &Server,
        accounts: u64,
        deposits: u64,
    ) -> anyhow::Result<()> {
        let write = move |number, _| steps::deposit(number % accounts);
        let depositing = steps::Request { status: 200, write };
        load::all(service.address, FILLING_CONNECTIONS, deposits, depositing).await
    }

    /// Seconds until a query as of the last command is answered in every partition.
    pub(crate) async fn seconds_behind(&self, service: &Server) -> anyhow::Result<f64> {
        let began = Instant::now();
        let mut connection = Connection::open(service.address).await?;
        let mut queries = std::collections::BTreeMap::new();
        // Enough accounts that each partition has one.
        for account in 0..u64::from(8 * PARTITIONS) {
            let done = connection.exchange(&steps::deposit(account)).await?;
            let position = done.header("retell-position").context("a deposit failed")?;
            let position = std::str::from_utf8(position)?.to_owned();
            let partition = position.split('@').next().unwrap_or_default().to_owned();
            queries.insert(partition, steps::view(account, &position));
        }
        for query in queries.values() {
            let answer = connection.exchange(query).await?;
            if answer.status != 200 {
                bail!("views are behind: {}", String::from_utf8_lossy(answer.body));
            }
        }
        Ok(began.elapsed().as_secs_f64())
    }

    /// Waits until what the last turn left is done.
    pub(crate) async fn quiet(&self, servers: &[&Server]) -> anyhow::Result<()> {
        let began = Instant::now();
        let spent = || servers.iter().map(|server| self.cpu(server).of_servers()).sum::<Duration>();
        loop {
            let before = spent();
            tokio::time::sleep(QUIET_FOR).await;
            if (spent() - before).as_secs_f64() < QUIET * QUIET_FOR.as_secs_f64() {
                return Ok(());
            }
            if began.elapsed() > QUIET_WITHIN {
                eprintln!("  the servers do not become quiet");
                return Ok(());
            }
        }
    }

    /// Processor time spent so far.
    pub(crate) fn cpu(&self, server: &Server) -> Cpu {
        let of = |pid: Option<u32>| pid.map(cpu::of_process).unwrap_or_default();
        Cpu {
            server: of(Some(server.pid())),
            client: of(Some(std::process::id())),
            kafka: of(self.kafka_pid),
            redis: of(self.redis_pid),
            machine: cpu::of_machine(),
        }
    }
}
