//! Plain topics beside the log: what other teams read and write. They are never a source of truth.
//!
//! Laws, each a test of `tests/integration/conformance/topics.rs`:
//!
//! 1. When `send` returns, every message is durable, and those of a partition are in the order
//!    given, each once.
//! 2. Of a `send` that did not return `Ok`, each partition has got a beginning, however late it
//!    lands: no message is there without those before it.
//! 3. `before` gives the messages just before an offset, in order and without a hole, none of
//!    which it invents; nothing only where the partition begins.
//! 4. A group is given each message of a partition in order, from behind the last that it is
//!    done with, and from the partition's first while it is done with none.
//! 5. What a member says is done is not given to those who join later; what it leaves is.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::contract::{Offset, Partition, Position, Time};
use crate::log::Partitions;

use super::event_log::LogError;

/// A message of a plain topic.
///
/// ```
/// use retell::ports::Message;
///
/// let headers = vec![("idempotency-key".to_owned(), "order-7".into())];
/// let message = Message { key: Some("light/hall".into()), headers, value: "{}".into() };
/// assert_eq!(message.header("idempotency-key"), Some("order-7"));
/// assert_eq!(message.header("actor"), None);
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Message {
    /// What keeps messages in order for those who spread them.
    pub key: Option<Bytes>,
    /// Names and values, in order; a name may come twice.
    pub headers: Vec<(String, Bytes)>,
    /// Its content.
    pub value: Bytes,
}

/// A message as it was read.
///
/// ```
/// use retell::ports::{Message, PlainTopic, Received};
/// # use std::sync::Arc;
/// # use retell::adapters::memory::{ManualClock, MemoryTopic};
/// # use retell::{Partition, Time, log::Partitions};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let clock = Arc::new(ManualClock::default());
/// # let topic = MemoryTopic::new("orders", Partitions::new(1).expect("one"), clock);
/// let message = Message { value: "{}".into(), ..Message::default() };
/// topic.send(vec![(Partition(0), message.clone())]).await?;
/// let received = topic.join("retell").await?.next(100).await?;
/// let (position, time) = ("0@0".parse()?, Time::default());
/// assert_eq!(received, [Received { position, time, message }]);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Received {
    /// Where it is.
    pub position: Position,
    /// Its time, by its producer's clock or the broker's, as the topic wants it.
    pub time: Time,
    /// What it says.
    pub message: Message,
}

/// One plain topic.
///
/// ```
/// use std::sync::Arc;
///
/// use retell::adapters::{SystemClock, memory::MemoryTopic};
/// use retell::log::Partitions;
/// use retell::ports::{Message, PlainTopic};
/// use retell::{Offset, Partition};
///
/// # #[tokio::main] async fn main() -> Result<(), retell::ports::LogError> {
/// let topic = MemoryTopic::new("facts", Partitions::new(1).expect("one"), Arc::new(SystemClock));
/// let fact = Message { value: "it is dark".into(), ..Message::default() };
/// topic.send(vec![(Partition(0), fact.clone())]).await?;
/// assert_eq!(topic.span(Partition(0)).await?, Offset(0)..Offset(1));
/// let last = topic.before(Partition(0), Offset(1), 10).await?;
/// assert_eq!(last[0].message, fact);
/// # Ok(()) }
/// ```
#[async_trait]
pub trait PlainTopic: Send + Sync {
    /// Its name.
    fn name(&self) -> &str;

    /// Makes the topic if it is not there, and looks whether it is what it must be; how many
    /// partitions it has.
    ///
    /// # Errors
    /// [`LogError::Settings`] when a person must mend it; every message says how.
    async fn check(&self) -> Result<Partitions, LogError>;

    /// The first offset that is still there, and the one behind the last.
    ///
    /// # Errors
    /// The topic does not answer.
    async fn span(&self, partition: Partition) -> Result<Range<Offset>, LogError>;

    /// The messages just before `end`, at most about `len_max`.
    ///
    /// # Errors
    /// The topic does not answer.
    async fn before(
        &self,
        partition: Partition,
        end: Offset,
        len_max: usize,
    ) -> Result<Vec<Received>, LogError>;

    /// Sends messages to these partitions; returns when they are durable. It waits for brokers
    /// that do not answer as long as it takes.
    ///
    /// # Errors
    /// Some may not be there, and may still come. Who must leave no gap looks at the topic's end
    /// before it sends more.
    async fn send(&self, messages: Vec<(Partition, Message)>) -> Result<(), LogError>;

    /// Joins a group of those who share the topic's messages among them.
    ///
    /// # Errors
    /// It cannot be asked for; whether a broker answers shows later.
    async fn join(&self, group: &str) -> Result<Box<dyn Intake>, LogError>;
}

/// A member of a group. Dropping it leaves the group.
///
/// ```
/// use retell::ports::{Message, PlainTopic};
/// # use std::sync::Arc;
/// # use retell::{Partition, adapters::{SystemClock, memory::MemoryTopic}, log::Partitions};
///
/// # #[tokio::main] async fn main() -> Result<(), retell::ports::LogError> {
/// # let one = Partitions::new(1).expect("one");
/// # let topic = MemoryTopic::new("orders", one, Arc::new(SystemClock));
/// let order = Message { value: "{}".into(), ..Message::default() };
/// topic.send(vec![(Partition(0), order.clone()), (Partition(0), order)]).await?;
/// let mut member = topic.join("retell").await?;
/// assert_eq!(member.next(1).await?.len(), 1);
/// assert_eq!(member.next(100).await?.len(), 1);
/// member.leave().await;
/// // Nothing is done: who joins now is given both.
/// assert_eq!(topic.join("retell").await?.next(100).await?.len(), 2);
/// # Ok(()) }
/// ```
#[async_trait]
pub trait Intake: Send {
    /// Waits for messages, and gives those that are there, at most `len_max`. The partitions of
    /// the group may move to other members at any time: what is given here may be given to another
    /// member, too, unless it is done. Dropping the future loses no message.
    ///
    /// # Errors
    /// The topic does not answer; it may be asked again.
    async fn next(&mut self, len_max: usize) -> Result<Vec<Received>, LogError>;

    /// Where it is told what is done.
    fn progress(&self) -> Arc<dyn Progress>;

    /// Leaves the group, and returns when what is done is durable.
    async fn leave(self: Box<Self>);
}

/// Takes note of what a member has done.
///
/// ```
/// use retell::Offset;
/// use retell::ports::{Message, PlainTopic};
/// # use std::sync::Arc;
/// # use retell::{Partition, adapters::{SystemClock, memory::MemoryTopic}, log::Partitions};
///
/// # #[tokio::main] async fn main() -> Result<(), retell::ports::LogError> {
/// # let one = Partitions::new(1).expect("one");
/// # let topic = MemoryTopic::new("orders", one, Arc::new(SystemClock));
/// let order = |text: &'static str| Message { value: text.into(), ..Message::default() };
/// topic.send(vec![(Partition(0), order("first")), (Partition(0), order("second"))]).await?;
/// let member = topic.join("retell").await?;
/// member.progress().done(Partition(0), Offset(1));
/// member.leave().await;
/// let left = topic.join("retell").await?.next(100).await?;
/// assert_eq!(left[0].message, order("second"));
/// # Ok(()) }
/// ```
pub trait Progress: Send + Sync {
    /// All messages of this partition before `next` are done. It is made durable soon, and at the
    /// latest when the member leaves; not at all if another member has the partition by then.
    fn done(&self, partition: Partition, next: Offset);
}

impl Message {
    /// The value of the first header with this name, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(header, _)| header == name)?;
        std::str::from_utf8(value).ok()
    }
}
