//! A reader: one partition from an offset on, in chunks.
//!
//! Key and value are copied once, out of librdkafka's buffers into one buffer per chunk. Nothing
//! waits inside librdkafka: an empty queue wakes the reader when it fills.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Header, Headers, Message};

use crate::contract::{Offset, Partition, Time};
use crate::log::Stamp;
use crate::ports::{Chunk, LogError, LogReader, LogRecord};

use super::consumers::{Consumers, Place};
use super::queries::Queries;

/// What opens readers.
#[derive(Clone)]
pub(super) struct Readers {
    /// Before the consumers: it must be gone when they end, so that none is dropped elsewhere.
    pub(super) queries: Queries,
    pub(super) consumers: Arc<Consumers>,
}

/// A reader of one partition.
pub(super) struct KafkaReader {
    readers: Readers,
    partition: Partition,
    /// The offset after the last record that was returned.
    next: Offset,
    /// Where it reads; none after an error, until it is opened again.
    open: Option<Open>,
    /// Found behind the records of the last chunk.
    failure: Option<LogError>,
    chunk: Building,
}

struct Open {
    place: Place,
    /// The end when it was opened, until it is reached. The broker tells of an end only with a
    /// fetch that found nothing; this one is known earlier.
    end: Option<Offset>,
    /// Whether it was said that the end was reached, and nothing was read since.
    said_end: bool,
}

/// A chunk while it is being filled.
#[derive(Default)]
struct Building {
    bytes: BytesMut,
    records: Vec<Unsliced>,
    /// The length of the last one, as the best guess for this one.
    last_len: usize,
}

/// A record whose bytes are the next ones of the chunk.
struct Unsliced {
    offset: Offset,
    time: Time,
    stamp: Stamp,
    key_len: Option<usize>,
    value_len: usize,
}

impl Readers {
    /// A reader from `from` on.
    pub(super) async fn open(
        &self,
        partition: Partition,
        from: Offset,
    ) -> Result<KafkaReader, LogError> {
        Ok(KafkaReader {
            readers: self.clone(),
            partition,
            next: from,
            open: Some(self.place(partition, from).await?),
            failure: None,
            chunk: Building::default(),
        })
    }

    async fn place(&self, partition: Partition, from: Offset) -> Result<Open, LogError> {
        let (low, high) = self.queries.watermarks(partition).await?;
        if from < low || from > high {
            return Err(LogError::OutOfRange { partition, offset: from });
        }
        let place = self.consumers.open(partition, from).await?;
        Ok(Open { place, end: Some(high), said_end: false })
    }
}

#[async_trait]
impl LogReader for KafkaReader {
    async fn next(&mut self, records_max: usize, bytes_max: usize) -> Result<Chunk, LogError> {
        if let Some(failure) = self.failure.take() {
            return Err(self.fail(failure));
        }
        loop {
            if self.open.is_none() {
                self.open = Some(self.readers.place(self.partition, self.next).await?);
            }
            let Some(open) = &mut self.open else { continue };
            match fill(open, &mut self.next, &mut self.chunk, records_max, bytes_max) {
                Filled::Chunk { at_end } => {
                    let records = self.chunk.finish();
                    return Ok(Chunk { records, at_end });
                }
                // Another place, on another client.
                Filled::Nothing if open.place.is_lost() => self.open = None,
                Filled::Nothing => open.place.filled().await,
                Filled::Error(error) => {
                    let failure = failure(self.partition, self.next, &error);
                    if self.chunk.records.is_empty() {
                        return Err(self.fail(failure));
                    }
                    self.failure = Some(failure);
                    return Ok(Chunk { records: self.chunk.finish(), at_end: false });
                }
            }
        }
    }
}

impl KafkaReader {
    /// What may pass is tried again from the same offset on, with all checks; what never passes
    /// is said again.
    fn fail(&mut self, failure: LogError) -> LogError {
        self.open = None;
        if !failure.is_retryable() {
            self.failure = Some(failure.clone());
        }
        failure
    }
}

enum Filled {
    Chunk { at_end: bool },
    Nothing,
    Error(KafkaError),
}

/// Takes what is in the queue, without waiting.
fn fill(
    open: &mut Open,
    next: &mut Offset,
    chunk: &mut Building,
    records_max: usize,
    bytes_max: usize,
) -> Filled {
    let mut at_end = false;
    chunk.begin();
    loop {
        let is_full = chunk.records.len() >= records_max || chunk.bytes.len() >= bytes_max;
        if is_full && !chunk.records.is_empty() {
            break;
        }
        match open.place.queue().poll(Duration::ZERO) {
            Some(Ok(message)) => {
                // A fetch that was under way for another reader of this place is dropped by
                // librdkafka; records before the start are dropped here should it ever fail to.
                let offset = Offset(u64::try_from(message.offset()).unwrap_or_default());
                if offset < *next {
                    continue;
                }
                *next = offset.next();
                open.said_end = false;
                chunk.add(&message, offset);
            }
            Some(Err(KafkaError::PartitionEOF(_))) => {
                at_end = !open.said_end;
                if at_end {
                    break;
                }
            }
            Some(Err(error)) => return Filled::Error(error),
            None => {
                at_end = open.end.is_some_and(|end| *next >= end);
                break;
            }
        }
    }
    if at_end {
        open.end = None;
        open.said_end = true;
    }
    if at_end || !chunk.records.is_empty() { Filled::Chunk { at_end } } else { Filled::Nothing }
}

impl Building {
    fn begin(&mut self) {
        if self.bytes.is_empty() {
            self.bytes.reserve(self.last_len);
        }
    }

    fn add(&mut self, message: &BorrowedMessage<'_>, offset: Offset) {
        let value = message.payload().unwrap_or_default();
        if let Some(key) = message.key() {
            self.bytes.extend_from_slice(key);
        }
        self.bytes.extend_from_slice(value);
        self.records.push(Unsliced {
            offset,
            time: Time::from_millis(message.timestamp().to_millis().unwrap_or_default()),
            stamp: message.headers().map_or_else(|| Stamp::parse(std::iter::empty()), stamp),
            key_len: message.key().map(<[u8]>::len),
            value_len: value.len(),
        });
    }

    fn finish(&mut self) -> Vec<LogRecord> {
        self.last_len = self.bytes.len();
        let mut bytes = self.bytes.split().freeze();
        let slice = |record: Unsliced| LogRecord {
            offset: record.offset,
            time: record.time,
            stamp: record.stamp,
            key: record.key_len.map(|len| take(&mut bytes, len)),
            value: take(&mut bytes, record.value_len),
        };
        self.records.drain(..).map(slice).collect()
    }
}

fn take(bytes: &mut Bytes, len: usize) -> Bytes {
    bytes.split_to(len)
}

/// Reads the headers where they are.
fn stamp(headers: &BorrowedHeaders) -> Stamp {
    Stamp::parse((0..headers.count()).filter_map(|at| {
        let header = header(headers, at)?;
        Some((header.key, header.value))
    }))
}

/// rdkafka panics on a name that is no UTF-8, which a stranger may write. Such a name is none of
/// ours, and headers with other names say nothing.
pub(super) fn header(headers: &BorrowedHeaders, at: usize) -> Option<Header<'_, &[u8]>> {
    catch_unwind(AssertUnwindSafe(|| headers.try_get(at))).ok().flatten()
}

fn failure(partition: Partition, next: Offset, error: &KafkaError) -> LogError {
    let at = format!("partition {partition} at offset {next}: {error}");
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
            LogError::OutOfRange { partition, offset: next }
        }
        // librdkafka goes on behind what it could not read; a reader must not.
        Some(
            RDKafkaErrorCode::BadMessage
            | RDKafkaErrorCode::BadCompression
            | RDKafkaErrorCode::InvalidMessage
            | RDKafkaErrorCode::NotImplemented
            | RDKafkaErrorCode::MessageSizeTooLarge,
        ) => LogError::Damaged(at),
        _ => LogError::Unavailable(at),
    }
}
