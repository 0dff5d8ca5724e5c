//! A log in memory that takes what is appended and, when it is told to, does not say so: a broker
//! whose answers are late.

use std::sync::Arc;

use async_trait::async_trait;
use retell::adapters::memory::MemoryLog;
use retell::log::Partitions;
use retell::ports::{
    AppendError, Appender, EventLog, LogError, LogReader, NewRecord, Report, SendNumber,
};
use retell::{Offset, Partition, Time};
use tokio::sync::watch;

/// Its appenders report nothing while it is silent.
#[derive(Clone)]
pub(crate) struct Unheard {
    log: MemoryLog,
    silent: Arc<watch::Sender<bool>>,
}

struct UnheardAppender {
    inner: Box<dyn Appender>,
    silent: watch::Receiver<bool>,
    /// What was reported to us, and by us to nobody yet.
    reports: Vec<Report>,
}

impl Unheard {
    pub(crate) fn of(log: MemoryLog) -> Self {
        Self { log, silent: Arc::default() }
    }

    pub(crate) fn fall_silent(&self) {
        self.silent.send_replace(true);
    }

    pub(crate) fn speak(&self) {
        self.silent.send_replace(false);
    }
}

#[async_trait]
impl Appender for UnheardAppender {
    fn append(&mut self, record: NewRecord<'_>) -> Result<SendNumber, AppendError> {
        self.inner.append(record)
    }

    fn flush(&mut self) {
        self.inner.flush();
    }

    async fn settled(&mut self, reports: &mut Vec<Report>) {
        if self.reports.is_empty() {
            self.inner.settled(&mut self.reports).await;
        }
        if self.silent.wait_for(|silent| !silent).await.is_ok() {
            reports.append(&mut self.reports);
        }
    }
}

#[async_trait]
impl EventLog for Unheard {
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
        let inner = self.log.appender(partition).await?;
        let silent = self.silent.subscribe();
        Ok(Box::new(UnheardAppender { inner, silent, reports: Vec::new() }))
    }

    async fn reader(
        &self,
        partition: Partition,
        from: Offset,
    ) -> Result<Box<dyn LogReader>, LogError> {
        self.log.reader(partition, from).await
    }
}
