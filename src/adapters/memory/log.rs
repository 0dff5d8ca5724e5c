//! A log in memory: an append lands in the moment in which it is taken.
//!
//! Same calls in the same order give the same log and the same wake-ups, so a simulation can run
//! on it. Faults are not made here: a wrapper decides which appends and reports get through.

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Notify;

use crate::contract::{Offset, Partition, Time};
use crate::log::{Partitions, Stamp};
use crate::ports::{
    AppendError, Appender, Chunk, Clock, EventLog, LogError, LogReader, LogRecord, NewRecord,
    Report, SendNumber,
};

const RECORD_LEN_MAX: usize = 1_000_000;
const IN_FLIGHT_LEN_MAX: u64 = 4_096;

/// A log that ends with the process. Clones are the same log.
///
/// ```
/// use retell::adapters::{SystemClock, memory::MemoryLog};
/// use retell::log::Partitions;
/// use retell::ports::EventLog;
/// # use retell::{Offset, Partition};
///
/// # #[tokio::main] async fn main() -> Result<(), retell::ports::LogError> {
/// # let clock = std::sync::Arc::new(SystemClock);
/// let log = MemoryLog::new(Partitions::new(1).expect("one"), clock);
/// let same = log.clone();
/// log.leave_hole(Partition(0)); // as a transaction of others does on Kafka
/// assert_eq!(same.end(Partition(0)).await?, Offset(1));
/// let mut reader = same.reader(Partition(0), Offset(0)).await?;
/// assert!(reader.next(100, 1_000).await?.records.is_empty());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct MemoryLog {
    partitions: Arc<[Mutex<Records>]>,
    /// One per partition. A `Notify` wakes readers in the order in which they wait; a `watch`
    /// would wake them in a random one.
    appended: Arc<[Notify]>,
    clock: Arc<dyn Clock>,
    record_len_max: usize,
    in_flight_len_max: u64,
}

/// One partition.
#[derive(Default)]
struct Records {
    /// By offset, which may have holes.
    records: Vec<LogRecord>,
    end: Offset,
    /// The time of the last record; the log's time never goes back.
    time: Time,
}

struct MemoryAppender {
    log: MemoryLog,
    partition: Partition,
    next: SendNumber,
    /// Appends that no report was taken of.
    in_flight_len: u64,
    reports: Vec<Report>,
}

struct MemoryReader {
    log: MemoryLog,
    partition: Partition,
    next: Offset,
    has_said_end: bool,
}

impl MemoryLog {
    /// An empty log, whose records get their times from `clock`.
    #[must_use]
    pub fn new(partitions: Partitions, clock: Arc<dyn Clock>) -> Self {
        Self {
            partitions: partitions.iter().map(|_| Mutex::default()).collect(),
            appended: partitions.iter().map(|_| Notify::new()).collect(),
            clock,
            record_len_max: RECORD_LEN_MAX,
            in_flight_len_max: IN_FLIGHT_LEN_MAX,
        }
    }

    /// This log, for whoever holds this handle, with another limit to records, in bytes.
    #[must_use]
    pub fn with_record_len_max(self, record_len_max: usize) -> Self {
        Self { record_len_max, ..self }
    }

    /// This log, for whoever holds this handle, with another limit to what an appender has in
    /// flight, in records.
    #[must_use]
    pub fn with_in_flight_len_max(self, in_flight_len_max: u64) -> Self {
        Self { in_flight_len_max, ..self }
    }

    /// Takes an offset that no reader will be given, as a foreign transaction does on Kafka.
    pub fn leave_hole(&self, partition: Partition) {
        if let Ok(mut records) = self.records(partition) {
            records.end = records.end.next();
            self.appended[partition.0 as usize].notify_waiters();
        }
    }

    fn records(&self, partition: Partition) -> Result<MutexGuard<'_, Records>, LogError> {
        let records = self.partitions.get(partition.0 as usize);
        let records = records.ok_or(LogError::OutOfRange { partition, offset: Offset(0) })?;
        Ok(records.lock().expect("no panic while it is held"))
    }

    fn append(
        &self,
        partition: Partition,
        record: NewRecord<'_>,
    ) -> Result<(Offset, Time), LogError> {
        let mut records = self.records(partition)?;
        let offset = records.end;
        let time = self.clock.now().max(records.time);
        records.records.push(LogRecord {
            offset,
            time,
            key: record.key.map(Bytes::copy_from_slice),
            stamp: as_written(record.stamp),
            value: Bytes::copy_from_slice(record.value),
        });
        records.end = offset.next();
        records.time = time;
        self.appended[partition.0 as usize].notify_waiters();
        Ok((offset, time))
    }
}

impl Records {
    /// The records from `from` on, within limits, and whether the end comes after them.
    fn chunk(&self, from: Offset, records_max: usize, bytes_max: usize) -> Chunk {
        let start = self.records.partition_point(|record| record.offset < from);
        let mut bytes = 0;
        let within = |record: &&LogRecord| {
            let is_first = bytes == 0;
            bytes += 1 + record.key.as_ref().map_or(0, Bytes::len) + record.value.len();
            is_first || bytes <= bytes_max
        };
        let records: Vec<_> = self.records[start..]
            .iter()
            .take(records_max.max(1))
            .take_while(within)
            .cloned()
            .collect();
        let at_end = start + records.len() == self.records.len();
        Chunk { records, at_end }
    }
}

#[async_trait]
impl EventLog for MemoryLog {
    async fn check(&self) -> Result<(), LogError> {
        Ok(())
    }

    fn partitions(&self) -> Partitions {
        let count = u32::try_from(self.partitions.len()).ok().and_then(Partitions::new);
        count.expect("it was made from a count of partitions")
    }

    fn name(&self) -> &'static str {
        "retell"
    }

    fn record_len_max(&self) -> usize {
        self.record_len_max
    }

    async fn end(&self, partition: Partition) -> Result<Offset, LogError> {
        Ok(self.records(partition)?.end)
    }

    async fn offset_at(&self, partition: Partition, time: Time) -> Result<Offset, LogError> {
        let records = self.records(partition)?;
        let at = records.records.partition_point(|record| record.time < time);
        Ok(records.records.get(at).map_or(records.end, |record| record.offset))
    }

    async fn appender(&self, partition: Partition) -> Result<Box<dyn Appender>, LogError> {
        drop(self.records(partition)?);
        Ok(Box::new(MemoryAppender {
            log: self.clone(),
            partition,
            next: SendNumber(0),
            in_flight_len: 0,
            reports: Vec::new(),
        }))
    }

    async fn reader(
        &self,
        partition: Partition,
        from: Offset,
    ) -> Result<Box<dyn LogReader>, LogError> {
        if from > self.records(partition)?.end {
            return Err(LogError::OutOfRange { partition, offset: from });
        }
        let log = self.clone();
        Ok(Box::new(MemoryReader { log, partition, next: from, has_said_end: false }))
    }
}

#[async_trait]
impl Appender for MemoryAppender {
    fn append(&mut self, record: NewRecord<'_>) -> Result<SendNumber, AppendError> {
        let len = record.key.map_or(0, <[u8]>::len) + record.value.len();
        if len > self.log.record_len_max {
            return Err(AppendError::TooLarge { len, max: self.log.record_len_max });
        }
        if self.in_flight_len >= self.log.in_flight_len_max {
            return Err(AppendError::Full);
        }
        let landed = self.log.append(self.partition, record);
        let (offset, time) = landed.map_err(|_| AppendError::Dead)?;
        let send = self.next;
        self.next = SendNumber(send.0 + 1);
        self.in_flight_len += 1;
        Report::add_landed(&mut self.reports, send, offset, time);
        Ok(send)
    }

    async fn settled(&mut self, reports: &mut Vec<Report>) {
        if self.reports.is_empty() {
            // Only an append brings a report, and nobody can append while this is waited for.
            std::future::pending::<()>().await;
        }
        reports.append(&mut self.reports);
        self.in_flight_len = 0;
    }
}

#[async_trait]
impl LogReader for MemoryReader {
    async fn next(&mut self, records_max: usize, bytes_max: usize) -> Result<Chunk, LogError> {
        loop {
            // Made before the look, so that an append between look and wait wakes it.
            let appended = self.log.appended[self.partition.0 as usize].notified();
            let (chunk, end) = {
                let records = self.log.records(self.partition)?;
                (records.chunk(self.next, records_max, bytes_max), records.end)
            };
            // What lies behind the last record is a hole: pass it, and say again that it ended.
            let has_moved = !chunk.records.is_empty() || (chunk.at_end && end > self.next);
            if has_moved || !self.has_said_end {
                let last = chunk.records.last().map_or(self.next, |last| last.offset.next());
                self.next = if chunk.at_end { end } else { last };
                self.has_said_end = chunk.at_end;
                return Ok(chunk);
            }
            appended.await;
        }
    }
}

/// What a reader gets of a stamp: a foreign one writes no headers.
fn as_written(stamp: Stamp) -> Stamp {
    match stamp {
        Stamp::Foreign(_) => Stamp::parse(std::iter::empty()),
        stamp => stamp,
    }
}

#[cfg(test)]
mod tests;
