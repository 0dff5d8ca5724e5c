//! The URL of a log on Kafka: `kafka://HOST:PORT[,HOST:PORT…]/TOPIC`.
//!
//! An address that parsed names at least one broker and a topic that Kafka accepts.

use std::str::FromStr;

/// Kafka's own limit: a topic is a folder, with the partition in its name.
const TOPIC_LEN_MAX: usize = 249;

/// Where a log is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Address {
    /// Brokers to ask first, as librdkafka takes them.
    pub(super) brokers: String,
    /// The topic.
    pub(super) topic: String,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let expected = "expected kafka://HOST:PORT[,HOST:PORT…]/TOPIC";
        let wrong = |what: &str| format!("log.url `{url}`: {what}; {expected}");
        let rest = url.strip_prefix("kafka://").ok_or_else(|| wrong("is no Kafka URL"))?;
        let (brokers, topic) = rest.split_once('/').ok_or_else(|| wrong("names no topic"))?;
        if !brokers.split(',').all(is_broker) {
            return Err(wrong("a broker is HOST:PORT"));
        }
        if !is_topic(topic) {
            return Err(wrong("a topic has 1 to 249 letters, digits, dots, dashes or underscores"));
        }
        Ok(Self { brokers: brokers.to_owned(), topic: topic.to_owned() })
    }
}

fn is_broker(text: &str) -> bool {
    let strange = |c: char| c.is_whitespace() || matches!(c, '@' | '/' | '?' | '#');
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty()
            && !host.contains(strange)
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

fn is_topic(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=TOPIC_LEN_MAX).contains(&text.len())
        && text.chars().all(legal)
        && !matches!(text, "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_brokers_and_a_topic() {
        let address: Address = "kafka://a:9092,[::1]:9093/retell.events".parse().expect("a URL");
        assert_eq!(address.brokers, "a:9092,[::1]:9093");
        assert_eq!(address.topic, "retell.events");
    }

    #[test]
    fn a_url_that_is_not_right_is_refused_with_what_is_wrong() {
        for (url, what) in [
            ("redis://a:1/t", "no Kafka URL"),
            ("kafka://a:1", "names no topic"),
            ("kafka:///t", "HOST:PORT"),
            ("kafka://a/t", "HOST:PORT"),
            ("kafka://a:0/t", "HOST:PORT"),
            ("kafka://user:secret@a:1/t", "HOST:PORT"),
            ("kafka://a:1,/t", "HOST:PORT"),
            ("kafka://a:1/", "a topic has"),
            ("kafka://a:1/..", "a topic has"),
            ("kafka://a:1/t/u", "a topic has"),
            ("kafka://a:1/t?acks=0", "a topic has"),
        ] {
            let error = url.parse::<Address>().expect_err(url);
            assert!(error.contains(what), "{error}");
        }
    }
}
