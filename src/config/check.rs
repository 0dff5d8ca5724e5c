//! What a setting must be beyond its type. No other part of Retell checks a setting again.

use std::path::Path;

use super::url::{LogUrl, ViewsUrl};
use super::{Config, LogConfig, auth, outside};

/// A finding about one or more settings; the first one is to blame.
pub(super) struct Finding {
    pub(super) paths: &'static [&'static str],
    pub(super) detail: String,
}

const BILLION: i64 = 1_000_000_000;
/// librdkafka's own limits, from its list of properties.
const KAFKA_MS_MAX: i64 = i32::MAX as i64;
const KAFKA_SOCKET_MS: (i64, i64) = (10, 300_000);
const KAFKA_QUEUE_KIB_MAX: i64 = 2_097_151;
const KAFKA_REPLICAS_MAX: i64 = i16::MAX as i64;

/// The least and the greatest number that a setting may be.
pub(super) fn range_of(path: &str) -> (i64, i64) {
    match path {
        "log.partitions" => (1, 4_096),
        // A record must hold a claim and the smallest commit.
        "log.record_bytes_max" => (1_024, BILLION),
        "log.kafka.replication_factor" | "log.kafka.min_insync_replicas" => (1, KAFKA_REPLICAS_MAX),
        "log.kafka.message_timeout_ms" => (1, KAFKA_MS_MAX),
        "log.kafka.statistics_interval_ms" => (100, 60_000),
        "log.kafka.socket_timeout_ms" => KAFKA_SOCKET_MS,
        "log.kafka.queue_kib_max" => (1, KAFKA_QUEUE_KIB_MAX),
        "views.redis.connections" => (1, 10_000),
        "http.threads" | "read.threads" => (0, 1_024),
        "auth.jwt.clock_skew_ms"
        | "http.drain_timeout_ms"
        | "http.rate.requests_per_second_max"
        | "read.busy_commit_interval_ms"
        | "read.commit_interval_ms"
        | "read.group_offsets_interval_ms"
        | "read.kept_bytes_max"
        | "queries.wait_default_ms"
        | "replay.keep_previous_ms"
        | "streams.rest_interval_ms"
        | "verify.sample_interval_ms" => (0, BILLION),
        "verify.sample_percent" => (1, 100),
        "telemetry.traces_percent" => (0, 100),
        "queries.page_items_max" => (1, 10_000),
        "replay.memory_bytes_max" => (1, i64::MAX),
        // Ten days in milliseconds, a billion records or bytes: more is a slip of the keyboard.
        _ => (1, BILLION),
    }
}

/// What the sections must be by themselves and together.
pub(super) fn check(config: &Config) -> Vec<Finding> {
    let findings = [
        base_path(&config.http.base_path),
        auth::check(config),
        replicas(&config.log),
        namespace(&config.views.namespace),
        folders(&config.log.url, &config.views.url),
        node_id(&config.node.id),
        node_address(&config.node.address),
        paused(&config.read.paused),
        waits(config),
        outside::inbox(&config.inbox, &config.outbox, &config.log.url),
        outside::outbox(&config.outbox, &config.log.url),
        filter(&config.telemetry.filter),
        traces_url(&config.telemetry.traces_url),
    ];
    findings.into_iter().flatten().collect()
}

fn base_path(path: &str) -> Option<Finding> {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
    let is_right = path.is_empty()
        || (path.starts_with('/')
            && !path.ends_with('/')
            && !path.contains("//")
            && path.chars().all(is_legal));
    wrong(is_right, &["http.base_path"], || {
        format!("{path:?} must be empty, or begin with / and not end with it, such as /retell")
    })
}

fn replicas(log: &LogConfig) -> Option<Finding> {
    let (replicas, in_sync) = (log.kafka.replication_factor, log.kafka.min_insync_replicas);
    let paths = &["log.kafka.min_insync_replicas", "log.kafka.replication_factor"];
    wrong(in_sync <= replicas, paths, || {
        format!("{in_sync} in-sync replicas of log.kafka.replication_factor {replicas} never are")
    })
}

fn namespace(namespace: &str) -> Option<Finding> {
    let is_legal = |c: char| c.is_ascii_graphic() && !"{}:".contains(c);
    let is_right = namespace.len() <= 200 && namespace.chars().all(is_legal);
    wrong(is_right, &["views.namespace"], || {
        format!("{namespace:?} must be at most 200 visible ASCII characters without {{ }} and :")
    })
}

fn folders(log: &LogUrl, views: &ViewsUrl) -> Option<Finding> {
    let (LogUrl::Embedded(log), ViewsUrl::Embedded(views)) = (log, views) else { return None };
    // Without looking at the disk: the folders may not be there yet.
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    wrong(absolute(log) != absolute(views), &["views.url", "log.url"], || {
        format!("log.url has the same folder {}; they need one each", log.display())
    })
}

fn node_id(id: &str) -> Option<Finding> {
    let is_right = id.len() <= 200 && id.chars().all(|c| c.is_ascii_graphic());
    wrong(is_right, &["node.id"], || format!("{id:?} must be at most 200 visible ASCII characters"))
}

fn traces_url(url: &str) -> Option<Finding> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let is_right = url.is_empty() || rest.is_some_and(|rest| !rest.is_empty());
    wrong(is_right, &["telemetry.traces_url"], || {
        "it must be empty, or an address such as http://localhost:4318/v1/traces".to_owned()
    })
}

fn node_address(address: &str) -> Option<Finding> {
    let rest = address.strip_prefix("http://").or_else(|| address.strip_prefix("https://"));
    let is_right = address.is_empty() || rest.is_some_and(|rest| !rest.is_empty());
    wrong(is_right, &["node.address"], || {
        format!("{address:?} must be empty or such as http://node-a:8080")
    })
}

fn paused(projections: &[String]) -> Option<Finding> {
    let is_legal = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    let is_name = |name: &&String| {
        name.len() <= 63
            && name.bytes().next().is_some_and(|c| c.is_ascii_lowercase())
            && name.bytes().all(is_legal)
    };
    let no_name = projections.iter().find(|name| !is_name(name));
    wrong(no_name.is_none(), &["read.paused"], || {
        format!("{:?} is no name of a projection", no_name.map_or("", String::as_str))
    })
}

fn waits(config: &Config) -> Option<Finding> {
    let (default, max) = (config.queries.wait_default, config.queries.wait_max);
    let paths = &["queries.wait_default_ms", "queries.wait_max_ms"];
    wrong(default <= max, paths, || {
        let (default, max) = (default.as_millis(), max.as_millis());
        format!("{default} is more than queries.wait_max_ms, which is {max}")
    })
}

#[cfg(feature = "cli")]
fn filter(filter: &str) -> Option<Finding> {
    let parsed = tracing_subscriber::EnvFilter::builder().parse(filter);
    let detail = parsed.err().map(|error| format!("{filter:?}: {error}"))?;
    Some(Finding { paths: &["telemetry.filter"], detail })
}

#[cfg(not(feature = "cli"))]
const fn filter(_: &str) -> Option<Finding> {
    None
}

pub(super) fn wrong(
    is_right: bool,
    paths: &'static [&'static str],
    detail: impl FnOnce() -> String,
) -> Option<Finding> {
    (!is_right).then(|| Finding { paths, detail: detail() })
}
