//! A member of a group of consumers, and the thread that keeps it.
//!
//! Whatever may wait (joining, giving partitions away, leaving) happens on that thread. What a
//! member has done librdkafka commits, and only for partitions that it still has.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc as orders;
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientConfig, Offset as KafkaOffset, TopicPartitionList};
use tokio::sync::{mpsc, oneshot};

use crate::contract::{Offset, Partition};
use crate::ports::{Intake, LogError, Progress, Received};

use super::super::consumers::SERVE_TIMEOUT;
use super::super::context::Context;
use super::super::queries::number;
use super::tail::received;

/// Messages that are handed over at once: each time wakes a thread or two.
const CHUNK_LEN_MAX: usize = 256;
/// Chunks that wait to be taken; librdkafka holds more, within its own limit in bytes.
const READY_LEN_MAX: usize = 4;
/// Between two looks whether there is something that nobody told of. A member that does not look
/// for `max.poll.interval.ms`, five minutes, loses its place.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

type Client = Arc<BaseConsumer<Context>>;
type Given = Result<VecDeque<Received>, LogError>;

/// A member of a group.
pub(super) struct KafkaIntake {
    /// None only while it leaves.
    client: Option<Client>,
    orders: orders::Sender<Order>,
    given: mpsc::Receiver<Given>,
    /// The rest of what was given last.
    rest: VecDeque<Received>,
}

struct KafkaProgress {
    orders: orders::Sender<Order>,
}

/// What the thread is asked to do.
enum Order {
    /// There is something to take.
    Serve,
    /// All messages of the partition before this offset are done.
    Done { partition: Partition, next: Offset },
    /// The member leaves; its client is dropped where waiting is allowed.
    Leave { client: Client, left: Option<oneshot::Sender<()>> },
}

impl KafkaIntake {
    /// Asks to join; the brokers answer later.
    pub(super) fn join(
        config: &ClientConfig,
        context: &Context,
        topic: &str,
    ) -> Result<Self, LogError> {
        let wrong = |error| LogError::Settings(vec![format!("consumer: {error}")]);
        let context = context.of("member");
        let mut client: BaseConsumer<Context> =
            config.create_with_context(context.clone()).map_err(wrong)?;
        let (orders, inbox) = orders::channel();
        // It runs on a thread of librdkafka's, which must not wait.
        let serve = orders.clone();
        client.set_nonempty_callback(move || {
            let _ = serve.send(Order::Serve);
        });
        client.subscribe(&[topic]).map_err(wrong)?;
        let client = Arc::new(client);
        let (give, given) = mpsc::channel(READY_LEN_MAX);
        let topic = topic.to_owned();
        let served = Served { topic, client: Arc::clone(&client), context, give };
        thread::Builder::new()
            .name("retell-member".to_owned())
            .spawn(move || served.run(&inbox))
            .map_err(|error| LogError::Unavailable(format!("no thread: {error}")))?;
        Ok(Self { client: Some(client), orders, given, rest: VecDeque::new() })
    }

    fn say_leave(&mut self, left: Option<oneshot::Sender<()>>) {
        // Nobody takes messages any more; the thread may be waiting for that.
        self.given.close();
        while self.given.try_recv().is_ok() {}
        if let Some(client) = self.client.take() {
            // An error means that the thread has ended, which it does only after this.
            let _ = self.orders.send(Order::Leave { client, left });
        }
    }
}

#[async_trait]
impl Intake for KafkaIntake {
    async fn next(&mut self, len_max: usize) -> Result<Vec<Received>, LogError> {
        if self.rest.is_empty() {
            let gone = || LogError::Unavailable("the member's thread has ended".to_owned());
            self.rest = self.given.recv().await.ok_or_else(gone)??;
        }
        let len = self.rest.len().min(len_max);
        Ok(self.rest.drain(..len).collect())
    }

    fn progress(&self) -> Arc<dyn Progress> {
        Arc::new(KafkaProgress { orders: self.orders.clone() })
    }

    async fn leave(mut self: Box<Self>) {
        let (left, has_left) = oneshot::channel();
        self.say_leave(Some(left));
        let _ = has_left.await;
    }
}

impl Progress for KafkaProgress {
    fn done(&self, partition: Partition, next: Offset) {
        // An error means that the member has left.
        let _ = self.orders.send(Order::Done { partition, next });
    }
}

impl Drop for KafkaIntake {
    fn drop(&mut self) {
        self.say_leave(None);
    }
}

/// The thread's own.
struct Served {
    topic: String,
    client: Client,
    context: Context,
    give: mpsc::Sender<Given>,
}

impl Served {
    fn run(self, inbox: &orders::Receiver<Order>) {
        let (mut may_have_more, mut said_lost) = (true, false);
        loop {
            let order = if may_have_more {
                inbox.try_recv().ok()
            } else {
                inbox.recv_timeout(LOOK_AGAIN).ok()
            };
            match order {
                Some(Order::Done { partition, next }) => self.store(partition, next),
                Some(Order::Leave { client, left }) => {
                    drop(self);
                    // The last one: it commits what is done, and leaves the group.
                    drop(client);
                    if let Some(left) = left {
                        let _ = left.send(());
                    }
                    return;
                }
                Some(Order::Serve) | None => may_have_more = self.serve(),
            }
            if self.context.is_lost() && !said_lost {
                said_lost = true;
                // An error means that the member is leaving.
                let _ = self.give.blocking_send(Err(self.context.silent("inbox")));
            }
        }
    }

    /// Hands on what is there, as soon as it is wanted; false when there is nothing.
    fn serve(&self) -> bool {
        let (began, mut chunk) = (Instant::now(), VecDeque::new());
        while chunk.len() < CHUNK_LEN_MAX {
            // What is there waits for nothing that may come.
            let patience = if chunk.is_empty() { SERVE_TIMEOUT } else { Duration::ZERO };
            match self.client.poll(patience) {
                Some(Ok(message)) => chunk.push_back(received(&message)),
                // A poll that returns earlier has heard of the group, and there may be more.
                None if chunk.is_empty() => return began.elapsed() < SERVE_TIMEOUT,
                None => break,
                Some(Err(error)) if is_for_good(&error) => {
                    let error = self.context.unavailable("inbox", &error);
                    return self.give(chunk) && self.give.blocking_send(Err(error)).is_ok();
                }
                // The end of a partition, and above all connections that fail: librdkafka heals
                // them by itself.
                Some(Err(_)) => break,
            }
        }
        self.give(chunk)
    }

    /// False when nobody takes messages any more.
    fn give(&self, chunk: VecDeque<Received>) -> bool {
        chunk.is_empty() || self.give.blocking_send(Ok(chunk)).is_ok()
    }

    fn store(&self, partition: Partition, next: Offset) {
        let offset = KafkaOffset::Offset(i64::try_from(next.0).unwrap_or(i64::MAX));
        let mut list = TopicPartitionList::new();
        let stored = list
            .add_partition_offset(&self.topic, number(partition), offset)
            // The list's offsets are taken as they are; one alone would be taken plus 1.
            .and_then(|()| self.client.store_offsets(&list));
        // It refuses what this member does not have any more; then another does it again.
        if let Err(error) = stored {
            tracing::debug!(%partition, %error, "a partition was given away meanwhile");
        }
    }
}

/// Whether the member gets no more messages until it joins again.
fn is_for_good(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(error, KafkaError::MessageConsumptionFatal(_))
        || matches!(
            error.rdkafka_error_code(),
            Some(
                Code::PollExceeded
                    | Code::UnknownTopic
                    | Code::UnknownTopicOrPartition
                    | Code::TopicAuthorizationFailed
                    | Code::GroupAuthorizationFailed
            )
        )
}
