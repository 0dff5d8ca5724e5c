//! The sections of what goes on inside: `[write]`, `[read]`, `[policies]` and what else runs or is
//! asked.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::Deserialize;

use super::sections::millis;

/// `[write]`
///
/// ```
/// use retell::config::Config;
///
/// # let folder = tempfile::tempdir()?;
/// let profile = folder.path().join("retell.toml");
/// std::fs::write(&profile, "[write]\nqueue_len_max = 64\n")?;
/// let write = Config::load(Some(&profile), std::env::vars(), &[])?.write;
/// assert_eq!((write.queue_len_max, write.attempts_max), (64, 3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
///
/// ```
/// use retell::config::Config;
///
/// let variable = ("RETELL_READ__PAUSED".to_owned(), "accounts, messages".to_owned());
/// let read = Config::load(None, [variable].into_iter(), &[])?.read;
/// assert_eq!(read.paused, ["accounts", "messages"]);
/// # Ok::<(), retell::config::Problems>(())
/// ```
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
    /// How often at most while many records come; 0: as above.
    #[serde(rename = "busy_commit_interval_ms", deserialize_with = "millis")]
    pub busy_commit_interval: Duration,
    /// How often Kafka is told how far projections are; 0: never.
    #[serde(rename = "group_offsets_interval_ms", deserialize_with = "millis")]
    pub group_offsets_interval: Duration,
    /// Projections that are not folded here.
    pub paused: Vec<String>,
}

/// `[policies]`
///
/// ```
/// use retell::config::Config;
///
/// let policies = Config::defaults().policies;
/// assert_eq!((policies.retry_delay.as_secs(), policies.retry_delay_max.as_secs()), (1, 60));
/// ```
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
///
/// ```
/// use retell::config::Config;
///
/// # let folder = tempfile::tempdir()?;
/// let profile = folder.path().join("retell.toml");
/// std::fs::write(&profile, "[timer]\nenabled = true\ninterval_ms = 5_000\n")?;
/// let timer = Config::load(Some(&profile), std::env::vars(), &[])?.timer;
/// assert_eq!((timer.enabled, timer.interval.as_secs()), (true, 5));
/// assert_eq!(timer.text, "It is {time}.");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
///
/// ```
/// use retell::config::Config;
///
/// let flags = [("queries.wait_default_ms".to_owned(), "60_000".to_owned())];
/// let problems = Config::load(None, std::iter::empty(), &flags).expect_err("it is too long");
/// let said = "60000 is more than queries.wait_max_ms, which is 30000";
/// assert!(problems.to_string().ends_with(said));
/// ```
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
///
/// ```
/// use retell::config::Config;
///
/// let history = Config::defaults().history;
/// assert_eq!(history.page_len_max, 1_000);
/// assert_eq!(history.trace_keep.as_secs(), 7 * 24 * 60 * 60);
/// ```
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
///
/// ```
/// use retell::config::Config;
///
/// let flags = [("streams.streams_max".to_owned(), "1_000".to_owned())];
/// let streams = Config::load(None, std::env::vars(), &flags)?.streams;
/// assert_eq!((streams.streams_max, streams.rest_interval.as_millis()), (1_000, 20));
/// # Ok::<(), retell::config::Problems>(())
/// ```
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
///
/// ```
/// use retell::config::Config;
///
/// // No rollback: what was live is dropped at the flip.
/// let flags = [("replay.keep_previous_ms".to_owned(), "0".to_owned())];
/// let replay = Config::load(None, std::env::vars(), &flags)?.replay;
/// assert!(replay.keep_previous.is_zero() && replay.takeover_timeout.as_secs() == 15);
/// # Ok::<(), retell::config::Problems>(())
/// ```
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
///
/// ```
/// use retell::config::Config;
///
/// let verify = Config::defaults().verify;
/// assert!(verify.sample_interval.is_zero(), "no samples unless an operator wants them");
/// assert_eq!((verify.sample_percent, verify.sample_records_per_second_max.get()), (5, 1_000));
/// ```
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
