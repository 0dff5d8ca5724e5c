//! An appender: one sequence of records to one partition.
//!
//! What is in flight is bounded, in records and in bytes, and nothing waits here.

use std::sync::Arc;

use async_trait::async_trait;

use crate::contract::Partition;
use crate::ports::{AppendError, Appender, LogError, NewRecord, Report, SendNumber};

use super::producer::{Producer, SENDS_MAX, Tag};
use super::settling::Settling;

/// Records of one appender whose reports were not yet taken.
pub(super) const IN_FLIGHT_MAX: u64 = 32_768;
/// Bytes of one appender that librdkafka holds, at most about: the record that goes beyond is
/// still taken.
pub(super) const BYTES_IN_FLIGHT_MAX: u64 = 64 * 1024 * 1024;

/// An appender on a shared producer.
pub(super) struct KafkaAppender {
    producer: Producer,
    partition: Partition,
    record_len_max: usize,
    number: u32,
    settling: Arc<Settling>,
    sent: u64,
    bytes_sent: u64,
    taken: u64,
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
        let send = self.sent;
        self.producer.send(self.partition, Tag::new(self.number, send), &record)?;
        self.sent += 1;
        self.bytes_sent += len as u64;
        self.settling.sent(send);
        Ok(SendNumber(send))
    }

    async fn settled(&mut self, reports: &mut Vec<Report>) {
        let had = reports.len();
        self.settling.settled(reports).await;
        self.taken += reports[had..].iter().map(count).sum::<u64>();
    }
}

impl Drop for KafkaAppender {
    fn drop(&mut self) {
        self.producer.unregister(self.number);
    }
}

const fn count(report: &Report) -> u64 {
    match report {
        Report::Landed { count, .. } => *count,
        Report::Odd { .. } | Report::Failed { .. } => 1,
    }
}
