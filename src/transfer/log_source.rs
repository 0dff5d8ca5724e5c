//! A log as the source of a copy: its commits by the validity fold, up to its end as it was when
//! it was opened.

use std::sync::Arc;

use async_trait::async_trait;

use crate::contract::{Offset, Partition};
use crate::events::Claim;
use crate::log::{Mark, PARTITION_HASH, Tracker};
use crate::ports::{
    Commits, CopyError, CopySource, Counted, EventLog, LeftBehind, LogError, LogReader, LogRecord,
    Origin,
};

use super::reading::next_chunk;

/// The commits of a log.
///
/// ```
/// # use std::sync::Arc;
/// # use retell::adapters::{SystemClock, memory::MemoryLog};
/// # use retell::{app::App, log::Partitions, write::SendOptions};
/// use retell::{ports::CopySource, transfer::LogSource};
/// # use retell::doc::{Light, LightCommand};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let partitions = Partitions::new(4).expect("some");
/// # let log = Arc::new(MemoryLog::new(partitions, Arc::new(SystemClock)));
/// # let app = App::ephemeral().log(log.clone()).aggregate::<Light>(()).build().await?;
/// # app.ready().await;
/// let order = LightCommand::SwitchOn {};
/// let done = app.commands().send::<Light>("hall", order, SendOptions::default()).await?;
/// let source = LogSource::open(log).await?;
/// let commits = source.commits(done.position.partition).await?.next().await?;
/// assert_eq!(commits[0].key.as_deref(), Some(&b"light/hall"[..]));
/// # app.stop().await; Ok(()) }
/// ```
pub struct LogSource {
    log: Arc<dyn EventLog>,
    origin: Origin,
    /// Where each partition ended when this was opened.
    ends: Vec<Offset>,
}

/// The records of one partition, with what the fold says of each.
struct LogCommits {
    reader: Box<dyn LogReader>,
    tracker: Tracker,
    end: Offset,
    has_ended: bool,
}

impl LogSource {
    /// Notes where the log ends, and which one it is.
    ///
    /// # Errors
    /// The log does not answer, is not whole, or was made for another hash.
    pub async fn open(log: Arc<dyn EventLog>) -> Result<Self, CopyError> {
        let partitions = log.partitions();
        let hash = PARTITION_HASH.to_owned();
        let (mut ends, mut logs) = (Vec::new(), Vec::new());
        for partition in partitions.iter() {
            let end = log.end(partition).await?;
            let mut commits = LogCommits::open(log.as_ref(), partition, end).await?;
            logs.push(commits.read_to_claim(partitions.count()).await?);
            ends.push(end);
        }
        Ok(Self { log, origin: Origin { partitions, hash, logs }, ends })
    }
}

#[async_trait]
impl CopySource for LogSource {
    fn origin(&self) -> &Origin {
        &self.origin
    }

    fn records(&self) -> u64 {
        self.ends.iter().map(|end| end.0).sum()
    }

    async fn commits(&self, partition: Partition) -> Result<Box<dyn Commits>, CopyError> {
        let end = self.ends[partition.0 as usize];
        Ok(Box::new(LogCommits::open(self.log.as_ref(), partition, end).await?))
    }

    async fn has_grown(&self) -> Result<bool, CopyError> {
        for (partition, end) in self.log.partitions().iter().zip(&self.ends) {
            if self.log.end(partition).await? > *end {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[async_trait]
impl Commits for LogCommits {
    async fn next(&mut self) -> Result<Vec<Counted>, CopyError> {
        let mut counted = Vec::new();
        while counted.is_empty() && !self.has_ended {
            for (mark, record) in self.read().await? {
                if mark == Mark::Counts {
                    let LogRecord { offset, time, key, value, .. } = record;
                    counted.push(Counted { offset, time, key, value });
                }
            }
        }
        Ok(counted)
    }

    fn left_behind(&self) -> LeftBehind {
        let counters = self.tracker.counters();
        LeftBehind { void: counters.void, foreign: counters.foreign }
    }
}

impl LogCommits {
    async fn open(
        log: &dyn EventLog,
        partition: Partition,
        end: Offset,
    ) -> Result<Self, CopyError> {
        let opened = log.reader(partition, Offset(0)).await;
        let reader = opened.map_err(|error| match error {
            LogError::OutOfRange { .. } => CopyError::Refused(format!(
                "partition {partition} of the source does not begin at offset 0 any more: what \
                 stood there was deleted, and a copy of the rest would be another history"
            )),
            error => error.into(),
        })?;
        let has_ended = end == Offset(0);
        Ok(Self { reader, tracker: Tracker::default(), end, has_ended })
    }

    /// The next records before the end.
    async fn read(&mut self) -> Result<Vec<(Mark, LogRecord)>, CopyError> {
        let chunk = next_chunk(self.reader.as_mut()).await?;
        let mut records = Vec::with_capacity(chunk.records.len());
        self.has_ended = chunk.at_end;
        for record in chunk.records {
            if record.offset >= self.end {
                self.has_ended = true;
                break;
            }
            let mark = self.tracker.step(record.offset, record.time, &record.stamp, &record.value);
            records.push((mark, record));
        }
        self.has_ended |= self.tracker.next() >= self.end;
        Ok(records)
    }

    /// The id of the log, once the first claim that counts has been read.
    async fn read_to_claim(
        &mut self,
        partitions: u32,
    ) -> Result<Option<crate::log::LogId>, CopyError> {
        while !self.has_ended {
            let records = self.read().await?;
            let claim = records.iter().find(|(mark, _)| *mark == Mark::Claim);
            if let Some((_, record)) = claim {
                check_layout(&record.value, partitions)?;
                break;
            }
        }
        Ok(self.tracker.log())
    }
}

/// A claim that cannot be decoded says nothing about the log's shape.
fn check_layout(claim: &[u8], count: u32) -> Result<(), CopyError> {
    let Ok(Claim { partitions, hash, .. }) = Claim::decode(claim) else { return Ok(()) };
    if partitions == count && hash == PARTITION_HASH {
        return Ok(());
    }
    Err(CopyError::Refused(format!(
        "the source was made with {partitions} partitions and the hash {hash}; it has {count} \
         now, and this binary knows the hash {PARTITION_HASH}: somebody has changed it"
    )))
}
