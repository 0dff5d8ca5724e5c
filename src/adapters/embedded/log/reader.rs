//! Reads one partition of the embedded log: at the head from memory, before it from disk.
//!
//! The disk is read off the async threads.

use std::sync::Arc;

use async_trait::async_trait;

use crate::contract::{Offset, Partition};
use crate::ports::{Chunk, LogError, LogReader};

use super::tail::{Limit, Look};
use super::{OpenLog, disk};

pub(super) struct EmbeddedReader {
    log: Arc<OpenLog>,
    partition: Partition,
    next: Offset,
    has_said_end: bool,
}

impl EmbeddedReader {
    pub(super) const fn new(log: Arc<OpenLog>, partition: Partition, from: Offset) -> Self {
        Self { log, partition, next: from, has_said_end: false }
    }
}

#[async_trait]
impl LogReader for EmbeddedReader {
    async fn next(&mut self, records_max: usize, bytes_max: usize) -> Result<Chunk, LogError> {
        let at = self.partition.0 as usize;
        let tail = &self.log.tails[at];
        loop {
            // Made before the look, so that what lands between look and wait wakes it.
            let grown = tail.grown();
            let chunk = match tail.look(self.next, Limit::new(records_max, bytes_max)) {
                Look::Recent(chunk) => chunk,
                Look::Stored { end } => {
                    let (partition, from) = (self.log.store.partitions()[at].clone(), self.next);
                    let limit = Limit::new(records_max, bytes_max);
                    disk(move || partition.read(from, end, limit)).await?
                }
            };
            if !chunk.records.is_empty() || !self.has_said_end {
                self.next = self.next.plus(chunk.records.len() as u64);
                self.has_said_end = chunk.at_end;
                return Ok(chunk);
            }
            grown.await;
        }
    }
}
