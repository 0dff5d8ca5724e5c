//! What other teams see on Kafka, where the settings want it: the inbox and the outbox.
//!
//! Their topics are on the log's brokers, so only a log on Kafka has any; the settings were
//! checked.

use std::sync::Arc;

use futures_util::future::try_join_all;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::config::{Config, InboxConfig, OutboxConfig};
use crate::gate::Gate;
use crate::ports::{EventLog, PlainTopic};
use crate::react::inbox::{Inbox, InboxParts, Wording};
use crate::react::outbox::{EventForm, Outbox, OutboxParts};
use crate::shutdown::Shutdown;
use crate::write::{Commands, Identity};

use super::{AppError, FIRST_CHECK};

/// The topics of what is wanted, which were looked at once.
pub(super) struct Outside {
    inbox: Option<InboxTopics>,
    outbox: Option<OutboxParts>,
}

struct InboxTopics {
    commands: Arc<dyn PlainTopic>,
    results: Arc<dyn PlainTopic>,
    wording: Arc<dyn Wording>,
    config: InboxConfig,
}

/// What a topic is for.
#[derive(Clone, Copy)]
enum Use {
    Inbox,
    Results,
    Outbox,
}

impl Outside {
    pub(super) async fn open(
        config: &Config,
        node: &Identity,
        log: &Arc<dyn EventLog>,
        gate: &Gate,
    ) -> Result<Self, AppError> {
        let (wants_inbox, wants_outbox) = (config.inbox.enabled, config.outbox.enabled);
        if !wants_inbox && !wants_outbox {
            return Ok(Self { inbox: None, outbox: None });
        }
        let topics = Topics::connect(config)?;
        let inbox = if wants_inbox { Some(inbox(config, &topics)?) } else { None };
        let outbox = wants_outbox.then(|| outbox(config, &topics, node, log, gate));
        let of_inbox = inbox.iter().flat_map(|inbox| [&inbox.commands, &inbox.results]);
        let all = of_inbox.chain(outbox.iter().map(|outbox| &outbox.topic));
        try_join_all(all.map(first_check)).await?;
        Ok(Self { inbox, outbox })
    }

    /// Starts both beside the projections, where they take no time from requests.
    pub(super) fn start(
        self,
        commands: &Commands,
        projections_on: &Handle,
        stop: &Shutdown,
        tasks: &mut JoinSet<()>,
    ) -> (Option<Inbox>, Option<Outbox>) {
        let _on = projections_on.enter();
        let inbox = self.inbox.map(|topics| {
            let InboxTopics { commands: topic, results, wording, config } = topics;
            let (commands, group) = (commands.clone(), config.group);
            let in_flight_max = config.in_flight_max;
            let parts = InboxParts { commands, topic, results, wording, group, in_flight_max };
            Inbox::start(parts, stop, tasks)
        });
        (inbox, self.outbox.map(|parts| Outbox::start(parts, stop, tasks)))
    }
}

fn inbox(config: &Config, topics: &Topics) -> Result<InboxTopics, AppError> {
    let wording = wording()?;
    let InboxConfig { topic, results_topic, .. } = &config.inbox;
    let commands = topics.open(topic, Use::Inbox);
    let results = topics.open(results_topic, Use::Results);
    Ok(InboxTopics { commands, results, wording, config: config.inbox.clone() })
}

fn outbox(
    config: &Config,
    topics: &Topics,
    node: &Identity,
    log: &Arc<dyn EventLog>,
    gate: &Gate,
) -> OutboxParts {
    let OutboxConfig { topic, source, type_prefix, dataschema_url, .. } = &config.outbox;
    let or = |given: &str, other: String| if given.is_empty() { other } else { given.to_owned() };
    let schemas = format!("{}{}/schemas", node.address, config.http.base_path);
    OutboxParts {
        log: log.clone(),
        gate: gate.clone(),
        topic: topics.open(topic, Use::Outbox),
        form: EventForm {
            source: or(source, format!("urn:retell:{}", log.name())),
            type_prefix: type_prefix.clone(),
            dataschema_url: or(dataschema_url.trim_end_matches('/'), schemas),
        },
        chunk_records_max: config.read.chunk_records_max,
        chunk_bytes_max: config.read.chunk_bytes_max,
    }
}

/// Settings that a person must mend are told now; what does not answer is waited for.
async fn first_check(topic: &Arc<dyn PlainTopic>) -> Result<(), AppError> {
    match tokio::time::timeout(FIRST_CHECK, topic.check()).await {
        Ok(Err(error)) if !error.is_retryable() => Err(error.into()),
        _ => Ok(()),
    }
}

/// The brokers that have the topics.
#[cfg(feature = "kafka")]
struct Topics(crate::adapters::kafka::KafkaTopics);

#[cfg(feature = "kafka")]
impl Topics {
    fn connect(config: &Config) -> Result<Self, AppError> {
        use crate::adapters::kafka::KafkaTopics;
        match &config.log.url {
            crate::config::LogUrl::Kafka(log) => Ok(Self(KafkaTopics::connect(log, &config.log)?)),
            _ => Err(impossible(config)),
        }
    }

    fn open(&self, name: &str, role: Use) -> Arc<dyn PlainTopic> {
        use crate::adapters::kafka::Role;
        let role = match role {
            Use::Inbox => Role::Inbox,
            Use::Results => Role::Results,
            Use::Outbox => Role::Outbox,
        };
        Arc::new(self.0.open(name, role))
    }
}

/// There are none.
#[cfg(not(feature = "kafka"))]
enum Topics {}

#[cfg(not(feature = "kafka"))]
impl Topics {
    fn connect(config: &Config) -> Result<Self, AppError> {
        Err(impossible(config))
    }

    fn open(&self, _: &str, _: Use) -> Arc<dyn PlainTopic> {
        match *self {}
    }
}

#[cfg(feature = "http")]
fn wording() -> Result<Arc<dyn Wording>, AppError> {
    Ok(Arc::new(crate::http::InboxWording))
}

/// The answers are those of the door.
#[cfg(not(feature = "http"))]
fn wording() -> Result<Arc<dyn Wording>, AppError> {
    let detail = "this binary was built without `http`, whose answers it gives".to_owned();
    Err(AppError::Setting { key: "inbox.enabled", detail })
}

fn impossible(config: &Config) -> AppError {
    let key = if config.inbox.enabled { "inbox.enabled" } else { "outbox.enabled" };
    let detail = "it needs a log on Kafka, and a binary that was built with `kafka`".to_owned();
    AppError::Setting { key, detail }
}
