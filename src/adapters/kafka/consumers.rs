//! The consumers that readers share, and the thread that keeps them.
//!
//! A consumer carries at most one reader of each partition, in that partition's own queue; a
//! second reader of a partition needs a second consumer. So P partitions with two readers each
//! need two consumers, not 2 P: each costs three threads and two connections or more.
//!
//! Whatever may wait for librdkafka (assigning, closing, its log) happens on this thread or on
//! one that ends with it, never where readers run.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset as KafkaOffset, TopicPartitionList};
use tokio::sync::{Notify, oneshot};

use crate::contract::{Offset, Partition};
use crate::ports::LogError;

use super::context::Context;
use super::properties::Properties;
use super::queries::number;

/// Consumers of one log: so many readers one partition can have at once.
const CONSUMERS_MAX: usize = 32;
/// librdkafka counts in milliseconds, and it must not be zero.
const SERVE_TIMEOUT: Duration = Duration::from_millis(1);

/// Asks the thread that keeps the consumers. The thread ends after the last handle is gone.
pub(super) struct Consumers {
    orders: mpsc::Sender<Order>,
}

/// One reader's place on a consumer.
pub(super) struct Place {
    /// The partition's records; `None` only while it is being given back.
    queue: Option<PartitionQueue<Context>>,
    wake: Arc<Notify>,
    partition: Partition,
    consumer: usize,
    consumers: Arc<Consumers>,
}

/// What the thread is asked to do. There is never more waiting than a few orders per reader and
/// one `Serve` per consumer, so the channel needs no bound.
enum Order {
    /// Begin to read a partition.
    Open { partition: Partition, from: Offset, reply: oneshot::Sender<Result<Opened, LogError>> },
    /// A reader is gone.
    Close { consumer: usize, partition: Partition, queue: PartitionQueue<Context> },
    /// A consumer has something to say; `None` is the client for queries.
    Serve(Option<usize>),
    /// All handles are gone.
    End,
}

struct Opened {
    queue: PartitionQueue<Context>,
    wake: Arc<Notify>,
    consumer: usize,
}

impl Consumers {
    /// Starts the thread; returns the client for queries, which it serves too.
    pub(super) fn start(
        properties: &Properties,
        context: &Context,
        topic: &str,
    ) -> Result<(Self, Arc<BaseConsumer<Context>>), LogError> {
        let (orders, inbox) = mpsc::channel();
        let queries =
            client(&properties.queries(), context.of("queries"), None, &orders).map_err(wrong)?;
        let keeper = Keeper {
            config: properties.consumer(),
            context: context.of("consumer"),
            topic: topic.to_owned(),
            orders: orders.clone(),
            queries: Some(Arc::clone(&queries.client)),
            queries_asked: queries.asked,
            shared: Vec::new(),
        };
        // Wrong settings are found now, not by the first reader.
        keeper.config.create_native_config().map_err(wrong)?;
        thread::Builder::new()
            .name("retell-consumers".to_owned())
            .spawn(move || keeper.run(&inbox))
            .map_err(|error| LogError::Unavailable(format!("no thread for consumers: {error}")))?;
        Ok((Self { orders }, queries.client))
    }

    /// A place to read a partition from an offset on.
    pub(super) async fn open(
        self: &Arc<Self>,
        partition: Partition,
        from: Offset,
    ) -> Result<Place, LogError> {
        let (reply, answer) = oneshot::channel();
        let gone = || LogError::Unavailable("the consumers' thread has ended".to_owned());
        self.orders.send(Order::Open { partition, from, reply }).map_err(|_| gone())?;
        let Opened { queue, wake, consumer } = answer.await.map_err(|_| gone())??;
        let queue = Some(queue);
        Ok(Place { queue, wake, partition, consumer, consumers: Arc::clone(self) })
    }
}

impl Drop for Consumers {
    fn drop(&mut self) {
        // An error means that the thread has ended.
        let _ = self.orders.send(Order::End);
    }
}

impl Place {
    /// The partition's records.
    pub(super) fn queue(&self) -> &PartitionQueue<Context> {
        self.queue.as_ref().expect("only drop takes it")
    }

    /// Waits until there is something in an empty queue.
    pub(super) async fn filled(&self) {
        self.wake.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.take() {
            let (consumer, partition) = (self.consumer, self.partition);
            // An error means that the thread has ended, and the consumer with it.
            let _ = self.consumers.orders.send(Order::Close { consumer, partition, queue });
        }
    }
}

/// The thread's own.
struct Keeper {
    config: ClientConfig,
    context: Context,
    topic: String,
    orders: mpsc::Sender<Order>,
    queries: Option<Arc<BaseConsumer<Context>>>,
    queries_asked: Arc<AtomicBool>,
    /// By their numbers; a gap is one that was closed.
    shared: Vec<Option<Shared>>,
}

struct Shared {
    client: Client,
    carries: BTreeSet<Partition>,
}

struct Client {
    client: Arc<BaseConsumer<Context>>,
    /// Whether an order to serve it is under way.
    asked: Arc<AtomicBool>,
}

impl Keeper {
    fn run(mut self, inbox: &mpsc::Receiver<Order>) {
        while let Ok(order) = inbox.recv() {
            match order {
                Order::Open { partition, from, reply } => {
                    let opened = self.open(partition, from);
                    // Whoever asked may have gone meanwhile.
                    if let Err(Ok(Opened { queue, consumer, .. })) = reply.send(opened) {
                        self.close(consumer, partition, queue);
                    }
                }
                Order::Close { consumer, partition, queue } => {
                    self.close(consumer, partition, queue);
                }
                Order::Serve(consumer) => self.serve(consumer),
                Order::End => return,
            }
        }
    }

    fn open(&mut self, partition: Partition, from: Offset) -> Result<Opened, LogError> {
        let list = self.list(partition, from)?;
        let consumer = self.place(partition)?;
        let shared = self.shared[consumer].as_mut().expect("it was just found");
        let client = &shared.client.client;
        // Split before it is assigned, so that no record takes the way of the shared queue.
        let mut queue = client
            .split_partition_queue(&self.topic, number(partition))
            .ok_or_else(|| LogError::Unavailable("librdkafka made no queue".to_owned()))?;
        let wake = Arc::new(Notify::new());
        queue.set_nonempty_callback({
            let wake = Arc::clone(&wake);
            move || wake.notify_one()
        });
        client
            .incremental_assign(&list)
            .map_err(|error| self.context.unavailable("reader", &error))?;
        shared.carries.insert(partition);
        Ok(Opened { queue, wake, consumer })
    }

    /// A consumer that does not carry this partition yet.
    fn place(&mut self, partition: Partition) -> Result<usize, LogError> {
        let free = |shared: &Shared| !shared.carries.contains(&partition);
        if let Some(at) = self.shared.iter().position(|at| at.as_ref().is_some_and(free)) {
            return Ok(at);
        }
        let gap = self.shared.iter().position(Option::is_none);
        let at = gap.unwrap_or(self.shared.len());
        if at == CONSUMERS_MAX {
            let what = format!("partition {partition} has {CONSUMERS_MAX} readers already");
            return Err(LogError::Unavailable(what));
        }
        let client = client(&self.config, self.context.clone(), Some(at), &self.orders)
            .map_err(|error| self.context.unavailable("reader", &error))?;
        let shared = Some(Shared { client, carries: BTreeSet::new() });
        match gap {
            Some(gap) => self.shared[gap] = shared,
            None => self.shared.push(shared),
        }
        Ok(at)
    }

    fn close(&mut self, consumer: usize, partition: Partition, queue: PartitionQueue<Context>) {
        drop(queue);
        let Ok(list) = self.list(partition, Offset(0)) else { return };
        let shared = self.shared[consumer].as_mut().expect("it carries a reader");
        if let Err(error) = shared.client.client.incremental_unassign(&list) {
            tracing::warn!(%partition, %error, "could not stop reading a partition");
        }
        shared.carries.remove(&partition);
        // One stays connected for the next reader.
        let is_idle = |shared: &Option<Shared>| {
            shared.as_ref().is_some_and(|shared| shared.carries.is_empty())
        };
        if is_idle(&self.shared[consumer])
            && self.shared.iter().filter(|at| is_idle(at)).count() > 1
        {
            let closing = self.shared[consumer].take();
            // It waits for the broker for a while.
            thread::spawn(move || drop(closing));
        }
    }

    /// Hears what a client has to say: its log and its errors.
    fn serve(&self, consumer: Option<usize>) {
        let (client, asked) = match consumer {
            None => (self.queries.as_ref(), &self.queries_asked),
            Some(at) => match self.shared.get(at) {
                Some(Some(shared)) => (Some(&shared.client.client), &shared.client.asked),
                _ => return,
            },
        };
        // Before it is emptied, so that what comes later asks again.
        asked.store(false, Ordering::SeqCst);
        // With no timeout it would return after each line of the log; with one it returns when
        // the queue is empty, which it must be: only an empty queue asks again.
        while client.is_some_and(|client| client.poll(SERVE_TIMEOUT).is_some()) {}
    }

    fn list(&self, partition: Partition, from: Offset) -> Result<TopicPartitionList, LogError> {
        let offset = i64::try_from(from.0);
        let offset = offset.map_err(|_| LogError::OutOfRange { partition, offset: from })?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, number(partition), KafkaOffset::Offset(offset))
            .map_err(|error| self.context.unavailable("reader", &error))?;
        Ok(list)
    }
}

/// A consumer that asks to be served when it has something to say.
fn client(
    config: &ClientConfig,
    context: Context,
    number: Option<usize>,
    orders: &mpsc::Sender<Order>,
) -> Result<Client, rdkafka::error::KafkaError> {
    let mut client: BaseConsumer<Context> = config.create_with_context(context)?;
    let asked = Arc::new(AtomicBool::new(false));
    let (ask, orders) = (Arc::clone(&asked), orders.clone());
    // It runs on a thread of librdkafka's and must not wait.
    client.set_nonempty_callback(move || {
        if !ask.swap(true, Ordering::SeqCst) {
            let _ = orders.send(Order::Serve(number));
        }
    });
    Ok(Client { client: Arc::new(client), asked })
}

fn wrong(error: rdkafka::error::KafkaError) -> LogError {
    LogError::Settings(vec![format!("consumer: {error}")])
}
