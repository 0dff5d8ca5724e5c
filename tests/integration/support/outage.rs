//! A log in memory that can be made to answer nobody, as a broker that is down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use retell::adapters::memory::MemoryLog;
use retell::log::Partitions;
use retell::ports::{Appender, EventLog, LogError, LogReader};
use retell::{Offset, Partition, Time};

/// Gives no new reader and no new appender while it is down; those that are open go on.
#[derive(Clone)]
pub(crate) struct Outage {
    log: MemoryLog,
    down: Arc<AtomicBool>,
}

impl Outage {
    pub(crate) fn of(log: MemoryLog) -> Self {
        Self { log, down: Arc::default() }
    }

    pub(crate) fn begin(&self) {
        self.down.store(true, Ordering::SeqCst);
    }

    pub(crate) fn end(&self) {
        self.down.store(false, Ordering::SeqCst);
    }

    fn answers(&self) -> Result<&MemoryLog, LogError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(LogError::Unavailable("broker-7.internal is down".to_owned()));
        }
        Ok(&self.log)
    }
}

#[async_trait]
impl EventLog for Outage {
    async fn check(&self) -> Result<(), LogError> {
        self.answers()?.check().await
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
        self.answers()?.end(partition).await
    }

    async fn offset_at(&self, partition: Partition, time: Time) -> Result<Offset, LogError> {
        self.answers()?.offset_at(partition, time).await
    }

    async fn appender(&self, partition: Partition) -> Result<Box<dyn Appender>, LogError> {
        self.answers()?.appender(partition).await
    }

    async fn reader(
        &self,
        partition: Partition,
        from: Offset,
    ) -> Result<Box<dyn LogReader>, LogError> {
        self.answers()?.reader(partition, from).await
    }
}
