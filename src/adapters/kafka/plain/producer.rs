//! The producer of a plain topic: it leaves no gap, or fails for good.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext, PurgeConfig};
use rdkafka::{ClientContext, Statistics};
use tokio::sync::Notify;

use crate::contract::Partition;
use crate::ports::{LogError, Message};

use super::super::context::Context;
use super::super::properties::Properties;
use super::super::queries::number;

/// Between two looks whether anybody still needs the producer; reports are handed out at once.
const POLL_PERIOD: Duration = Duration::from_secs(1);
/// Messages that are handed over before their reports are waited for.
const SLICE_LEN_MAX: usize = 10_000;
/// Before a full queue is tried again.
const ROOM_DELAY: Duration = Duration::from_millis(5);

/// A producer and the thread that serves it, and drops it: that may wait for brokers.
#[derive(Clone)]
pub(super) struct PlainProducer {
    client: Arc<BaseProducer<Reports>>,
    topic: Arc<str>,
}

/// Hands each report to the messages that it is of.
struct Reports(Context);

/// Messages whose reports are waited for together.
struct Slice {
    left: AtomicUsize,
    failure: Mutex<Option<KafkaError>>,
    all_reported: Notify,
}

impl PlainProducer {
    pub(super) fn start(
        properties: &Properties,
        context: &Context,
        topic: &str,
    ) -> Result<Self, LogError> {
        let client: BaseProducer<_> = properties
            .plain_producer()
            .create_with_context(Reports(context.of("plain producer")))
            .map_err(|error| LogError::Settings(vec![format!("producer: {error}")]))?;
        let client = Arc::new(client);
        let served = Arc::clone(&client);
        thread::Builder::new()
            .name("retell-plain".to_owned())
            .spawn(move || {
                while Arc::strong_count(&served) > 1 {
                    served.poll(POLL_PERIOD);
                    if served.context().0.is_lost() {
                        // Their senders hear that they failed; they would wait for ever.
                        served.purge(PurgeConfig::default().queue().inflight());
                    }
                }
            })
            .map_err(|error| LogError::Unavailable(format!("no thread: {error}")))?;
        Ok(Self { client, topic: topic.into() })
    }

    /// Whether no message can ever be sent again.
    pub(super) fn is_dead(&self) -> bool {
        self.client.client().fatal_error().is_some() || self.client.context().0.is_lost()
    }

    /// Sends messages and waits until all of them are durable.
    pub(super) async fn send(&self, messages: Vec<(Partition, Message)>) -> Result<(), LogError> {
        for messages in messages.chunks(SLICE_LEN_MAX) {
            let slice = Slice::of(messages.len());
            for (partition, message) in messages {
                self.hand_over(*partition, message, &slice).await?;
            }
            slice.reported().await.map_err(|error| self.failure(&error))?;
        }
        Ok(())
    }

    /// Behind a message that was not taken none is handed over.
    async fn hand_over(
        &self,
        partition: Partition,
        message: &Message,
        slice: &Arc<Slice>,
    ) -> Result<(), LogError> {
        loop {
            let record = BaseRecord::with_opaque_to(&self.topic, Arc::clone(slice))
                .partition(number(partition))
                .headers(headers(message))
                .payload(&message.value[..]);
            let record = match &message.key {
                Some(key) => record.key(&key[..]),
                None => record,
            };
            let Err((error, _)) = self.client.send(record) else { return Ok(()) };
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(self.failure(&error));
            }
            tokio::time::sleep(ROOM_DELAY).await;
        }
    }

    fn failure(&self, error: &KafkaError) -> LogError {
        let said = match self.client.client().fatal_error() {
            Some((_, reason)) => reason,
            None => error.to_string(),
        };
        LogError::Unavailable(format!("topic {}: {said}", self.topic))
    }
}

fn headers(message: &Message) -> OwnedHeaders {
    let headers = OwnedHeaders::new_with_capacity(message.headers.len());
    message.headers.iter().fold(headers, |headers, (key, value)| {
        headers.insert(Header { key, value: Some(&value[..]) })
    })
}

impl Slice {
    fn of(len: usize) -> Arc<Self> {
        let (left, failure) = (AtomicUsize::new(len), Mutex::default());
        Arc::new(Self { left, failure, all_reported: Notify::new() })
    }

    fn report(&self, result: Result<(), KafkaError>) {
        if let Err(error) = result {
            let mut failure = self.failure.lock().expect("nothing panics while it is held");
            failure.get_or_insert(error);
        }
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.all_reported.notify_one();
        }
    }

    async fn reported(&self) -> Result<(), KafkaError> {
        // A permit is kept for who comes later.
        self.all_reported.notified().await;
        let mut failure = self.failure.lock().expect("nothing panics while it is held");
        failure.take().map_or(Ok(()), Err)
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Arc<Slice>;

    fn delivery(&self, result: &DeliveryResult<'_>, slice: Arc<Slice>) {
        slice.report(result.as_ref().map(drop).map_err(|(error, _)| error.clone()));
    }
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        self.0.look(&statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }
}
