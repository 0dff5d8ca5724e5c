//! The librdkafka properties of each client; each one that differs from the default says why.
//!
//! What the protocol needs cannot be set from outside: `check_properties` refuses it by name.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

use crate::config::{KafkaAddress, LogConfig, Objection};

use super::appender::{BYTES_IN_FLIGHT_MAX, IN_FLIGHT_MAX};

/// What a record's headers and its frame in a batch add to key and value, at most: 3 headers with
/// numbers of 20 digits, and 61 bytes of the batch; rounded up.
const FRAME_LEN_MAX: usize = 1_024;
/// What headers and names add to the content of a plain message, at most about.
const PLAIN_HEADERS_LEN_MAX: usize = 16 * 1_024;
/// The most bytes that librdkafka puts into one batch of several records, its own default.
const BATCH_LEN_MAX: usize = 1_000_000;
/// How long a broker may hold a fetch when there is nothing new.
///
/// librdkafka has one fetch under way per client and broker; a partition that joins waits until
/// it returns, and the end of a partition is told by an empty one. So this is the longest that a
/// new reader waits for its first record. An append ends the fetch at once, so it costs the tail
/// nothing. Measured with 16 partitions and two readers each: 0.4 % of a core at 50 ms, 0.25 % at
/// 100 ms, 0.07 % at 500 ms.
const FETCH_WAIT_MAX_MS: u32 = 50;

/// Properties that `[log.kafka.properties]` must not set, and why.
const OWNED: &[(&[&str], &str)] = &[
    (&["bootstrap.servers", "metadata.broker.list"], "the brokers stand in log.url"),
    (&["message.timeout.ms", "delivery.timeout.ms"], "set log.kafka.message_timeout_ms"),
    (&["request.timeout.ms"], "set log.kafka.message_timeout_ms"),
    (&["socket.timeout.ms"], "set log.kafka.socket_timeout_ms"),
    (&["queued.max.messages.kbytes"], "set log.kafka.queue_kib_max"),
    (&["message.max.bytes", "batch.size"], "set log.record_bytes_max"),
    (
        &["queue.buffering.max.messages", "queue.buffering.max.kbytes"],
        "each appender bounds what is in flight itself",
    ),
    (
        &[
            "enable.idempotence",
            "acks",
            "request.required.acks",
            "max.in.flight",
            "max.in.flight.requests.per.connection",
            "retries",
            "message.send.max.retries",
        ],
        "records must land durably, in order and at most once",
    ),
    (&["enable.gapless.guarantee"], "a lost record ends a term, not the producer"),
    (&["transactional.id"], "the protocol fences writers without transactions"),
    (&["delivery.report.only.error", "produce.offset.report"], "every append needs its report"),
    (&["isolation.level"], "a foreign transaction must not hold readers back"),
    (&["auto.offset.reset"], "an offset out of range means another log and must be an error"),
    (&["client.rack"], "a follower does not know the log's end"),
    (&["check.crcs", "enable.partition.eof"], "readers rely on it"),
    (
        &[
            "enable.auto.commit",
            "auto.commit.enable",
            "enable.auto.offset.store",
            "group.instance.id",
            "group.protocol",
        ],
        "readers keep their own positions and join no group",
    ),
    (&["statistics.interval.ms"], "set log.kafka.statistics_interval_ms"),
    (&["debug", "log.queue", "log_level"], "Retell's own log is set by telemetry.filter"),
];

/// What is wrong with `[log.kafka.properties]`: one objection per property, none when all is well.
///
/// It names properties that the protocol owns and those that librdkafka does not take. Values
/// that may be secret are not repeated.
#[must_use]
pub fn check_properties(properties: &BTreeMap<String, String>) -> Vec<Objection> {
    properties
        .iter()
        .filter_map(|(name, value)| {
            let detail = owned(name).map(str::to_owned).or_else(|| refused(name, value))?;
            Some(Objection { key: format!("log.kafka.properties.{name}"), detail })
        })
        .collect()
}

/// The properties of every client of one log.
#[derive(Clone)]
pub(super) struct Properties {
    common: ClientConfig,
    record_len_max: usize,
    partitions: u32,
    message_timeout: Duration,
    queue_kib_max: u32,
    given: BTreeMap<String, String>,
}

impl Properties {
    pub(super) fn new(address: &KafkaAddress, log: &LogConfig) -> Self {
        let kafka = &log.kafka;
        let mut common = ClientConfig::new();
        common
            .set("bootstrap.servers", &address.brokers)
            // Shown in the brokers' request logs and quotas.
            .set("client.id", "retell")
            // The default of a minute is far longer than a failover may take.
            .set("socket.timeout.ms", millis(kafka.socket_timeout))
            .set("socket.connection.setup.timeout.ms", millis(connection_timeout(log)))
            // A broker that comes back after a restart is found within a second, not ten.
            .set("reconnect.backoff.max.ms", "1000")
            // A connection that a firewall forgot is noticed while it is idle.
            .set("socket.keepalive.enable", "true")
            // Brokers close idle connections; that is not worth a line.
            .set("log.connection.close", "false")
            // Nobody asked for metrics of this client on the broker (KIP-714).
            .set("enable.metrics.push", "false")
            // What the clients tell of themselves, for /metrics, and whether they know a broker.
            .set("statistics.interval.ms", millis(kafka.statistics_interval))
            .set_log_level(RDKafkaLogLevel::Info);
        Self {
            common,
            record_len_max: log.record_bytes_max,
            partitions: log.partitions,
            // To librdkafka 0 means for ever.
            message_timeout: kafka.message_timeout.max(Duration::from_millis(1)),
            queue_kib_max: kafka.queue_kib_max,
            given: kafka.properties.clone(),
        }
    }

    /// The producer.
    pub(super) fn producer(&self) -> ClientConfig {
        // Twice, because appenders that were dropped may still have records in flight.
        let appenders = 2 * u64::from(self.partitions);
        let records = appenders.saturating_mul(IN_FLIGHT_MAX).min(i32::MAX as u64);
        let kib = appenders.saturating_mul(BYTES_IN_FLIGHT_MAX / 1_024).min(i32::MAX as u64);
        let mut config = self.common.clone();
        config
            // A retried batch lands once and in order, with up to five batches in flight.
            .set("enable.idempotence", "true")
            // Landed means durable: in every in-sync replica.
            .set("acks", "all")
            // Batches form by themselves while others are in flight; waiting only adds latency.
            .set("linger.ms", "0")
            // After this time a record's fate is unknown and the term ends.
            .set("message.timeout.ms", millis(self.message_timeout))
            // How long a broker may wait for replicas; longer than a record lives is pointless.
            .set("request.timeout.ms", millis(self.message_timeout))
            .set("message.max.bytes", self.message_len_max().to_string())
            .set("batch.size", BATCH_LEN_MAX.to_string())
            // Appenders say Full long before; one that is full must not fill the others' queue.
            .set("queue.buffering.max.messages", records.to_string())
            .set("queue.buffering.max.kbytes", kib.to_string());
        self.add_given(&mut config);
        config
            // Only state changes of the idempotent producer are logged under this name; one of
            // them tells that the producer can send. Nothing is logged per batch.
            .set("debug", "eos")
            .set_log_level(RDKafkaLogLevel::Debug);
        config
    }

    /// A consumer that carries readers.
    pub(super) fn consumer(&self) -> ClientConfig {
        let mut config = self.common.clone();
        config
            // librdkafka assigns partitions only to members of a named group. Nobody joins it and
            // nothing is committed to it; only its coordinator is looked up.
            .set("group.id", "retell-readers")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // A foreign transaction that hangs must not hold readers back.
            .set("isolation.level", "read_uncommitted")
            // An offset out of range means another log: it must never be answered by jumping.
            .set("auto.offset.reset", "error")
            // Damage on the wire or on disk is noticed.
            .set("check.crcs", "true")
            // Tells the end by position, also after records that no reader gets.
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", FETCH_WAIT_MAX_MS.to_string())
            // A reader that had fallen behind is fed again at once when its queue has room.
            .set("fetch.queue.backoff.ms", "1")
            // A new leader is asked again soon.
            .set("fetch.error.backoff.ms", "100")
            // Of each reader; librdkafka's own bound of 100,000 records holds too.
            .set("queued.max.messages.kbytes", self.queue_kib_max.to_string());
        self.add_given(&mut config);
        config
    }

    /// The client that asks for the ends of partitions.
    ///
    /// It reads nothing: a broker answers the requests of a connection one by one, and a question
    /// behind a fetch would wait for it. Without a group it needs no coordinator.
    pub(super) fn queries(&self) -> ClientConfig {
        let mut config = self.common.clone();
        // Otherwise a hanging transaction would hide the end of the log.
        config.set("isolation.level", "read_uncommitted");
        self.add_given(&mut config);
        config.remove("group.id");
        config
    }

    /// The producer of plain topics.
    pub(super) fn plain_producer(&self) -> ClientConfig {
        let mut config = self.common.clone();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "0")
            // A message that fails must take the later ones with it: a gap could not be mended,
            // because readers drop what comes after its successors.
            .set("enable.gapless.guarantee", "true")
            .set("max.in.flight.requests.per.connection", "1")
            // That guarantee knows no message that timed out; so none ever does.
            .set("message.timeout.ms", "0")
            .set("request.timeout.ms", millis(self.message_timeout))
            .set("message.max.bytes", self.plain_len_max().to_string())
            .set("batch.size", BATCH_LEN_MAX.to_string());
        self.add_given(&mut config);
        // Librdkafka's own limit of a producer's queue holds: senders wait for room.
        config
    }

    /// A member of a group of consumers.
    pub(super) fn member(&self, group: &str) -> ClientConfig {
        let mut config = self.common.clone();
        config
            .set("group.id", group)
            // What is done is committed by librdkafka: soon, when a partition is given away, and
            // at the end. It refuses what another member has by then.
            .set("enable.auto.commit", "true")
            .set("auto.commit.interval.ms", "200")
            .set("enable.auto.offset.store", "false")
            // A command that was sent before the group was made is a command, too.
            .set("auto.offset.reset", "earliest")
            // What a transaction took back was never said.
            .set("isolation.level", "read_committed")
            .set("check.crcs", "true")
            .set("fetch.wait.max.ms", FETCH_WAIT_MAX_MS.to_string())
            .set("fetch.queue.backoff.ms", "1")
            .set("fetch.error.backoff.ms", "100")
            // So long the partitions of a member that was killed wait; those of one that leaves do
            // not. It is the least that brokers allow by default.
            .set("session.timeout.ms", "6000")
            .set("heartbeat.interval.ms", "1500")
            // Only partitions that move are taken away.
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("queued.max.messages.kbytes", self.queue_kib_max.to_string());
        self.add_given(&mut config);
        // They belong to the readers of the log.
        config.set("group.id", group);
        config
    }

    /// A client of a consumer group that nobody joins: it asks for its offsets and commits them.
    pub(super) fn group(&self, group: &str) -> ClientConfig {
        let mut config = self.common.clone();
        self.add_given(&mut config);
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            // Nobody listens between two questions, and what is told would pile up.
            .set("statistics.interval.ms", "0");
        config
    }

    /// The client that creates and describes the topic.
    pub(super) fn admin(&self) -> ClientConfig {
        let mut config = self.common.clone();
        self.add_given(&mut config);
        config
    }

    /// The longest batch that the producer sends, which the topic must take.
    pub(super) fn batch_len_max(&self) -> usize {
        self.message_len_max().max(BATCH_LEN_MAX) + FRAME_LEN_MAX
    }

    /// The longest batch of a plain topic.
    pub(super) fn plain_batch_len_max(&self) -> usize {
        self.plain_len_max().max(BATCH_LEN_MAX) + FRAME_LEN_MAX
    }

    /// An event is a part of a record, an answer about as much as its events.
    fn plain_len_max(&self) -> usize {
        self.record_len_max + PLAIN_HEADERS_LEN_MAX
    }

    fn message_len_max(&self) -> usize {
        self.record_len_max + FRAME_LEN_MAX
    }

    fn add_given(&self, config: &mut ClientConfig) {
        config.extend(self.given.clone());
    }
}

/// A connection that takes longer to set up than one request may take is a broken one; librdkafka
/// takes no less than a second.
fn connection_timeout(log: &LogConfig) -> Duration {
    log.kafka.socket_timeout.max(Duration::from_secs(1))
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}

fn owned(name: &str) -> Option<&'static str> {
    OWNED.iter().find(|(names, _)| names.contains(&name)).map(|(_, reason)| *reason)
}

/// What librdkafka has against a property.
fn refused(name: &str, value: &str) -> Option<String> {
    let secret = ["password", "secret", "key", "pem", "config", "passphrase"];
    match ClientConfig::new().set(name, value).create_native_config() {
        Ok(_) => None,
        Err(KafkaError::ClientConfig(_, reason, ..))
            if !secret.iter().any(|s| name.contains(s)) =>
        {
            Some(reason)
        }
        Err(_) => Some("librdkafka does not take this value".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str) -> Vec<String> {
        let wrong = check_properties(&BTreeMap::from([(name.to_owned(), value.to_owned())]));
        wrong.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn properties_that_librdkafka_takes_pass() {
        for (name, value) in
            [("linger.ms", "1"), ("compression.type", "lz4"), ("sasl.password", "x")]
        {
            assert_eq!(check(name, value), Vec::<String>::new());
        }
    }

    #[test]
    fn a_property_that_the_protocol_owns_is_refused_by_name_and_with_the_reason() {
        assert_eq!(
            check("isolation.level", "read_committed"),
            ["log.kafka.properties.isolation.level: a foreign transaction must not hold readers \
              back"]
        );
        for (names, _) in OWNED {
            for name in *names {
                assert_eq!(check(name, "1").len(), 1, "{name}");
            }
        }
    }

    #[test]
    fn a_property_that_librdkafka_does_not_know_is_refused() {
        let messages = check("lingerms", "1");
        assert!(messages[0].contains("No such configuration property"), "{messages:?}");
        let messages = check("linger.ms", "soon");
        assert!(messages[0].contains("linger.ms"), "{messages:?}");
    }

    #[test]
    fn a_secret_is_never_repeated() {
        let messages = check("ssl.key.pem", "hunter2");
        assert!(messages.iter().all(|message| !message.contains("hunter2")), "{messages:?}");
        let messages = check("sasl.oauthbearer.client.secretx", "hunter2");
        assert!(messages.len() == 1 && !messages[0].contains("hunter2"), "{messages:?}");
    }
}
