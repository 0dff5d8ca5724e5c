//! The log in a folder of this machine: durable through kill -9 and power loss, without a server.
//!
//! Appends are queued in memory; one thread writes all that wait as one batch with one fsync, and
//! only then readers and appenders learn of it.

mod appender;
mod queue;
mod reader;
mod record;
mod store;
mod tail;
mod write;

use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use async_trait::async_trait;

use crate::contract::{Offset, Partition, Time};
use crate::log::Partitions;
use crate::ports::{Appender, Clock, EventLog, LogError, LogReader};

use super::folder::Folder;
use appender::EmbeddedAppender;
use queue::Queue;
use reader::EmbeddedReader;
use store::Store;
use tail::Tail;
use write::Writer;

/// A log in a folder. Clones are the same log; it is closed when the last one is dropped, with
/// its appenders and readers, which waits for the write that is under way.
///
/// ```
/// use std::sync::Arc;
///
/// use retell::adapters::{SystemClock, embedded::EmbeddedLog};
/// use retell::log::Partitions;
/// use retell::ports::EventLog;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let four = Partitions::new(4).expect("4");
/// assert!(!EmbeddedLog::is_in(folder.path()));
/// drop(EmbeddedLog::open(folder.path(), four, 1_000_000, Arc::new(SystemClock))?);
/// let log = EmbeddedLog::open_existing(folder.path(), 1_000_000, Arc::new(SystemClock))?;
/// assert_eq!(log.partitions(), four);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct EmbeddedLog(Arc<OpenLog>);

/// What appenders and readers share.
struct OpenLog {
    thread: Option<JoinHandle<()>>,
    queue: Arc<Queue>,
    tails: Arc<[Tail]>,
    partitions: Partitions,
    limits: Limits,
    store: Store,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Bytes of key and value.
    record_len_max: usize,
    /// Records of one appender that no report was taken of.
    in_flight_len_max: usize,
    /// Bytes of one appender that are not written yet.
    in_flight_bytes_max: usize,
    /// Memory for the last records of one partition.
    tail_bytes_max: usize,
}

impl EmbeddedLog {
    /// Opens the log in `dir`, or makes one with this many partitions. Records get their times
    /// from `clock`; one has at most `record_len_max` bytes. It blocks on the disk: call it at
    /// start, or off the async threads.
    ///
    /// # Errors
    /// [`LogError::Unavailable`]: another process has the folder. [`LogError::Settings`]: it has
    /// another number of partitions, or cannot be written. [`LogError::Damaged`]: it was torn.
    pub fn open(
        dir: &Path,
        partitions: Partitions,
        record_len_max: usize,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LogError> {
        Self::open_within(dir, partitions, Limits::new(record_len_max), clock)
    }

    /// Opens the log in `dir` with as many partitions as it has; none is made. It blocks as
    /// [`open`](Self::open) does.
    ///
    /// # Errors
    /// As for `open`; [`LogError::Settings`] also when there is no log.
    pub fn open_existing(
        dir: &Path,
        record_len_max: usize,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LogError> {
        Self::start(Store::open_existing(dir)?, Limits::new(record_len_max), clock)
    }

    /// Whether there is a log in `dir`.
    #[must_use]
    pub fn is_in(dir: &Path) -> bool {
        Folder::has_store(dir)
    }

    fn open_within(
        dir: &Path,
        partitions: Partitions,
        limits: Limits,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LogError> {
        Self::start(Store::open(dir, partitions)?, limits, clock)
    }

    fn start(store: Store, limits: Limits, clock: Arc<dyn Clock>) -> Result<Self, LogError> {
        let count = u32::try_from(store.partitions().len()).ok().and_then(Partitions::new);
        let partitions = count.expect("a log has partitions, counted in 32 bits");
        let (mut tails, mut times) = (Vec::new(), Vec::new());
        for partition in store.partitions() {
            let (end, time) = partition.end()?;
            tails.push(Tail::new(end, limits.tail_bytes_max));
            times.push(time);
        }
        let (queue, tails) = (Arc::new(Queue::default()), Arc::<[Tail]>::from(tails));
        let shared = (Arc::clone(&queue), Arc::clone(&tails));
        let writer = Writer::new(shared.0, shared.1, clock, times, store.commit());
        let thread = thread::Builder::new()
            .name("retell-log".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| LogError::Unavailable(format!("no thread to write it: {error}")))?;
        let thread = Some(thread);
        Ok(Self(Arc::new(OpenLog { thread, queue, tails, partitions, limits, store })))
    }

    fn tail(&self, partition: Partition) -> Result<&Tail, LogError> {
        let tail = self.0.tails.get(partition.0 as usize);
        tail.ok_or(LogError::OutOfRange { partition, offset: Offset(0) })
    }

    /// Nothing can be appended any more after a write that failed.
    fn check_writable(&self) -> Result<(), LogError> {
        self.0.queue.failure().map_or(Ok(()), |reason| Err(LogError::Unavailable(reason)))
    }
}

#[async_trait]
impl EventLog for EmbeddedLog {
    async fn check(&self) -> Result<(), LogError> {
        self.check_writable()
    }

    fn partitions(&self) -> Partitions {
        self.0.partitions
    }

    fn name(&self) -> &'static str {
        "retell"
    }

    fn record_len_max(&self) -> usize {
        self.0.limits.record_len_max
    }

    async fn end(&self, partition: Partition) -> Result<Offset, LogError> {
        Ok(self.tail(partition)?.end())
    }

    async fn offset_at(&self, partition: Partition, time: Time) -> Result<Offset, LogError> {
        let end = self.tail(partition)?.end();
        let stored = self.0.store.partitions()[partition.0 as usize].clone();
        disk(move || stored.first_at(end, time)).await
    }

    async fn appender(&self, partition: Partition) -> Result<Box<dyn Appender>, LogError> {
        self.tail(partition)?;
        self.check_writable()?;
        Ok(Box::new(EmbeddedAppender::new(Arc::clone(&self.0), partition)))
    }

    async fn reader(
        &self,
        partition: Partition,
        from: Offset,
    ) -> Result<Box<dyn LogReader>, LogError> {
        if from > self.tail(partition)?.end() {
            return Err(LogError::OutOfRange { partition, offset: from });
        }
        Ok(Box::new(EmbeddedReader::new(Arc::clone(&self.0), partition, from)))
    }
}

impl Limits {
    const fn new(record_len_max: usize) -> Self {
        Self {
            record_len_max,
            in_flight_len_max: 8_192,
            in_flight_bytes_max: 16 * 1024 * 1024,
            tail_bytes_max: 4 * 1024 * 1024,
        }
    }
}

impl Drop for OpenLog {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // A panic in it has failed what waited, and was printed.
            let _ = thread.join();
        }
    }
}

/// Runs what reads the disk off the async threads.
async fn disk<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    tokio::task::spawn_blocking(read)
        .await
        .unwrap_or_else(|error| Err(LogError::Unavailable(format!("the read ended: {error}"))))
}

#[cfg(test)]
mod tests;
