//! Plain topics on Kafka, beside the log and on its brokers.

mod intake;
mod producer;
mod tail;

use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::config::{KafkaAddress, LogConfig};
use crate::contract::{Offset, Partition};
use crate::log::Partitions;
use crate::ports::{Intake, LogError, Message, PlainTopic, Received};

use super::consumers::{Consumers, QueryClient};
use super::context::Context;
use super::needs::Role;
use super::properties::Properties;
use super::queries::Queries;
use super::topic::Topic;
use producer::PlainProducer;

/// The plain topics on a log's brokers: they share the client that asks for ends and settings.
///
/// ```
/// use retell::adapters::kafka::{KafkaTopics, Role};
/// use retell::config::{Config, KafkaAddress};
/// use retell::ports::PlainTopic;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let log: KafkaAddress = "kafka://127.0.0.1:9092/retell.events".parse()?;
/// let topics = KafkaTopics::connect(&log, &Config::defaults().log)?;
/// assert_eq!(topics.open("retell.outbox", Role::Outbox).name(), "retell.outbox");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct KafkaTopics {
    /// Before the consumers, so that no client is dropped where waiting is not allowed.
    client: QueryClient,
    /// Serves that client.
    _consumers: Arc<Consumers>,
    properties: Properties,
    context: Context,
    brokers: String,
    config: LogConfig,
}

/// One plain topic. Its clients end with it, in the background.
///
/// ```
/// use std::sync::Arc;
///
/// use retell::adapters::kafka::{KafkaTopics, Role};
/// use retell::ports::PlainTopic;
/// # use retell::config::Config;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let log = "kafka://127.0.0.1:9092/retell.events".parse()?;
/// # let topics = KafkaTopics::connect(&log, &Config::defaults().log)?;
/// let topic: Arc<dyn PlainTopic> = Arc::new(topics.open("facts", Role::Results));
/// assert_eq!(topic.name(), "facts"); // it is looked for when it is checked
/// # Ok(()) }
/// ```
pub struct KafkaTopic {
    queries: Queries,
    topic: Topic,
    /// Made with the first message; another after it failed for good.
    producer: Mutex<Option<PlainProducer>>,
    topics: KafkaTopics,
}

impl KafkaTopics {
    /// It connects in the background and waits for nothing.
    ///
    /// # Errors
    /// [`LogError::Settings`] when a property is wrong.
    pub fn connect(log: &KafkaAddress, config: &LogConfig) -> Result<Self, LogError> {
        let properties = Properties::new(log, config);
        let context = Context::new(&log.brokers);
        let (consumers, client) = Consumers::start(&properties, &context, &log.topic)?;
        let (brokers, config) = (log.brokers.clone(), config.clone());
        let _consumers = Arc::new(consumers);
        Ok(Self { client, _consumers, properties, context, brokers, config })
    }

    /// The topic of this name. One that is not there is made when it is checked, with as many
    /// partitions as the log.
    #[must_use]
    pub fn open(&self, name: &str, role: Role) -> KafkaTopic {
        let address = KafkaAddress { brokers: self.brokers.clone(), topic: name.to_owned() };
        let topic = Topic {
            address,
            role,
            partitions: self.config.partitions,
            replication_factor: self.config.kafka.replication_factor,
            min_insync_replicas: self.config.kafka.min_insync_replicas,
            batch_len_max: self.properties.plain_batch_len_max(),
        };
        let queries = Queries::new(self.client.clone(), self.context.clone(), name);
        KafkaTopic { queries, topic, producer: Mutex::default(), topics: self.clone() }
    }
}

impl KafkaTopic {
    fn producer(&self) -> Result<PlainProducer, LogError> {
        let mut producer = self.producer.lock().expect("nothing panics while it is held");
        match &*producer {
            Some(producer) if !producer.is_dead() => Ok(producer.clone()),
            _ => {
                let KafkaTopics { properties, context, .. } = &self.topics;
                let new = PlainProducer::start(properties, context, self.name())?;
                Ok(producer.insert(new).clone())
            }
        }
    }
}

#[async_trait]
impl PlainTopic for KafkaTopic {
    fn name(&self) -> &str {
        &self.topic.address.topic
    }

    async fn check(&self) -> Result<Partitions, LogError> {
        let KafkaTopics { properties, context, .. } = &self.topics;
        let count = self.topic.check(properties, context, &self.queries).await?;
        Partitions::new(count).ok_or_else(|| LogError::Unavailable("no partition".to_owned()))
    }

    async fn span(&self, partition: Partition) -> Result<Range<Offset>, LogError> {
        let (first, end) = self.queries.watermarks(partition).await?;
        Ok(first..end)
    }

    async fn before(
        &self,
        partition: Partition,
        end: Offset,
        len_max: usize,
    ) -> Result<Vec<Received>, LogError> {
        let span = self.span(partition).await?;
        let KafkaTopics { properties, context, .. } = &self.topics;
        let (config, context) = (properties.consumer(), context.of("tail"));
        tail::before(config, context, self.name(), partition, span.start..end, len_max).await
    }

    async fn send(&self, messages: Vec<(Partition, Message)>) -> Result<(), LogError> {
        self.producer()?.send(messages).await
    }

    async fn join(&self, group: &str) -> Result<Box<dyn Intake>, LogError> {
        let KafkaTopics { properties, context, .. } = &self.topics;
        let config = properties.member(group);
        Ok(Box::new(intake::KafkaIntake::join(&config, context, self.name())?))
    }
}

impl std::fmt::Debug for KafkaTopic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaTopic").field("address", &self.topic.address).finish_non_exhaustive()
    }
}
