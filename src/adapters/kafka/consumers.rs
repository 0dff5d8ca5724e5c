//! The consumers that readers share, and the thread that keeps them.
//!
//! A consumer carries at most one reader of each partition, in that partition's own queue; a
//! second reader of a partition needs a second consumer. So P partitions with two readers each
//! need two consumers, not 2 P: each costs three threads and two connections or more.
//!
//! Whatever may wait for librdkafka (assigning, closing, its log) happens on this thread or on
//! one that ends with it, never where readers run.
//!
//! A client that has lost the brokers (`Context::is_lost`) gets no more readers, and those that it
//! carries leave it for another; the one for queries is exchanged.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
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
/// A poll that finds nothing takes so long; with none it would return after each line of the log,
/// and only an empty queue tells when it is filled. librdkafka counts in milliseconds.
pub(super) const SERVE_TIMEOUT: Duration = Duration::from_millis(1);

/// Asks the thread that keeps the consumers. The thread ends after the last handle is gone.
pub(super) struct Consumers {
    orders: mpsc::Sender<Order>,
}

/// One reader's place on a consumer.
pub(super) struct Place {
    /// The partition's records; `None` only while it is being given back.
    queue: Option<PartitionQueue<Context>>,
    wake: Arc<Notify>,
    /// Of the client that carries it.
    context: Context,
    partition: Partition,
    consumer: usize,
    consumers: Arc<Consumers>,
}

/// The client that is asked questions: for the time being.
#[derive(Clone)]
pub(super) struct QueryClient(Arc<Mutex<Arc<BaseConsumer<Context>>>>);

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
    context: Context,
    consumer: usize,
}

impl Consumers {
    /// Starts the thread; returns the client for queries, which it serves too.
    pub(super) fn start(
        properties: &Properties,
        context: &Context,
        topic: &str,
    ) -> Result<(Self, QueryClient), LogError> {
        let (orders, inbox) = mpsc::channel();
        let Client { client, asked } =
            client(&properties.queries(), context.of("queries"), None, &orders).map_err(wrong)?;
        let queries = QueryClient(Arc::new(Mutex::new(client)));
        let keeper = Keeper {
            properties: properties.clone(),
            context: context.clone(),
            topic: topic.to_owned(),
            orders: orders.clone(),
            queries: queries.clone(),
            queries_asked: asked,
            shared: Vec::new(),
        };
        // Wrong settings are found now, not by the first reader.
        properties.consumer().create_native_config().map_err(wrong)?;
        thread::Builder::new()
            .name("retell-consumers".to_owned())
            .spawn(move || keeper.run(&inbox))
            .map_err(|error| LogError::Unavailable(format!("no thread for consumers: {error}")))?;
        Ok((Self { orders }, queries))
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
        let Opened { queue, wake, context, consumer } = answer.await.map_err(|_| gone())??;
        let (queue, consumers) = (Some(queue), Arc::clone(self));
        Ok(Place { queue, wake, context, partition, consumer, consumers })
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

    /// Whether nothing comes here any more.
    pub(super) fn is_lost(&self) -> bool {
        self.context.is_lost()
    }

    /// Waits until there is something in an empty queue, or its client is lost.
    pub(super) async fn filled(&self) {
        self.wake.notified().await;
    }
}

impl QueryClient {
    pub(super) fn get(&self) -> Arc<BaseConsumer<Context>> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn exchange(&self, client: Arc<BaseConsumer<Context>>) -> Arc<BaseConsumer<Context>> {
        std::mem::replace(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), client)
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
    properties: Properties,
    context: Context,
    topic: String,
    orders: mpsc::Sender<Order>,
    queries: QueryClient,
    queries_asked: Arc<AtomicBool>,
    /// By their numbers; a gap is one that was closed.
    shared: Vec<Option<Shared>>,
}

struct Shared {
    client: Client,
    /// What wakes the reader of each partition.
    carries: BTreeMap<Partition, Arc<Notify>>,
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
        let context = client.context().as_ref().clone();
        shared.carries.insert(partition, Arc::clone(&wake));
        Ok(Opened { queue, wake, context, consumer })
    }

    /// A consumer that does not carry this partition yet.
    fn place(&mut self, partition: Partition) -> Result<usize, LogError> {
        let free = |shared: &Shared| !shared.is_lost() && !shared.carries.contains_key(&partition);
        if let Some(at) = self.shared.iter().position(|at| at.as_ref().is_some_and(free)) {
            return Ok(at);
        }
        let gap = self.shared.iter().position(Option::is_none);
        let at = gap.unwrap_or(self.shared.len());
        if at == CONSUMERS_MAX {
            let what = format!("partition {partition} has {CONSUMERS_MAX} readers already");
            return Err(LogError::Unavailable(what));
        }
        let config = self.properties.consumer();
        let client = client(&config, self.context.of("consumer"), Some(at), &self.orders)
            .map_err(|error| self.context.unavailable("reader", &error))?;
        let shared = Some(Shared { client, carries: BTreeMap::new() });
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
        self.end_idle(consumer);
    }

    /// Ends a consumer that carries nobody; but one stays connected for the next reader.
    fn end_idle(&mut self, consumer: usize) {
        let is_idle = |at: &&Option<Shared>| {
            at.as_ref().is_some_and(|shared| shared.carries.is_empty() && !shared.is_lost())
        };
        let idle = self.shared.iter().filter(is_idle).count();
        let may_end = |shared: &Shared| shared.carries.is_empty() && (shared.is_lost() || idle > 1);
        if self.shared[consumer].as_ref().is_some_and(may_end) {
            let ending = self.shared[consumer].take();
            // It waits for the broker for a while.
            thread::spawn(move || drop(ending));
        }
    }

    /// Hears what a client has to say: its log and its errors.
    fn serve(&mut self, consumer: Option<usize>) {
        let (client, asked) = match consumer {
            None => (self.queries.get(), &self.queries_asked),
            Some(at) => match self.shared.get(at) {
                Some(Some(Shared { client, .. })) => (Arc::clone(&client.client), &client.asked),
                _ => return,
            },
        };
        // Before it is emptied, so that what comes later asks again.
        asked.store(false, Ordering::SeqCst);
        while client.poll(SERVE_TIMEOUT).is_some() {}
        if client.context().is_lost() {
            drop(client);
            match consumer {
                None => self.exchange_queries(),
                Some(at) => self.leave(at),
            }
        }
    }

    /// The readers of a consumer find another.
    fn leave(&mut self, consumer: usize) {
        if let Some(shared) = &self.shared[consumer] {
            shared.carries.values().for_each(|wake| wake.notify_one());
        }
        self.end_idle(consumer);
    }

    /// Asks another client from now on.
    fn exchange_queries(&mut self) {
        let config = self.properties.queries();
        match client(&config, self.context.of("queries"), None, &self.orders) {
            Ok(new) => {
                self.queries_asked = new.asked;
                let lost = self.queries.exchange(new.client);
                thread::spawn(move || drop(lost));
            }
            // The lost one tells of itself again, and it is tried again.
            Err(error) => tracing::warn!(%error, "no other client for queries could be made"),
        }
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

impl Shared {
    fn is_lost(&self) -> bool {
        self.client.client.context().is_lost()
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
