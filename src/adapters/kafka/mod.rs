//! The log on a Kafka topic (rdkafka).
//!
//! No thread of the runtime ever waits inside librdkafka: what may wait runs on threads of its
//! own, or where waiting is allowed. Dropping the log ends them in order, without waiting.

mod appender;
mod bookmarks;
mod consumers;
mod context;
mod needs;
mod plain;
mod producer;
mod properties;
mod queries;
mod reader;
mod settling;
mod statistics;
mod topic;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::config::{KafkaAddress, LogConfig};
use crate::contract::{Offset, Partition, Time};
use crate::log::Partitions;
use crate::ports::{Appender, EventLog, LogError, LogReader, Statistic};

use appender::KafkaAppender;
pub use bookmarks::KafkaBookmarks;
use consumers::Consumers;
use context::Context;
pub use needs::Role;
pub use plain::{KafkaTopic, KafkaTopics};
use producer::Producer;
use properties::Properties;
pub use properties::check_properties;
use queries::Queries;
use reader::Readers;
use topic::Topic;

/// A log on one Kafka topic.
///
/// ```
/// use retell::adapters::kafka::KafkaLog;
/// use retell::config::{Config, KafkaAddress};
/// use retell::ports::EventLog;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let address: KafkaAddress = "kafka://127.0.0.1:9092/retell.events".parse()?;
/// let log = KafkaLog::connect(&address, &Config::defaults().log)?;
/// assert_eq!((log.name(), log.partitions().count()), ("retell.events", 8));
/// # Ok(()) }
/// ```
pub struct KafkaLog {
    topic: Topic,
    partitions: Partitions,
    record_len_max: usize,
    properties: Properties,
    context: Context,
    readers: Readers,
    /// The one that new appenders share; another after it failed for good.
    producer: Mutex<Producer>,
}

impl KafkaLog {
    /// A log at this address. It connects in the background and waits for nothing;
    /// [`EventLog::check`] tells whether it is there.
    ///
    /// # Errors
    /// [`LogError::Settings`] when a property is wrong.
    pub fn connect(address: &KafkaAddress, log: &LogConfig) -> Result<Self, LogError> {
        let wrong = check_properties(&log.kafka.properties);
        if !wrong.is_empty() {
            return Err(LogError::Settings(wrong.iter().map(ToString::to_string).collect()));
        }
        let partitions = Partitions::new(log.partitions).ok_or_else(|| {
            LogError::Settings(vec!["log.partitions is 0, a log has at least 1".to_owned()])
        })?;
        let properties = Properties::new(address, log);
        let context = Context::new(&address.brokers);
        let (consumers, client) = Consumers::start(&properties, &context, &address.topic)?;
        let queries = Queries::new(client, context.clone(), &address.topic);
        let readers = Readers { queries, consumers: Arc::new(consumers) };
        let producer = Mutex::new(Producer::start(&properties, &context, &address.topic)?);
        let topic = Topic {
            address: address.clone(),
            role: Role::Log,
            partitions: log.partitions,
            replication_factor: log.kafka.replication_factor,
            min_insync_replicas: log.kafka.min_insync_replicas,
            batch_len_max: properties.batch_len_max(),
        };
        let record_len_max = log.record_bytes_max;
        Ok(Self { topic, partitions, record_len_max, properties, context, readers, producer })
    }

    /// How many partitions the topic has; none when it is not there. It is not made.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] when no broker answers.
    pub async fn found_partitions(&self) -> Result<Option<u32>, LogError> {
        let found = self.readers.queries.metadata().await?;
        Ok(topic::found_partitions(&found))
    }

    /// The producer that new appenders share.
    fn producer(&self) -> Result<Producer, LogError> {
        let mut producer = self.producer.lock().expect("nothing panics while it is held");
        if producer.is_dead() {
            let name = &self.topic.address.topic;
            *producer = Producer::start(&self.properties, &self.context, name)?;
        }
        Ok(producer.clone())
    }
}

#[async_trait]
impl EventLog for KafkaLog {
    async fn check(&self) -> Result<(), LogError> {
        let queries = &self.readers.queries;
        self.topic.check(&self.properties, &self.context, queries).await.map(drop)
    }

    fn partitions(&self) -> Partitions {
        self.partitions
    }

    fn name(&self) -> &str {
        &self.topic.address.topic
    }

    fn record_len_max(&self) -> usize {
        self.record_len_max
    }

    async fn end(&self, partition: Partition) -> Result<Offset, LogError> {
        Ok(self.readers.queries.watermarks(partition).await?.1)
    }

    async fn offset_at(&self, partition: Partition, time: Time) -> Result<Offset, LogError> {
        match self.readers.queries.offset_at(partition, time).await? {
            Some(offset) => Ok(offset),
            None => self.end(partition).await,
        }
    }

    async fn appender(&self, partition: Partition) -> Result<Box<dyn Appender>, LogError> {
        let appender = KafkaAppender::open(self.producer()?, partition, self.record_len_max);
        Ok(Box::new(appender.await?))
    }

    async fn reader(
        &self,
        partition: Partition,
        from: Offset,
    ) -> Result<Box<dyn LogReader>, LogError> {
        Ok(Box::new(self.readers.open(partition, from).await?))
    }

    fn statistics(&self) -> Vec<Statistic> {
        self.context.statistics()
    }
}

impl std::fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaLog").field("address", &self.topic.address).finish_non_exhaustive()
    }
}
