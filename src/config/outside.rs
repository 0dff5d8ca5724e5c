//! The sections of the topics that other teams see: `[inbox]` and `[outbox]`.

use serde::Deserialize;

use super::check::{Finding, wrong};
use super::url::{KafkaAddress, LogUrl, is_topic};

/// The longest name of the inbox's topic.
const INBOX_TOPIC_LEN_MAX: usize = 190;

/// `[inbox]`
///
/// ```
/// use retell::config::Config;
///
/// let flag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
/// let log = flag("log.url", "kafka://localhost:9092/retell.events");
/// let config = Config::load(None, std::env::vars(), &[log, flag("inbox.enabled", "true")])?;
/// assert_eq!((config.inbox.enabled, &*config.inbox.topic), (true, "retell.commands"));
/// # Ok::<(), retell::config::Problems>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct InboxConfig {
    /// Whether this node takes commands from a topic.
    pub enabled: bool,
    /// The topic of the commands.
    pub topic: String,
    /// The topic of the answers.
    pub results_topic: String,
    /// The group of the nodes that share the topic.
    pub group: String,
    /// Commands under way at once.
    pub in_flight_max: usize,
}

/// `[outbox]`
///
/// ```
/// use retell::config::Config;
///
/// let flags = [("outbox.enabled".to_owned(), "true".to_owned())];
/// let problems = Config::load(None, std::env::vars(), &flags).expect_err("the log is embedded");
/// assert!(problems.to_string().contains("outbox.enabled: it needs a log on Kafka"));
/// assert!(!Config::defaults().outbox.enabled);
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct OutboxConfig {
    /// Whether this node publishes events.
    pub enabled: bool,
    /// The topic.
    pub topic: String,
    /// Where the events are from.
    pub source: String,
    /// Put before their types.
    pub type_prefix: String,
    /// Where their schemas are.
    pub dataschema_url: String,
}

/// What is wrong with the outbox; nothing where there is none.
pub(super) fn outbox(outbox: &OutboxConfig, log: &LogUrl) -> Option<Finding> {
    let OutboxConfig { enabled, topic, source, type_prefix, dataschema_url } = outbox;
    if !enabled {
        return None;
    }
    let is_text = |text: &str, len_max| text.len() <= len_max && is_visible(text);
    needs_kafka(log, &["outbox.enabled", "log.url"])
        .or_else(|| own_topic(topic, log, &["outbox.topic", "log.url"]))
        .or_else(|| {
            wrong(is_text(source, 255), &["outbox.source"], || {
                format!("{source:?} is no URI reference of at most 255 characters")
            })
        })
        .or_else(|| {
            wrong(is_text(type_prefix, 255), &["outbox.type_prefix"], || {
                format!("{type_prefix:?} must be at most 255 visible ASCII characters")
            })
        })
        .or_else(|| {
            let is_url = dataschema_url.is_empty() || dataschema_url.contains("://");
            let is_right = is_url && is_text(dataschema_url, 1_024);
            wrong(is_right, &["outbox.dataschema_url"], || {
                format!("{dataschema_url:?} must be empty or such as https://schemas.example.com")
            })
        })
}

/// What is wrong with the inbox; nothing where there is none.
pub(super) fn inbox(inbox: &InboxConfig, outbox: &OutboxConfig, log: &LogUrl) -> Option<Finding> {
    let InboxConfig { enabled, topic, results_topic, group, .. } = inbox;
    if !enabled {
        return None;
    }
    let is_outbox = |topic: &String| outbox.enabled && topic == &outbox.topic;
    let is_own = topic != results_topic && !is_outbox(topic) && !is_outbox(results_topic);
    needs_kafka(log, &["inbox.enabled", "log.url"])
        .or_else(|| own_topic(topic, log, &["inbox.topic", "log.url"]))
        .or_else(|| own_topic(results_topic, log, &["inbox.results_topic", "log.url"]))
        .or_else(|| {
            wrong(is_own, &["inbox.topic", "inbox.results_topic", "outbox.topic"], || {
                "commands, answers and events need a topic each".to_owned()
            })
        })
        .or_else(|| {
            // It stands in command ids, which have 255 characters.
            wrong(topic.len() <= INBOX_TOPIC_LEN_MAX, &["inbox.topic"], || {
                format!("it has {} characters, at most {INBOX_TOPIC_LEN_MAX} fit", topic.len())
            })
        })
        .or_else(|| {
            let is_group = (1..=255).contains(&group.len()) && is_visible(group);
            wrong(is_group, &["inbox.group"], || {
                format!("{group:?} must be 1 to 255 visible ASCII characters")
            })
        })
}

fn needs_kafka(log: &LogUrl, paths: &'static [&'static str]) -> Option<Finding> {
    wrong(matches!(log, LogUrl::Kafka(_)), paths, || {
        format!("it needs a log on Kafka, whose brokers have its topic too; log.url is {log}")
    })
}

fn own_topic(name: &str, log: &LogUrl, paths: &'static [&'static str]) -> Option<Finding> {
    let is_log = matches!(log, LogUrl::Kafka(KafkaAddress { topic, .. }) if topic == name);
    wrong(is_topic(name), paths, || format!("{name:?} is no name that Kafka takes for a topic"))
        .or_else(|| wrong(!is_log, paths, || format!("{name} is the log's own topic")))
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}
