//! The sections of the settings, as code sees them: those of what a process has to do with. What
//! goes on inside has its own in `loops.rs`.
//!
//! Every key stands, with its unit and meaning, in `config/default.toml`; a field that has no key
//! there, or a key that has no field here, fails a test.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;

use super::auth::{RateConfig, TlsConfig};
use super::url::{LogUrl, ViewsUrl};

/// `[http]`
///
/// ```
/// use retell::config::Config;
///
/// let flags = [("http.base_path".to_owned(), "/retell".to_owned())];
/// let http = Config::load(None, std::env::vars(), &flags)?.http;
/// assert_eq!((&*http.base_path, http.listen.port()), ("/retell", 8080));
/// assert_eq!(http.request_timeout.as_secs(), 10);
/// # Ok::<(), retell::config::Problems>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct HttpConfig {
    /// Threads that serve requests and decide commands; 0: half of the processors.
    pub threads: usize,
    /// Where the service listens.
    pub listen: SocketAddr,
    /// Put before every route.
    pub base_path: String,
    /// The longest body, in bytes.
    pub body_bytes_max: usize,
    /// Answers to the lines of a batch that its client has not read.
    pub batch_unread_len_max: usize,
    /// How long a request may take.
    #[serde(rename = "request_timeout_ms", deserialize_with = "millis")]
    pub request_timeout: Duration,
    /// How long a connection may be without a request.
    #[serde(rename = "idle_timeout_ms", deserialize_with = "millis")]
    pub idle_timeout: Duration,
    /// How long requests may go on after a signal to stop.
    #[serde(rename = "drain_timeout_ms", deserialize_with = "millis")]
    pub drain_timeout: Duration,
    /// Connections at once.
    pub connections_max: usize,
    /// How often one caller may ask.
    pub rate: RateConfig,
    /// The listener's certificate.
    pub tls: TlsConfig,
}

/// `[log]`
///
/// ```
/// use retell::config::{Config, LogUrl};
///
/// let log = Config::ephemeral().log;
/// assert_eq!((log.url, log.partitions), (LogUrl::Memory, 8));
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LogConfig {
    /// Which log.
    pub url: LogUrl,
    /// Partitions of a new log.
    pub partitions: u32,
    /// The longest record, in bytes.
    pub record_bytes_max: usize,
    /// What only Kafka has.
    pub kafka: KafkaConfig,
}

/// `[log.kafka]`
///
/// ```
/// use retell::config::Config;
///
/// let property = "log.kafka.properties.sasl.password".to_owned();
/// let kafka = Config::load(None, std::env::vars(), &[(property, "s3cret".to_owned())])?.log.kafka;
/// assert_eq!(kafka.properties["sasl.password"], "s3cret");
/// assert!(!format!("{kafka:?}").contains("s3cret"));
/// # Ok::<(), retell::config::Problems>(())
/// ```
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct KafkaConfig {
    /// Replicas of a new topic, and the least of an existing one.
    pub replication_factor: u32,
    /// In-sync replicas that an append needs.
    pub min_insync_replicas: u32,
    /// How long the producer tries to deliver.
    #[serde(rename = "message_timeout_ms", deserialize_with = "millis")]
    pub message_timeout: Duration,
    /// How long one request may take.
    #[serde(rename = "socket_timeout_ms", deserialize_with = "millis")]
    pub socket_timeout: Duration,
    /// How often the clients tell of themselves, and are looked at whether they know a broker.
    #[serde(rename = "statistics_interval_ms", deserialize_with = "millis")]
    pub statistics_interval: Duration,
    /// Memory of a reader's queue, in KiB.
    pub queue_kib_max: u32,
    /// Properties passed to librdkafka.
    pub properties: BTreeMap<String, String>,
}

/// `[views]`
///
/// ```
/// use retell::config::Config;
///
/// let flags = [("views.url".to_owned(), "redis://localhost:6379/0".to_owned())];
/// let views = Config::load(None, std::env::vars(), &flags)?.views;
/// assert_eq!(views.url.to_string(), "redis://localhost:6379/0");
/// assert_eq!(views.namespace, ""); // then it is the topic's name
/// # Ok::<(), retell::config::Problems>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ViewsConfig {
    /// Which store.
    pub url: ViewsUrl,
    /// The first part of every key.
    pub namespace: String,
    /// How often the store's settings are looked at.
    #[serde(rename = "check_interval_ms", deserialize_with = "millis")]
    pub check_interval: Duration,
    /// What only Redis has.
    pub redis: RedisConfig,
}

/// `[views.redis]`
///
/// ```
/// use retell::config::Config;
///
/// let redis = Config::defaults().views.redis;
/// assert_eq!((redis.connections, redis.commit_keys_max), (4, 500));
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RedisConfig {
    /// Connections.
    pub connections: u32,
    /// How long to wait for a connection.
    #[serde(rename = "connect_timeout_ms", deserialize_with = "millis")]
    pub connect_timeout: Duration,
    /// How long to wait for an answer.
    #[serde(rename = "response_timeout_ms", deserialize_with = "millis")]
    pub response_timeout: Duration,
    /// The authority that Redis' certificate is of; empty: those of the machine.
    pub ca_file: String,
    /// Keys that one script may touch.
    pub commit_keys_max: usize,
}

/// `[node]`
///
/// ```
/// use retell::config::Config;
///
/// let variable = ("RETELL_NODE__ID".to_owned(), "n1".to_owned());
/// let node = Config::load(None, [variable].into_iter(), &[])?.node;
/// assert_eq!((&*node.id, &*node.address), ("n1", "")); // it is reached where it listens
/// # Ok::<(), retell::config::Problems>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct NodeConfig {
    /// The node's name.
    pub id: String,
    /// Where other nodes reach it.
    pub address: String,
}

/// `[telemetry]`
///
/// ```
/// use retell::config::{Config, LogFormat};
///
/// let flags = [("telemetry.format".to_owned(), "json".to_owned())];
/// let telemetry = Config::load(None, std::env::vars(), &flags)?.telemetry;
/// assert_eq!(telemetry.format, LogFormat::Json);
/// assert!(telemetry.metrics_enabled && telemetry.traces_url.is_empty());
/// # Ok::<(), retell::config::Problems>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TelemetryConfig {
    /// What is logged.
    pub filter: String,
    /// How.
    pub format: LogFormat,
    /// Whether numbers are served at `/metrics`.
    pub metrics_enabled: bool,
    /// Where traces go: a URL of OTLP over HTTP; empty: nowhere.
    pub traces_url: String,
    /// How many of the requests that nobody else traces are traced.
    pub traces_percent: u32,
}

/// How log lines look.
///
/// ```
/// use retell::config::{Config, LogFormat};
///
/// assert_eq!(Config::defaults().telemetry.format, LogFormat::Text);
/// let flags = [("telemetry.format".to_owned(), "xml".to_owned())];
/// let problems = Config::load(None, std::env::vars(), &flags).expect_err("no format");
/// assert!(problems.to_string().contains("expected `text` or `json`"));
/// ```
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl std::fmt::Debug for KafkaConfig {
    /// Without the properties: they may hold passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaConfig")
            .field("replication_factor", &self.replication_factor)
            .field("min_insync_replicas", &self.min_insync_replicas)
            .field("message_timeout", &self.message_timeout)
            .field("properties", &self.properties.keys())
            .finish_non_exhaustive()
    }
}

pub(super) fn millis<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_millis)
}
