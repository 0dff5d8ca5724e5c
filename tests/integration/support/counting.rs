//! A log in memory that counts the records which it gives to those who look back, and not to those
//! who follow it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use retell::adapters::memory::MemoryLog;
use retell::log::Partitions;
use retell::ports::{Appender, Chunk, EventLog, LogError, LogReader};
use retell::{Offset, Partition, Time};

/// Counts what is given to the readers that are opened while it is told to.
#[derive(Clone)]
pub(crate) struct Counting {
    log: MemoryLog,
    counts: Arc<AtomicBool>,
    given: Arc<AtomicUsize>,
}

struct CountingReader {
    inner: Box<dyn LogReader>,
    given: Arc<AtomicUsize>,
}

impl Counting {
    pub(crate) fn of(log: MemoryLog) -> Self {
        Self { log, counts: Arc::default(), given: Arc::default() }
    }

    /// What this gives, and how many records the readers were given that it has opened.
    pub(crate) async fn given<T>(&self, during: impl Future<Output = T>) -> (T, usize) {
        self.given.store(0, Ordering::SeqCst);
        self.counts.store(true, Ordering::SeqCst);
        let done = during.await;
        self.counts.store(false, Ordering::SeqCst);
        (done, self.given.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl LogReader for CountingReader {
    async fn next(&mut self, records_max: usize, bytes_max: usize) -> Result<Chunk, LogError> {
        let chunk = self.inner.next(records_max, bytes_max).await?;
        self.given.fetch_add(chunk.records.len(), Ordering::SeqCst);
        Ok(chunk)
    }
}

#[async_trait]
impl EventLog for Counting {
    async fn check(&self) -> Result<(), LogError> {
        self.log.check().await
    }

    fn partitions(&self) -> Partitions {
        self.log.partitions()
    }

    fn name(&self) -> &str {
        self.log.name()
    }

    fn record_len_max(&self) -> usize {
        self.log.record_len_max()
    }

    async fn end(&self, partition: Partition) -> Result<Offset, LogError> {
        self.log.end(partition).await
    }

    async fn offset_at(&self, partition: Partition, time: Time) -> Result<Offset, LogError> {
        self.log.offset_at(partition, time).await
    }

    async fn appender(&self, partition: Partition) -> Result<Box<dyn Appender>, LogError> {
        self.log.appender(partition).await
    }

    async fn reader(
        &self,
        partition: Partition,
        from: Offset,
    ) -> Result<Box<dyn LogReader>, LogError> {
        let inner = self.log.reader(partition, from).await?;
        if !self.counts.load(Ordering::SeqCst) {
            return Ok(inner);
        }
        Ok(Box::new(CountingReader { inner, given: self.given.clone() }))
    }
}
