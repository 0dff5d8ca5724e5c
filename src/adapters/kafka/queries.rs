//! Questions about the log's offsets, asked of the partition's leader.
//!
//! librdkafka asks and waits in one call, so each runs on a thread where waiting is allowed, and
//! only a few at once.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};
use tokio::sync::Semaphore;

use crate::contract::{Offset, Partition, Time};
use crate::ports::LogError;

use super::consumers::QueryClient;
use super::context::{ANSWER_TIMEOUT, Context};

/// Questions that may wait for an answer at once; more wait for their turn without a thread.
const QUERIES_MAX: usize = 16;
/// Between two tries while leadership moves.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Asks about one topic.
#[derive(Clone)]
pub(super) struct Queries {
    client: QueryClient,
    context: Context,
    topic: Arc<str>,
    turns: Arc<Semaphore>,
}

impl Queries {
    pub(super) fn new(client: QueryClient, context: Context, topic: &str) -> Self {
        let turns = Arc::new(Semaphore::new(QUERIES_MAX));
        Self { client, context, topic: topic.into(), turns }
    }

    /// The partition's first offset and its end, the high watermark.
    pub(super) async fn watermarks(
        &self,
        partition: Partition,
    ) -> Result<(Offset, Offset), LogError> {
        let (low, high) = self
            .ask("end of a partition", move |client, topic| {
                patiently(|timeout| client.fetch_watermarks(topic, number(partition), timeout))
            })
            .await?;
        Ok((offset(low)?, offset(high)?))
    }

    /// The offset of the first record at or after a time, if there is one.
    pub(super) async fn offset_at(
        &self,
        partition: Partition,
        time: Time,
    ) -> Result<Option<Offset>, LogError> {
        let found = self
            .ask("offset of a time", move |client, topic| {
                patiently(|timeout| {
                    let mut list = TopicPartitionList::new();
                    // Negative numbers have other meanings.
                    let time = KafkaOffset::Offset(time.millis().max(0));
                    list.add_partition_offset(topic, number(partition), time)?;
                    let answer = client.offsets_for_times(list, timeout)?;
                    let element = &answer.elements()[0];
                    element.error()?;
                    Ok(element.offset())
                })
            })
            .await?;
        match found {
            KafkaOffset::Offset(found) => offset(found).map(Some),
            _ => Ok(None),
        }
    }

    /// What the brokers know about the topic.
    pub(super) async fn metadata(&self) -> Result<Metadata, LogError> {
        self.ask("topic", |client, topic| client.fetch_metadata(Some(topic), ANSWER_TIMEOUT)).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        what: &'static str,
        question: impl FnOnce(&BaseConsumer<Context>, &str) -> KafkaResult<T> + Send + 'static,
    ) -> Result<T, LogError> {
        let turn = Arc::clone(&self.turns).acquire_owned().await.expect("it is never closed");
        let (client, topic) = (self.client.get(), Arc::clone(&self.topic));
        let asked = tokio::task::spawn_blocking(move || {
            let _until_answered = turn;
            question(&client, &topic)
        });
        match asked.await {
            Ok(Ok(answer)) => {
                self.context.answered();
                Ok(answer)
            }
            Ok(Err(error)) => Err(self.context.unavailable(what, &error)),
            Err(gone) => Err(LogError::Unavailable(format!("{what}: {gone}"))),
        }
    }
}

/// Asks again while a partition has no leader, or has one that the brokers do not agree on yet:
/// after it was made, and while leadership moves. It may wait, so it belongs on a thread that may.
#[expect(clippy::disallowed_methods, reason = "it runs on a blocking thread")]
pub(super) fn patiently<T>(ask: impl Fn(Duration) -> KafkaResult<T>) -> KafkaResult<T> {
    use RDKafkaErrorCode as Code;
    let deadline = Instant::now() + ANSWER_TIMEOUT;
    loop {
        let left = deadline.saturating_duration_since(Instant::now()).max(ASK_AGAIN);
        let error = match ask(left) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let passes = matches!(
            error.rdkafka_error_code(),
            Some(
                Code::NotLeaderForPartition
                    | Code::LeaderNotAvailable
                    | Code::ReplicaNotAvailable
                    | Code::UnknownTopicOrPartition
                    | Code::UnknownPartition
                    | Code::UnknownLeaderEpoch
                    | Code::FencedLeaderEpoch
                    | Code::OffsetNotAvailable
                    // The leader has just gone.
                    | Code::BrokerTransportFailure
                    | Code::DestroyBroker
            )
        );
        if !passes || left == ASK_AGAIN {
            return Err(error);
        }
        thread::sleep(ASK_AGAIN);
    }
}

/// Kafka's number of a partition.
pub(super) fn number(partition: Partition) -> i32 {
    i32::try_from(partition.0).expect("a topic's partitions are counted in 31 bits")
}

/// An offset that Kafka told; a negative one is none.
pub(super) fn offset(number: i64) -> Result<Offset, LogError> {
    u64::try_from(number)
        .map(Offset)
        .map_err(|_| LogError::Unavailable(format!("the broker answered with offset {number}")))
}
