//! The sections of the settings, as code sees them.
//!
//! Every key stands, with its unit and meaning, in `config/default.toml`; a field that has no key
//! there, or a key that has no field here, fails a test.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::Deserialize;

use super::auth::{RateConfig, TlsConfig};
use super::url::{LogUrl, ViewsUrl};

/// `[http]`
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
    /// How often the clients tell of themselves; zero: never.
    #[serde(rename = "statistics_interval_ms", deserialize_with = "millis")]
    pub statistics_interval: Duration,
    /// Memory of a reader's queue, in KiB.
    pub queue_kib_max: u32,
    /// Properties passed to librdkafka.
    pub properties: BTreeMap<String, String>,
}

/// `[views]`
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
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct NodeConfig {
    /// The node's name.
    pub id: String,
    /// Where other nodes reach it.
    pub address: String,
}

/// `[write]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct WriteConfig {
    /// Commands that may wait for one writer.
    pub queue_len_max: usize,
    /// Records of one partition in flight.
    pub in_flight_max: usize,
    /// Aggregates held in memory.
    pub cached_aggregates_max: usize,
    /// How long a change waits before it is stored.
    #[serde(rename = "commit_interval_ms", deserialize_with = "millis")]
    pub commit_interval: Duration,
    /// Keys whose outcome can be found.
    pub kept_keys_max: usize,
    /// Keys that are held as they are before they are sealed.
    pub exact_keys_max: usize,
    /// How long states of another schema are kept.
    #[serde(rename = "keep_states_ms", deserialize_with = "millis")]
    pub keep_states: Duration,
    /// How long a decision may take.
    #[serde(rename = "decide_timeout_ms", deserialize_with = "millis")]
    pub decide_timeout: Duration,
    /// How long a record may be unsettled.
    #[serde(rename = "settle_timeout_ms", deserialize_with = "millis")]
    pub settle_timeout: Duration,
    /// How often a command is decided.
    pub attempts_max: u32,
    /// How often an idle writer looks at the log's end.
    #[serde(rename = "idle_check_interval_ms", deserialize_with = "millis")]
    pub idle_check_interval: Duration,
}

/// `[read]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ReadConfig {
    /// Threads that fold views and speak to the view store; 0: half of the processors.
    pub threads: usize,
    /// Records folded at once.
    pub chunk_records_max: usize,
    /// Bytes folded at once.
    pub chunk_bytes_max: usize,
    /// Views held in memory, per projection and partition.
    pub cached_views_max: usize,
    /// Bytes of stored views that are kept for queries, per projection and partition.
    pub kept_bytes_max: usize,
    /// Aggregates held back, per projection and partition.
    pub parked_aggregates_max: usize,
    /// How often a partition's views are committed at most, while records keep coming.
    #[serde(rename = "commit_interval_ms", deserialize_with = "millis")]
    pub commit_interval: Duration,
    /// How often Kafka is told how far projections are; 0: never.
    #[serde(rename = "group_offsets_interval_ms", deserialize_with = "millis")]
    pub group_offsets_interval: Duration,
    /// Projections that are not folded here.
    pub paused: Vec<String>,
}

/// `[policies]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PoliciesConfig {
    /// Commands under way, per policy and partition.
    pub in_flight_max: usize,
    /// Commands that follow from one event.
    pub commands_per_event_max: usize,
    /// How long the first retry of a sequence waits.
    #[serde(rename = "retry_delay_ms", deserialize_with = "millis")]
    pub retry_delay: Duration,
    /// The longest that a retry waits.
    #[serde(rename = "retry_delay_max_ms", deserialize_with = "millis")]
    pub retry_delay_max: Duration,
    /// Retries before a sequence is left to a person.
    pub retries_max: u32,
    /// Aggregates held back, per policy and partition.
    pub parked_aggregates_max: usize,
    /// How often it is noted beside the log how far a policy has come.
    #[serde(rename = "bookmark_interval_ms", deserialize_with = "millis")]
    pub bookmark_interval: Duration,
}

/// `[timer]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TimerConfig {
    /// Whether there are ticks on this node.
    pub enabled: bool,
    /// From one to the next.
    #[serde(rename = "interval_ms", deserialize_with = "millis")]
    pub interval: Duration,
    /// What is said at each.
    pub text: String,
}

/// `[queries]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct QueriesConfig {
    /// How long a query waits for its position.
    #[serde(rename = "wait_default_ms", deserialize_with = "millis")]
    pub wait_default: Duration,
    /// The longest that it may ask for.
    #[serde(rename = "wait_max_ms", deserialize_with = "millis")]
    pub wait_max: Duration,
    /// The most views of a page.
    pub page_items_max: usize,
    /// Bytes of views after which a page ends.
    pub page_bytes_max: usize,
}

/// `[history]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct HistoryConfig {
    /// How often the history is written at most, while records keep coming.
    #[serde(rename = "commit_interval_ms", deserialize_with = "millis")]
    pub commit_interval: Duration,
    /// Items of a page.
    pub page_len_max: usize,
    /// Bytes of a page's records.
    pub page_bytes_max: usize,
    /// Records read for a page of the log.
    pub scan_records_max: usize,
    /// Events folded for one state.
    pub fold_events_max: u64,
    /// Readers of the log at once.
    pub readers_max: usize,
    /// How long a trace is kept.
    #[serde(rename = "trace_keep_ms", deserialize_with = "millis")]
    pub trace_keep: Duration,
    /// Records of a trace.
    pub trace_records_max: usize,
}

/// `[streams]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StreamsConfig {
    /// Event streams at once.
    pub streams_max: usize,
    /// How long a stream rests after it has told what changed.
    #[serde(rename = "rest_interval_ms", deserialize_with = "millis")]
    pub rest_interval: Duration,
    /// Records read to go on, in a partition.
    pub resume_records_max: u64,
    /// Views that changed meanwhile, in a partition.
    pub resume_keys_max: usize,
}

/// `[replay]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ReplayConfig {
    /// Memory for views not yet written, in bytes.
    pub memory_bytes_max: usize,
    /// How long the previous generation is kept.
    #[serde(rename = "keep_previous_ms", deserialize_with = "millis")]
    pub keep_previous: Duration,
    /// How long a node that builds may give no sign of life.
    #[serde(rename = "takeover_timeout_ms", deserialize_with = "millis")]
    pub takeover_timeout: Duration,
    /// Keys removed at once when a generation is dropped.
    pub drop_keys_max: usize,
}

/// `[verify]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct VerifyConfig {
    /// The rest between two samples; zero: none are taken.
    #[serde(rename = "sample_interval_ms", deserialize_with = "millis")]
    pub sample_interval: Duration,
    /// How much of all views is in a sample.
    pub sample_percent: u32,
    /// The most records that a sample reads in a second.
    pub sample_records_per_second_max: NonZeroU32,
}

/// `[telemetry]`
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
