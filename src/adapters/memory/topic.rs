//! A plain topic in memory: what is sent is there at once, in the order of the calls.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::contract::{Offset, Partition, Position};
use crate::log::Partitions;
use crate::ports::{Clock, Intake, LogError, Message, PlainTopic, Progress, Received};

/// A topic that ends with the process. Clones are the same topic.
///
/// ```
/// use std::sync::Arc;
///
/// use retell::adapters::{SystemClock, memory::MemoryTopic};
/// use retell::log::Partitions;
/// use retell::ports::{Message, PlainTopic};
/// # use retell::Partition;
///
/// # #[tokio::main] async fn main() -> Result<(), retell::ports::LogError> {
/// let topic = MemoryTopic::new("facts", Partitions::new(2).expect("2"), Arc::new(SystemClock));
/// let fact = Message { value: "it is dark".into(), ..Message::default() };
/// topic.send(vec![(Partition(1), fact)]).await?;
/// let sent = topic.messages(Partition(1));
/// assert_eq!((sent.len(), &*sent[0].message.value), (1, &b"it is dark"[..]));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct MemoryTopic(Arc<Inner>);

struct Inner {
    name: String,
    clock: Arc<dyn Clock>,
    contents: Mutex<Contents>,
    sent: Notify,
}

struct Contents {
    partitions: Vec<Vec<Received>>,
    /// How far each group is done, by partition.
    done: HashMap<String, Vec<Offset>>,
}

/// A member that reads all partitions; it begins behind what is done.
struct MemoryIntake {
    topic: MemoryTopic,
    group: String,
    next: Vec<Offset>,
}

struct MemoryProgress {
    topic: MemoryTopic,
    group: String,
}

impl MemoryTopic {
    /// An empty topic, whose messages get their times from `clock`.
    #[must_use]
    pub fn new(name: &str, partitions: Partitions, clock: Arc<dyn Clock>) -> Self {
        let partitions = partitions.iter().map(|_| Vec::new()).collect();
        let contents = Mutex::new(Contents { partitions, done: HashMap::new() });
        Self(Arc::new(Inner { name: name.to_owned(), clock, contents, sent: Notify::new() }))
    }

    /// All messages of a partition.
    #[must_use]
    pub fn messages(&self, partition: Partition) -> Vec<Received> {
        self.contents().partitions[partition.0 as usize].clone()
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.contents.lock().expect("nothing panics while it is held")
    }
}

#[async_trait]
impl PlainTopic for MemoryTopic {
    fn name(&self) -> &str {
        &self.0.name
    }

    async fn check(&self) -> Result<Partitions, LogError> {
        let count = u32::try_from(self.contents().partitions.len()).expect("it came from one");
        Ok(Partitions::new(count).expect("it came from one"))
    }

    async fn span(&self, partition: Partition) -> Result<Range<Offset>, LogError> {
        let len = self.contents().partitions[partition.0 as usize].len();
        Ok(Offset(0)..Offset(len as u64))
    }

    async fn before(
        &self,
        partition: Partition,
        end: Offset,
        len_max: usize,
    ) -> Result<Vec<Received>, LogError> {
        let contents = self.contents();
        let messages = &contents.partitions[partition.0 as usize];
        let end = usize::try_from(end.0).unwrap_or(usize::MAX).min(messages.len());
        Ok(messages[end.saturating_sub(len_max)..end].to_vec())
    }

    async fn send(&self, messages: Vec<(Partition, Message)>) -> Result<(), LogError> {
        let time = self.0.clock.now();
        {
            let mut contents = self.contents();
            for (partition, message) in messages {
                let all = &mut contents.partitions[partition.0 as usize];
                let position = Position { partition, offset: Offset(all.len() as u64) };
                all.push(Received { position, time, message });
            }
        }
        self.0.sent.notify_waiters();
        Ok(())
    }

    async fn join(&self, group: &str) -> Result<Box<dyn Intake>, LogError> {
        let mut contents = self.contents();
        let none = vec![Offset(0); contents.partitions.len()];
        let next = contents.done.entry(group.to_owned()).or_insert(none).clone();
        Ok(Box::new(MemoryIntake { topic: self.clone(), group: group.to_owned(), next }))
    }
}

#[async_trait]
impl Intake for MemoryIntake {
    async fn next(&mut self, len_max: usize) -> Result<Vec<Received>, LogError> {
        loop {
            let mut sent = std::pin::pin!(self.topic.0.sent.notified());
            sent.as_mut().enable();
            let mut given = Vec::new();
            for (messages, next) in self.topic.contents().partitions.iter().zip(&mut self.next) {
                let from = usize::try_from(next.0).unwrap_or(usize::MAX).min(messages.len());
                let left = len_max - given.len();
                given.extend(messages[from..].iter().take(left).cloned());
                *next = next.plus((messages.len() - from).min(left) as u64);
            }
            if !given.is_empty() {
                return Ok(given);
            }
            sent.await;
        }
    }

    fn progress(&self) -> Arc<dyn Progress> {
        Arc::new(MemoryProgress { topic: self.topic.clone(), group: self.group.clone() })
    }

    async fn leave(self: Box<Self>) {}
}

impl Progress for MemoryProgress {
    fn done(&self, partition: Partition, next: Offset) {
        let mut contents = self.topic.contents();
        if let Some(done) = contents.done.get_mut(&self.group) {
            let done = &mut done[partition.0 as usize];
            *done = next.max(*done);
        }
    }
}
