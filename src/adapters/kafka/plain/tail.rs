//! The messages before an offset of a plain topic.
//!
//! Asked for when something starts, so each question has a consumer of its own, on a thread that
//! may wait.

use std::ops::Range;
use std::time::Instant;

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message as _};
use rdkafka::{ClientConfig, Offset as KafkaOffset, TopicPartitionList};

use crate::contract::{Offset, Partition, Position, Time};
use crate::ports::{LogError, Message, Received};

use super::super::context::{ANSWER_TIMEOUT, Context};
use super::super::queries::number;

/// The last messages within these offsets, at most `len_max` but at least one if there is one.
pub(super) async fn before(
    config: ClientConfig,
    context: Context,
    topic: &str,
    partition: Partition,
    within: Range<Offset>,
    len_max: usize,
) -> Result<Vec<Received>, LogError> {
    let topic = topic.to_owned();
    let look = move || {
        let unavailable = |error| context.unavailable("the end of a topic", &error);
        let client: BaseConsumer<Context> =
            config.create_with_context(context.clone()).map_err(unavailable)?;
        // Offsets have holes, where a transaction ended or messages were dropped: then there may
        // be nothing in the last few, and more are looked at.
        let mut span = len_max as u64;
        loop {
            let from = Offset(within.end.0.saturating_sub(span)).max(within.start);
            let messages = read(&client, &topic, partition, from..within.end)
                .map_err(unavailable)?
                .ok_or_else(|| context.silent("the end of a topic"))?;
            if !messages.is_empty() || from == within.start {
                return Ok(messages);
            }
            span = span.saturating_mul(4);
        }
    };
    let looked = tokio::task::spawn_blocking(look).await;
    looked.unwrap_or_else(|gone| Err(LogError::Unavailable(format!("the end of a topic: {gone}"))))
}

/// What is there; none when the broker does not answer.
fn read(
    client: &BaseConsumer<Context>,
    topic: &str,
    partition: Partition,
    within: Range<Offset>,
) -> Result<Option<Vec<Received>>, KafkaError> {
    let mut found = Vec::new();
    if within.start >= within.end {
        return Ok(Some(found));
    }
    let from = KafkaOffset::Offset(i64::try_from(within.start.0).unwrap_or(i64::MAX));
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, number(partition), from)?;
    client.assign(&list)?;
    let deadline = Instant::now() + ANSWER_TIMEOUT;
    while Instant::now() < deadline {
        match client.poll(ANSWER_TIMEOUT / 10) {
            Some(Ok(message)) => {
                let received = received(&message);
                let offset = received.position.offset;
                if offset < within.end {
                    found.push(received);
                }
                if offset.next() >= within.end {
                    return Ok(Some(found));
                }
            }
            // Only holes are left.
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(Some(found)),
            Some(Err(error)) => return Err(error),
            None => {}
        }
    }
    Ok(None)
}

/// A message as the port gives it.
pub(super) fn received(message: &BorrowedMessage<'_>) -> Received {
    let partition = Partition(u32::try_from(message.partition()).unwrap_or_default());
    let offset = Offset(u64::try_from(message.offset()).unwrap_or_default());
    let copied = Message {
        key: message.key().map(Bytes::copy_from_slice),
        headers: headers(message),
        value: message.payload().map(Bytes::copy_from_slice).unwrap_or_default(),
    };
    Received {
        position: Position { partition, offset },
        time: Time::from_millis(message.timestamp().to_millis().unwrap_or_default()),
        message: copied,
    }
}

fn headers(message: &BorrowedMessage<'_>) -> Vec<(String, Bytes)> {
    let Some(headers) = message.headers() else { return Vec::new() };
    let copy = |at| {
        let header = super::super::reader::header(headers, at)?;
        Some((header.key.to_owned(), Bytes::copy_from_slice(header.value?)))
    };
    (0..headers.count()).filter_map(copy).collect()
}
