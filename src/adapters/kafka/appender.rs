//! An appender: one sequence of records to one partition.
//!
//! What is in flight is bounded, in records and in bytes, and nothing waits here. Records are
//! handed over when none of the partition is in flight: what comes meanwhile forms the next
//! batch. Otherwise librdkafka, which allows an idempotent producer five messages of a partition
//! in flight, sends small batches and spins while more wait (measured: two thirds of the
//! processor time of a busy service).

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;

use crate::contract::Partition;
use crate::log::Stamp;
use crate::ports::{AppendError, Appender, LogError, NewRecord, Report, SendNumber};

use super::producer::{Producer, SENDS_MAX, Tag};
use super::settling::Settling;

/// Records of one appender whose reports were not yet taken.
pub(super) const IN_FLIGHT_MAX: u64 = 32_768;
/// Bytes of one appender that librdkafka holds, at most about: the record that goes beyond is
/// still taken.
pub(super) const BYTES_IN_FLIGHT_MAX: u64 = 64 * 1024 * 1024;

/// How often a batch gives way, at most.
const GIVE_WAY_MAX: u32 = 3;

/// An appender on a shared producer.
pub(super) struct KafkaAppender {
    producer: Producer,
    partition: Partition,
    record_len_max: usize,
    number: u32,
    settling: Arc<Settling>,
    /// Records that wait for those in flight.
    held: Held,
    /// How many records the last batch had.
    last_batch_len: usize,
    /// How often the next batch gave way to what may still join it.
    given_way: u32,
    sent: u64,
    bytes_sent: u64,
    taken: u64,
}

/// Records in the order in which they were appended, their bytes one after the other.
#[derive(Default)]
struct Held {
    records: VecDeque<HeldRecord>,
    bytes: Vec<u8>,
}

struct HeldRecord {
    stamp: Stamp,
    key_len: Option<usize>,
    value_len: usize,
}

impl KafkaAppender {
    /// A ready appender.
    pub(super) async fn open(
        producer: Producer,
        partition: Partition,
        record_len_max: usize,
    ) -> Result<Self, LogError> {
        producer.warm(partition).await?;
        let settling = Arc::new(Settling::default());
        let number = producer.register(&settling)?;
        let appender = Self {
            producer,
            partition,
            record_len_max,
            number,
            settling,
            held: Held::default(),
            last_batch_len: 0,
            given_way: 0,
            sent: 0,
            bytes_sent: 0,
            taken: 0,
        };
        // It may have died before this appender could hear of it.
        if appender.producer.is_dead() {
            appender.settling.die();
        }
        Ok(appender)
    }

    /// Lets tasks that are ready run first while the log is busy: whoever was just answered may
    /// send its next command, and a larger batch costs everybody less. On an idle log nothing
    /// waits: there the last batch had one record.
    async fn give_way(&mut self) {
        while self.last_batch_len > 1
            && self.given_way < GIVE_WAY_MAX
            && !self.held.records.is_empty()
            && self.settling.is_idle()
        {
            self.given_way += 1;
            tokio::task::yield_now().await;
        }
    }

    fn is_full(&self) -> bool {
        self.sent - self.taken >= IN_FLIGHT_MAX
            || self.bytes_sent - self.settling.bytes_reported() >= BYTES_IN_FLIGHT_MAX
    }
}

#[async_trait]
impl Appender for KafkaAppender {
    fn append(&mut self, record: NewRecord<'_>) -> Result<SendNumber, AppendError> {
        let len = record.key.map_or(0, <[u8]>::len) + record.value.len();
        if len > self.record_len_max {
            return Err(AppendError::TooLarge { len, max: self.record_len_max });
        }
        if self.settling.is_dead() || self.sent == SENDS_MAX {
            return Err(AppendError::Dead);
        }
        if self.is_full() {
            return Err(AppendError::Full);
        }
        let send = SendNumber(self.sent);
        self.held.push(&record);
        self.sent += 1;
        self.bytes_sent += len as u64;
        Ok(send)
    }

    fn flush(&mut self) {
        if self.held.records.is_empty() || !self.settling.is_idle() {
            return;
        }
        self.last_batch_len = self.held.records.len();
        self.given_way = 0;
        let first = self.sent - self.last_batch_len as u64;
        self.settling.sent_before(self.sent);
        let mut number = first;
        let handed_over = self.held.drain(|record| {
            let tag = Tag::new(self.number, number);
            number += 1;
            self.producer.send(self.partition, tag, record)
        });
        if handed_over.is_err() {
            self.settling.die();
        }
    }

    async fn settled(&mut self, reports: &mut Vec<Report>) {
        loop {
            // Before the next batch leaves: who is answered now may send a command for it.
            let had = reports.len();
            if self.settling.take(reports) {
                self.taken += reports[had..].iter().map(count).sum::<u64>();
                return;
            }
            self.give_way().await;
            self.flush();
            self.settling.reported().await;
        }
    }
}

impl Drop for KafkaAppender {
    fn drop(&mut self) {
        self.producer.unregister(self.number);
    }
}

impl Held {
    fn push(&mut self, record: &NewRecord<'_>) {
        self.bytes.extend_from_slice(record.key.unwrap_or_default());
        self.bytes.extend_from_slice(record.value);
        let key_len = record.key.map(<[u8]>::len);
        let value_len = record.value.len();
        self.records.push_back(HeldRecord { stamp: record.stamp, key_len, value_len });
    }

    /// Gives all records to `send`, until one is not taken; forgets all of them.
    fn drain<E>(&mut self, mut send: impl FnMut(&NewRecord<'_>) -> Result<(), E>) -> Result<(), E> {
        let mut bytes = self.bytes.as_slice();
        let sent = self.records.drain(..).try_for_each(|held| {
            let (key, rest) = bytes.split_at(held.key_len.unwrap_or_default());
            let (value, rest) = rest.split_at(held.value_len);
            bytes = rest;
            send(&NewRecord { key: held.key_len.map(|_| key), stamp: held.stamp, value })
        });
        self.bytes.clear();
        sent
    }
}

const fn count(report: &Report) -> u64 {
    match report {
        Report::Landed { count, .. } => *count,
        Report::Odd { .. } | Report::Failed { .. } => 1,
    }
}
