//! One connection to the brokers for appending, shared by all appenders of a log.
//!
//! A thread of its own serves it: delivery reports run there, and it is dropped there, because
//! dropping waits for brokers. A producer that failed for good, or has lost the brokers, is never
//! repaired; the log makes another.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::Duration;

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders, Timestamp};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use rdkafka::{ClientContext, Statistics};
use tokio::sync::Notify;

use crate::contract::{Partition, Time};
use crate::ports::{LogError, NewRecord};

use super::context::{ANSWER_TIMEOUT, Context};
use super::properties::Properties;
use super::queries::{number, patiently};
use super::settling::Settling;

/// Between two looks whether anybody still needs the producer.
///
/// `BaseProducer::poll` spins through the last millisecond of its timeout (librdkafka counts in
/// milliseconds, rdkafka waits for the rest without sleeping), so a short period costs a core:
/// 1 % at 100 ms, 0.1 % at 1 s. It returns late on purpose; reports are handed out at once.
const POLL_PERIOD: Duration = Duration::from_secs(1);
/// How long to wait for the producer id at most; see `Producer::warm`.
const PRODUCER_ID_TIMEOUT: Duration = Duration::from_secs(2);
/// Bits of a delivery tag that count an appender's records.
const SEND_BITS: u32 = 44;
/// What fits into the other bits.
const APPENDERS_MAX: u32 = 1 << (usize::BITS - SEND_BITS);
/// The number of records that one appender can send: two years at 270,000 a second.
pub(super) const SENDS_MAX: u64 = 1 << SEND_BITS;

/// A producer and the thread that serves it.
#[derive(Clone)]
pub(super) struct Producer {
    client: Arc<BaseProducer<Deliveries>>,
    topic: Arc<str>,
}

/// Which appender sent a record, and the record's number there, in the pointer that librdkafka
/// carries along: so a report needs no allocation.
#[derive(Clone, Copy)]
pub(super) struct Tag {
    appender: u32,
    send: u64,
}

/// librdkafka took no record: the appender has failed for good. Its own queue is never full,
/// because appenders are before.
pub(super) struct Refused;

/// Hands reports to the appenders that wait for them.
pub(super) struct Deliveries {
    context: Context,
    appenders: RwLock<Appenders>,
    has_id: AtomicBool,
    got_id: Notify,
    is_dead: AtomicBool,
}

/// Who waits for reports.
#[derive(Default)]
struct Appenders {
    by_number: HashMap<u32, Arc<Settling>>,
    /// Numbers go round, so that a late report to a dropped appender reaches nobody else.
    next: u32,
}

impl Producer {
    /// Starts a producer; it connects in the background.
    pub(super) fn start(
        properties: &Properties,
        context: &Context,
        topic: &str,
    ) -> Result<Self, LogError> {
        let deliveries = Deliveries {
            context: context.of("producer"),
            appenders: RwLock::default(),
            has_id: AtomicBool::new(false),
            got_id: Notify::new(),
            is_dead: AtomicBool::new(false),
        };
        let client: BaseProducer<_> = properties
            .producer()
            .create_with_context(deliveries)
            .map_err(|error| LogError::Settings(vec![format!("producer: {error}")]))?;
        let client = Arc::new(client);
        let served = Arc::clone(&client);
        thread::Builder::new()
            .name("retell-producer".to_owned())
            .spawn(move || serve(&served))
            .map_err(|error| {
                LogError::Unavailable(format!("no thread for the producer: {error}"))
            })?;
        Ok(Self { client, topic: topic.into() })
    }

    /// Whether no record can ever be sent again.
    pub(super) fn is_dead(&self) -> bool {
        self.deliveries().is_dead.load(Ordering::SeqCst) || self.fatal_error().is_some()
    }

    fn fatal_error(&self) -> Option<String> {
        self.client.client().fatal_error().map(|(_, reason)| reason)
    }

    /// Makes the first append as fast as the next ones.
    ///
    /// What is slow is the producer id. librdkafka asks for it with the first metadata, when its
    /// only connection is just being renamed from a bootstrap address to a broker and does not
    /// count; then it tries again after 500 ms, or with the next metadata. So the partition's
    /// leader is connected first, by a question whose answer is of no use, and metadata is
    /// fetched then.
    pub(super) async fn warm(&self, partition: Partition) -> Result<(), LogError> {
        let this = self.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let client = this.client.client();
            patiently(|left| client.fetch_watermarks(&this.topic, number(partition), left))?;
            client.fetch_metadata(Some(&this.topic), ANSWER_TIMEOUT)
        });
        match asked.await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                return Err(self.deliveries().context.unavailable("appender", &error));
            }
            Err(gone) => return Err(LogError::Unavailable(format!("appender: {gone}"))),
        }
        // Only librdkafka's log tells. Should it ever stop telling, the first append is late.
        if tokio::time::timeout(PRODUCER_ID_TIMEOUT, self.deliveries().id()).await.is_err() {
            tracing::warn!("the producer did not say that it has an id; the first append may wait");
        }
        match self.fatal_error() {
            None => Ok(()),
            Some(reason) => Err(LogError::Unavailable(format!("appender: {reason}"))),
        }
    }

    /// Reports go to `settling` from now on, under the number that it returns.
    pub(super) fn register(&self, settling: &Arc<Settling>) -> Result<u32, LogError> {
        let mut appenders = self.deliveries().write();
        if appenders.by_number.len() as u64 >= u64::from(APPENDERS_MAX) {
            return Err(LogError::Unavailable("too many appenders".to_owned()));
        }
        while appenders.by_number.contains_key(&appenders.next) {
            appenders.next = (appenders.next + 1) % APPENDERS_MAX;
        }
        let number = appenders.next;
        appenders.next = (number + 1) % APPENDERS_MAX;
        appenders.by_number.insert(number, Arc::clone(settling));
        Ok(number)
    }

    /// Reports to this number are of no interest any more.
    pub(super) fn unregister(&self, appender: u32) {
        self.deliveries().write().by_number.remove(&appender);
    }

    /// Puts a record into librdkafka's queue.
    pub(super) fn send(
        &self,
        partition: Partition,
        tag: Tag,
        record: &NewRecord<'_>,
    ) -> Result<(), Refused> {
        let mut new = BaseRecord::with_opaque_to(&self.topic, tag.pack())
            .partition(number(partition))
            .payload(record.value)
            .headers(headers(record));
        new.key = record.key;
        let Err((error, _)) = self.client.send(new) else { return Ok(()) };
        if let Some(code) = error.rdkafka_error_code() {
            tracing::warn!(%partition, %code, "the producer takes no records");
            if code == RDKafkaErrorCode::Fatal {
                self.deliveries().die();
            }
        }
        Err(Refused)
    }

    fn deliveries(&self) -> &Deliveries {
        self.client.context()
    }
}

/// Serves the producer until nobody else has it, and drops it here.
fn serve(client: &Arc<BaseProducer<Deliveries>>) {
    while Arc::strong_count(client) > 1 {
        client.poll(POLL_PERIOD);
    }
}

/// Those of a commit.
const HEADERS_LEN_MAX: usize = 3;

fn headers(record: &NewRecord<'_>) -> OwnedHeaders {
    let headers = OwnedHeaders::new_with_capacity(HEADERS_LEN_MAX);
    let add = |headers: OwnedHeaders, key, value: &str| {
        headers.insert(Header { key, value: Some(value) })
    };
    record.stamp.fold_headers(headers, add)
}

impl Tag {
    /// The tag of an appender's record.
    pub(super) fn new(appender: u32, send: u64) -> Self {
        debug_assert!(appender < APPENDERS_MAX && send < SENDS_MAX);
        Self { appender, send }
    }

    fn pack(self) -> usize {
        (self.appender as usize) << SEND_BITS | self.send as usize
    }

    fn unpack(packed: usize) -> Self {
        Self { appender: (packed >> SEND_BITS) as u32, send: packed as u64 & (SENDS_MAX - 1) }
    }
}

impl Deliveries {
    /// Waits until the producer can send, or never will.
    async fn id(&self) {
        let mut got = std::pin::pin!(self.got_id.notified());
        got.as_mut().enable();
        if !self.has_id.load(Ordering::SeqCst) && !self.is_dead.load(Ordering::SeqCst) {
            got.await;
        }
    }

    /// Nothing that is in flight will be reported by librdkafka in a way that can be trusted.
    fn die(&self) {
        self.is_dead.store(true, Ordering::SeqCst);
        self.got_id.notify_waiters();
        for settling in self.read().by_number.values() {
            settling.die();
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Appenders> {
        self.appenders.read().expect("nothing panics while it is held")
    }

    fn write(&self) -> RwLockWriteGuard<'_, Appenders> {
        self.appenders.write().expect("nothing panics while it is held")
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, tag: usize) {
        let tag = Tag::unpack(tag);
        let appenders = self.read();
        // None: it was dropped, and what was in flight with it.
        let Some(settling) = appenders.by_number.get(&tag.appender) else { return };
        match result {
            Ok(message) => {
                let len = message.key_len() + message.payload_len();
                // The broker's time; librdkafka keeps the producer's when the topic wants that.
                let time = match message.timestamp() {
                    Timestamp::LogAppendTime(millis) => Some(Time::from_millis(millis)),
                    Timestamp::CreateTime(_) | Timestamp::NotAvailable => None,
                };
                settling.landed(tag.send, message.offset(), time, len);
            }
            Err((error, message)) => {
                tracing::debug!(send = tag.send, %error, "an append failed");
                settling.failed(tag.send, message.key_len() + message.payload_len());
            }
        }
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == "IDEMPSTATE" && message.ends_with("-> Assigned") {
            self.has_id.store(true, Ordering::SeqCst);
            self.got_id.notify_waiters();
        }
        // The error event of the same failure does not say that it is for good.
        if facility == "FATAL" && matches!(level, RDKafkaLogLevel::Emerg) {
            self.die();
        }
        self.context.log(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        self.context.stats(statistics);
        if self.context.is_lost() {
            self.die();
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.context.error(error, reason);
    }
}
