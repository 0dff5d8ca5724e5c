//! A reader that is given what has landed, in chunks of any size, sometimes late.

use std::time::Duration;

use async_trait::async_trait;
use retell::ports::{Chunk, LogError, LogReader};
use retell::{Offset, Partition};
use tokio::time::Instant;

use super::FaultyLog;

pub(super) struct FaultyReader {
    log: FaultyLog,
    partition: Partition,
    next: Offset,
    has_said_end: bool,
}

impl FaultyReader {
    pub(super) const fn new(log: FaultyLog, partition: Partition, next: Offset) -> Self {
        Self { log, partition, next, has_said_end: false }
    }

    /// What is there, and where the reader stands after it.
    fn look(&self, records_max: usize) -> (Chunk, Offset) {
        let records = self.log.broker.records(self.partition);
        let start = records.records.partition_point(|record| record.offset < self.next);
        let chunk: Vec<_> = records.records[start..].iter().take(records_max).cloned().collect();
        let at_end = start + chunk.len() == records.records.len();
        let last = chunk.last().map_or(self.next, |last| last.offset.next());
        let next = if at_end { records.end } else { last };
        (Chunk { records: chunk, at_end }, next)
    }
}

#[async_trait]
impl LogReader for FaultyReader {
    async fn next(&mut self, records_max: usize, _bytes_max: usize) -> Result<Chunk, LogError> {
        let world = self.log.broker.world.clone();
        loop {
            self.log.link.pass().await;
            let down = Instant::now() < self.log.broker.down_until();
            if down || world.happens("log silent", |faults| faults.log_silent) {
                tokio::time::sleep(Duration::from_millis(10)).await;
                return Err(LogError::Unavailable("no answer".to_owned()));
            }
            // Made before the look, so that an append between look and wait wakes it.
            let appended = self.log.broker.appended[self.partition.0 as usize].notified();
            let few = 1 + world.chance.index(records_max.min(32));
            let (chunk, next) = self.look(few);
            if next > self.next || !self.has_said_end {
                let late = world.latency();
                if !late.is_zero() {
                    tokio::time::sleep(late).await;
                }
                self.log.link.pass().await;
                (self.next, self.has_said_end) = (next, chunk.at_end);
                return Ok(chunk);
            }
            appended.await;
        }
    }
}
