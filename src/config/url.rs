//! The URLs that select the adapters, parsed once.
//!
//! No error, `Debug` or `Display` shows a password.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

/// Which event log.
///
/// ```
/// use retell::config::LogUrl;
///
/// assert_eq!("embedded:./data/log".parse(), Ok(LogUrl::Embedded("./data/log".into())));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LogUrl {
    /// `embedded:DIRECTORY`: in this process, in this folder.
    Embedded(PathBuf),
    /// `kafka://…`: a topic.
    Kafka(KafkaAddress),
    /// `memory:`: gone when the process ends.
    Memory,
}

/// `kafka://HOST:PORT[,HOST:PORT…]/TOPIC`. It names at least one broker, and a topic that Kafka
/// takes.
///
/// ```
/// let address: retell::config::KafkaAddress = "kafka://a:9092,b:9092/retell.events".parse()?;
/// assert_eq!((&*address.brokers, &*address.topic), ("a:9092,b:9092", "retell.events"));
/// # Ok::<(), retell::config::InvalidUrl>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KafkaAddress {
    /// The brokers to ask first, as librdkafka takes them: `HOST:PORT`, separated by commas.
    pub brokers: String,
    /// The topic.
    pub topic: String,
}

/// Which view store.
///
/// ```
/// let url: retell::config::ViewsUrl = "redis://ann:s3cret@localhost:6379/0".parse()?;
/// assert_eq!(url.to_string(), "redis://ann:***@localhost:6379/0");
/// # Ok::<(), retell::config::InvalidUrl>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ViewsUrl {
    /// `embedded:DIRECTORY`: in this process, in this folder.
    Embedded(PathBuf),
    /// `redis://…`, `redis-cluster://…`, or either with TLS.
    Redis(RedisUrl),
    /// `memory:`: gone when the process ends.
    Memory,
}

/// `redis://[USER:PASSWORD@]HOST[:PORT][/DB]`, or
/// `redis-cluster://[USER:PASSWORD@]HOST:PORT[,HOST:PORT…]`; for TLS with `rediss`. It may hold a
/// password: only [`RedisUrl::as_str`] and [`RedisUrl::servers`] give it away.
///
/// ```
/// let url: retell::config::RedisUrl = "redis-cluster://a:6379,b:6379".parse()?;
/// assert_eq!(url.servers(), ["redis://a:6379", "redis://b:6379"]);
/// # Ok::<(), retell::config::InvalidUrl>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct RedisUrl(String);

/// Why a text is not the URL that was expected.
///
/// ```
/// let error = "kafka://localhost:9092".parse::<retell::config::LogUrl>();
/// assert_eq!(error, Err(retell::config::InvalidUrl::NoTopic));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidUrl {
    /// No scheme of a log.
    #[error("expected embedded:DIRECTORY, kafka://HOST:PORT[,HOST:PORT…]/TOPIC or memory:")]
    NoLog,
    /// No scheme of a view store.
    #[error(
        "expected embedded:DIRECTORY, redis://[USER:PASSWORD@]HOST[:PORT][/DB], \
         redis-cluster://[USER:PASSWORD@]HOST:PORT[,HOST:PORT…], either with rediss, or memory:"
    )]
    NoViews,
    /// `embedded:` and nothing.
    #[error("embedded: needs a folder, such as embedded:./data/log")]
    NoFolder,
    /// Kafka's credentials are properties, not part of an address.
    #[error("a kafka:// URL has no user; set sasl.username and the like in [log.kafka.properties]")]
    KafkaUser,
    /// A broker without a port, or no broker.
    #[error("each broker is HOST:PORT, such as kafka://127.0.0.1:9092/retell.events")]
    NoBroker,
    /// Kafka would refuse the name.
    #[error("the topic is 1 to 249 of the characters a-z A-Z 0-9 . _ - and neither . nor ..")]
    NoTopic,
    /// No host, or a port that is no number.
    #[error("the part before the first / is [USER:PASSWORD@]HOST[:PORT]")]
    NoHost,
    /// A node of a cluster without a port, or no node.
    #[error("each node of a cluster is HOST:PORT; there is no database to choose")]
    NoNode,
    /// A database that is no number.
    #[error("the part after the first / is the number of the database, such as /0")]
    NoDatabase,
}

impl RedisUrl {
    /// The URL with its password, for the client library.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is `rediss://`.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.0.starts_with("rediss")
    }

    /// Whether it names nodes of a cluster.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        self.cluster().is_some()
    }

    /// A URL of each server that it names, with its password, for the client library.
    #[must_use]
    pub fn servers(&self) -> Vec<String> {
        let Some(address) = self.cluster() else { return vec![self.0.clone()] };
        let scheme = if self.is_tls() { "rediss" } else { "redis" };
        let (login, nodes) = match address.rsplit_once('@') {
            Some((login, nodes)) => (format!("{login}@"), nodes),
            None => (String::new(), address),
        };
        nodes.split(',').map(|node| format!("{scheme}://{login}{node}")).collect()
    }

    /// What follows the scheme of a cluster.
    fn cluster(&self) -> Option<&str> {
        let plain = self.0.strip_prefix("redis-cluster://");
        plain.or_else(|| self.0.strip_prefix("rediss-cluster://"))
    }
}

impl FromStr for RedisUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let url = Self(text.to_owned());
        if let Some(address) = url.cluster() {
            let nodes = address.rsplit_once('@').map_or(address, |(_, nodes)| nodes);
            return if nodes.split(',').all(is_node) { Ok(url) } else { Err(InvalidUrl::NoNode) };
        }
        let plain = text.strip_prefix("redis://");
        let address =
            plain.or_else(|| text.strip_prefix("rediss://")).ok_or(InvalidUrl::NoViews)?;
        let address = address.split_once('?').map_or(address, |(address, _)| address);
        let (server, database) = address.split_once('/').unwrap_or((address, ""));
        let host = server.rsplit_once('@').map_or(server, |(_, host)| host);
        let is_server = match host.rsplit_once(':') {
            Some(parts) if !host.ends_with(']') => is_host_and_port(parts),
            _ => !host.is_empty(),
        };
        if !is_server {
            return Err(InvalidUrl::NoHost);
        }
        if !database.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(InvalidUrl::NoDatabase);
        }
        Ok(url)
    }
}

impl FromStr for LogUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        if let Some(folder) = text.strip_prefix("embedded:") {
            return embedded(folder).map(Self::Embedded);
        }
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        text.parse().map(Self::Kafka)
    }
}

impl FromStr for KafkaAddress {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let address = text.strip_prefix("kafka://").ok_or(InvalidUrl::NoLog)?;
        let (brokers, topic) = address.split_once('/').unwrap_or((address, ""));
        if brokers.contains('@') {
            return Err(InvalidUrl::KafkaUser);
        }
        if !brokers.split(',').all(is_broker) {
            return Err(InvalidUrl::NoBroker);
        }
        if !is_topic(topic) {
            return Err(InvalidUrl::NoTopic);
        }
        Ok(Self { brokers: brokers.to_owned(), topic: topic.to_owned() })
    }
}

impl FromStr for ViewsUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        if let Some(folder) = text.strip_prefix("embedded:") {
            return embedded(folder).map(Self::Embedded);
        }
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        text.parse().map(Self::Redis)
    }
}

impl fmt::Display for LogUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(folder) => write!(f, "embedded:{}", folder.display()),
            Self::Kafka(address) => address.fmt(f),
            Self::Memory => f.write_str("memory:"),
        }
    }
}

impl fmt::Display for KafkaAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kafka://{}/{}", self.brokers, self.topic)
    }
}

impl fmt::Display for ViewsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(folder) => write!(f, "embedded:{}", folder.display()),
            Self::Redis(url) => url.fmt(f),
            Self::Memory => f.write_str("memory:"),
        }
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_password(&self.0))
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({self})")
    }
}

impl<'de> Deserialize<'de> for LogUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for ViewsUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// `redis://user:***@host/0`.
pub(super) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    match rest.rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split_once(':').map_or("", |(user, _)| user);
            format!("{scheme}://{user}:***@{host}")
        }
        None => url.to_owned(),
    }
}

fn embedded(folder: &str) -> Result<PathBuf, InvalidUrl> {
    if folder.is_empty() { Err(InvalidUrl::NoFolder) } else { Ok(folder.into()) }
}

fn is_broker(text: &str) -> bool {
    let strange = |c: char| c.is_whitespace() || matches!(c, '?' | '#');
    !text.contains(strange) && text.rsplit_once(':').is_some_and(is_host_and_port)
}

/// As a broker, without a path.
fn is_node(text: &str) -> bool {
    is_broker(text) && !text.contains('/')
}

fn is_host_and_port((host, port): (&str, &str)) -> bool {
    !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// What Kafka takes: a topic is a folder there, with the partition in its name.
pub(super) fn is_topic(name: &str) -> bool {
    let is_legal = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
    (1..=249).contains(&name.len()) && name.bytes().all(is_legal) && name != "." && name != ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_url_is_taken_apart() {
        assert_eq!("embedded:./data/log".parse(), Ok(LogUrl::Embedded("./data/log".into())));
        assert_eq!("memory:".parse(), Ok(LogUrl::Memory));
        let url: LogUrl = "kafka://a:1,[::1]:9092/retell.events".parse().expect("a URL");
        let (brokers, topic) = ("a:1,[::1]:9092".to_owned(), "retell.events".to_owned());
        assert_eq!(url, LogUrl::Kafka(KafkaAddress { brokers, topic }));
        assert_eq!(url.to_string(), "kafka://a:1,[::1]:9092/retell.events");
    }

    #[test]
    fn a_text_that_is_no_log_url_says_what_is_missing() {
        let cases = [
            ("redis://127.0.0.1:6379/0", InvalidUrl::NoLog),
            ("", InvalidUrl::NoLog),
            ("memory:x", InvalidUrl::NoLog),
            ("embedded:", InvalidUrl::NoFolder),
            ("kafka://u:p@a:1/t", InvalidUrl::KafkaUser),
            ("kafka:///t", InvalidUrl::NoBroker),
            ("kafka://a/t", InvalidUrl::NoBroker),
            ("kafka://a:0/t", InvalidUrl::NoBroker),
            ("kafka://a:1,b/t", InvalidUrl::NoBroker),
            ("kafka://a:1,/t", InvalidUrl::NoBroker),
            ("kafka://a:1, b:1/t", InvalidUrl::NoBroker),
            ("kafka://a?b:1/t", InvalidUrl::NoBroker),
            ("kafka://a:1", InvalidUrl::NoTopic),
            ("kafka://a:1/..", InvalidUrl::NoTopic),
            ("kafka://a:1/", InvalidUrl::NoTopic),
            ("kafka://a:1/t/u", InvalidUrl::NoTopic),
            ("kafka://a:1/t?acks=0", InvalidUrl::NoTopic),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<LogUrl>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_redis_url_never_shows_its_password() {
        for (text, shown) in [
            ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
            ("redis://:s3cr@t@h:1/0", "redis://:***@h:1/0"),
            ("rediss://ann:s3cret@[::1]/2", "rediss://ann:***@[::1]/2"),
            ("redis://ann:s3cret@h?protocol=resp3", "redis://ann:***@h?protocol=resp3"),
            ("redis-cluster://:s3cr@t@h:1,i:2", "redis-cluster://:***@h:1,i:2"),
        ] {
            let url: ViewsUrl = text.parse().expect("a URL");
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("s3cr"), "{url:?}");
            let ViewsUrl::Redis(redis) = url else { unreachable!("{text}") };
            assert_eq!((redis.as_str(), redis.is_tls()), (text, text.starts_with("rediss")));
        }
    }

    #[test]
    fn a_cluster_is_named_by_any_of_its_nodes() {
        let url: RedisUrl = "rediss-cluster://ann:s@e@h:1,[::1]:2".parse().expect("a URL");
        assert!(url.is_cluster() && url.is_tls());
        assert_eq!(url.servers(), ["rediss://ann:s@e@h:1", "rediss://ann:s@e@[::1]:2"]);
        let url: RedisUrl = "redis-cluster://h:1".parse().expect("a URL");
        assert_eq!((url.servers(), url.is_tls()), (vec!["redis://h:1".to_owned()], false));
        let url: RedisUrl = "redis://h:1/0".parse().expect("a URL");
        assert_eq!((url.servers(), url.is_cluster()), (vec!["redis://h:1/0".to_owned()], false));
    }

    #[test]
    fn a_text_that_is_no_views_url_says_what_is_missing() {
        let cases = [
            ("kafka://a:1/t", InvalidUrl::NoViews),
            ("redis-cluster://", InvalidUrl::NoNode),
            ("redis-cluster://a", InvalidUrl::NoNode),
            ("redis-cluster://a:1,", InvalidUrl::NoNode),
            ("rediss-cluster://a:1/0", InvalidUrl::NoNode),
            ("embedded:", InvalidUrl::NoFolder),
            ("redis://", InvalidUrl::NoHost),
            ("redis://u:p@/0", InvalidUrl::NoHost),
            ("redis://h:x/0", InvalidUrl::NoHost),
            ("redis://h:1/x", InvalidUrl::NoDatabase),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<ViewsUrl>(), Err(error), "{text}");
        }
    }
}
