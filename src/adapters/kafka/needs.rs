//! What a topic must be, by what it is for.

/// What a topic is for.
///
/// ```
/// use retell::adapters::kafka::{KafkaTopics, Role};
/// use retell::ports::PlainTopic;
/// # use retell::config::Config;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let log = "kafka://127.0.0.1:9092/retell.events".parse()?;
/// # let topics = KafkaTopics::connect(&log, &Config::defaults().log)?;
/// let inbox = topics.open("retell.commands", Role::Inbox);
/// let results = topics.open("retell.results", Role::Results);
/// assert_eq!((inbox.name(), results.name()), ("retell.commands", "retell.results"));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// The log itself, the only truth.
    Log,
    /// Events for other teams. Where it ends is all that says how far it has come, so nothing in
    /// it may expire.
    Outbox,
    /// Commands of other teams, who may keep them as they like.
    Inbox,
    /// What became of them.
    Results,
}

/// A setting of a topic and what it must be.
pub(super) struct Setting {
    pub(super) name: &'static str,
    pub(super) needed: Needed,
}

pub(super) enum Needed {
    Exactly(&'static str),
    AtLeast(u64),
}

impl Role {
    /// Each setting that is not free.
    pub(super) fn settings(self, batch_len_max: usize, min_insync_replicas: u32) -> Vec<Setting> {
        use Needed::{AtLeast, Exactly};
        let kept = [
            ("cleanup.policy", Exactly("delete")),
            ("retention.ms", Exactly("-1")),
            ("retention.bytes", Exactly("-1")),
        ];
        let log_time = ("message.timestamp.type", Exactly("LogAppendTime"));
        let led = ("unclean.leader.election.enable", Exactly("false"));
        let written = [
            ("max.message.bytes", AtLeast(batch_len_max as u64)),
            ("min.insync.replicas", AtLeast(u64::from(min_insync_replicas))),
        ];
        let settings: Vec<_> = match self {
            Self::Log => kept.into_iter().chain([log_time, led]).chain(written).collect(),
            Self::Outbox => kept.into_iter().chain([led]).chain(written).collect(),
            Self::Results => written.into(),
            Self::Inbox => Vec::new(),
        };
        settings.into_iter().map(|(name, needed)| Setting { name, needed }).collect()
    }

    /// Why another number of partitions will not do, if it will not; how to mend it.
    pub(super) fn wrong_count(self, topic: &str, has: usize, needed: u32) -> Option<String> {
        if has == needed as usize {
            return None;
        }
        match self {
            Self::Log => Some(format!(
                "topic {topic} has {has} partitions, log.partitions is {needed}: set \
                 log.partitions={has}; the partitions of a log can never change"
            )),
            Self::Outbox => Some(format!(
                "topic {topic} has {has} partitions, the log has {needed}, and an outbox has as \
                 many as its log: name another topic with outbox.topic"
            )),
            Self::Inbox | Self::Results => None,
        }
    }
}

impl Needed {
    pub(super) fn value(&self) -> String {
        match self {
            Self::Exactly(value) => (*value).to_owned(),
            Self::AtLeast(value) => value.to_string(),
        }
    }

    pub(super) fn is_met(&self, value: &str) -> bool {
        match self {
            Self::Exactly(needed) => value == *needed,
            Self::AtLeast(needed) => value.parse::<u64>().is_ok_and(|value| value >= *needed),
        }
    }
}
