//! Bookmarks as committed offsets of consumer groups, one group a name, so that the tools which
//! everybody has for Kafka show the lag. The checkpoint itself is the offset's metadata.
//!
//! Nobody joins a group: offsets are committed from outside, as tools do that reset them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use async_trait::async_trait;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use crate::config::{KafkaAddress, LogConfig};
use crate::contract::Partition;
use crate::log::Checkpoint;
use crate::ports::{Bookmarks, LogError};

use super::consumers::SERVE_TIMEOUT;
use super::context::{ANSWER_TIMEOUT, Context};
use super::properties::Properties;
use super::queries::number;

/// Bookmarks in the brokers' own topic of offsets.
///
/// ```
/// use retell::adapters::kafka::KafkaBookmarks;
/// use retell::ports::{Bookmarks, LogError};
/// # use retell::{Partition, config::{Config, KafkaAddress}};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let property = "log.kafka.properties.no.such.property".to_owned();
/// # let log = Config::load(None, std::env::vars(), &[(property, "1".to_owned())])?.log;
/// let address: KafkaAddress = "kafka://127.0.0.1:9092/retell.events".parse()?;
/// let bookmarks = KafkaBookmarks::beside(&address, &log);
/// // A client is made for each name when it is asked for; here one property is none that it takes.
/// let found = bookmarks.find("policy.cellar-is-dark", Partition(0)).await;
/// assert!(matches!(found, Err(LogError::Settings(_))));
/// # Ok(()) }
/// ```
pub struct KafkaBookmarks {
    topic: String,
    properties: Properties,
    context: Context,
    /// One client for each group.
    clients: Mutex<BTreeMap<String, Arc<BaseConsumer<Context>>>>,
}

impl KafkaBookmarks {
    /// Those of the log at this address. Nothing connects before it is asked for.
    #[must_use]
    pub fn beside(address: &KafkaAddress, log: &LogConfig) -> Self {
        Self {
            topic: address.topic.clone(),
            properties: Properties::new(address, log),
            context: Context::new(&address.brokers),
            clients: Mutex::default(),
        }
    }

    /// Asks the client of a group on a thread that may wait.
    async fn ask<T: Send + 'static>(
        &self,
        name: &str,
        question: impl FnOnce(&BaseConsumer<Context>) -> KafkaResult<T> + Send + 'static,
    ) -> Result<T, LogError> {
        let client = self.client(name)?;
        let asked = tokio::task::spawn_blocking(move || {
            let answer = question(&client);
            // Nobody else hears its log.
            while client.poll(SERVE_TIMEOUT).is_some() {}
            answer
        });
        let asked = asked.await;
        match asked {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                // It may have lost the brokers (`Context::is_lost`); it does not tell, because
                // nobody listens between two questions. The next one is asked of another.
                let asked = self.clients().remove(name);
                if let Some(client) = asked {
                    end(client);
                }
                Err(self.context.unavailable("bookmark", &error))
            }
            Err(gone) => Err(LogError::Unavailable(format!("bookmark: {gone}"))),
        }
    }

    fn clients(&self) -> MutexGuard<'_, BTreeMap<String, Arc<BaseConsumer<Context>>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn client(&self, name: &str) -> Result<Arc<BaseConsumer<Context>>, LogError> {
        let mut clients = self.clients();
        if let Some(client) = clients.get(name) {
            return Ok(client.clone());
        }
        let group = format!("{}.{name}", self.topic);
        let config = self.properties.group(&group);
        let client = config.create_with_context(self.context.of("bookmarks"));
        let client: BaseConsumer<Context> =
            client.map_err(|error| LogError::Settings(vec![error.to_string()]))?;
        let client = Arc::new(client);
        clients.insert(name.to_owned(), client.clone());
        Ok(client)
    }
}

#[async_trait]
impl Bookmarks for KafkaBookmarks {
    async fn find(&self, name: &str, partition: Partition) -> Result<Option<Checkpoint>, LogError> {
        let topic = self.topic.clone();
        let found = self.ask(name, move |client| {
            let mut list = TopicPartitionList::new();
            list.add_partition(&topic, number(partition));
            let committed = client.committed_offsets(list, ANSWER_TIMEOUT)?;
            let elements = committed.elements();
            let element = &elements[0];
            element.error()?;
            let is_there = matches!(element.offset(), KafkaOffset::Offset(_));
            Ok(is_there.then(|| element.metadata().to_owned()))
        });
        let Some(json) = found.await? else { return Ok(None) };
        let damaged =
            |error| LogError::Damaged(format!("the bookmark `{name}` of p{partition}: {error}"));
        serde_json::from_str(&json).map(Some).map_err(damaged)
    }

    async fn keep(
        &self,
        name: &str,
        partition: Partition,
        checkpoint: &Checkpoint,
    ) -> Result<(), LogError> {
        let topic = self.topic.clone();
        let json = serde_json::to_string(checkpoint).expect("it has string keys only");
        let offset = i64::try_from(checkpoint.next.0).unwrap_or(i64::MAX);
        self.ask(name, move |client| {
            let mut list = TopicPartitionList::new();
            let mut element = list.add_partition(&topic, number(partition));
            element.set_offset(KafkaOffset::Offset(offset))?;
            element.set_metadata(json);
            client.commit(&list, CommitMode::Sync)
        })
        .await
    }
}

impl Drop for KafkaBookmarks {
    fn drop(&mut self) {
        let clients =
            std::mem::take(self.clients.get_mut().unwrap_or_else(PoisonError::into_inner));
        end(clients);
    }
}

/// A client waits for its threads when it ends; so it ends on a thread of its own. Without one it
/// ends here.
fn end<T: Send + 'static>(clients: T) {
    let ending = thread::Builder::new().name("retell-bookmarks".to_owned());
    drop(ending.spawn(move || drop(clients)));
}

impl std::fmt::Debug for KafkaBookmarks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaBookmarks").field("topic", &self.topic).finish_non_exhaustive()
    }
}
