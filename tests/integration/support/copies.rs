//! Copies of logs: random logs, what counts in them, and places to copy them to.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use retell::adapters::SystemClock;
use retell::adapters::file::{FileSource, FileTarget};
use retell::adapters::memory::MemoryLog;
use retell::log::{Chain, Fold, Mark, Partitions, Stamp, Term};
use retell::ports::{
    CopyError, CopySource, CopyTarget, EventLog, Ids, LogRecord, NewRecord, Origin,
};
use retell::transfer::{LogSource, LogTarget, Phase, Progress, Report, copy};
use retell::{Offset, Partition};
use tempfile::TempDir;

use super::log::{append_one, read_to_end};
use super::writers::partitions;

/// Key and value of a record that counts.
pub(crate) type Pair = (Option<Bytes>, Bytes);

/// Something that is written to a log, by whoever.
#[derive(Clone, Debug)]
pub(crate) enum Written {
    /// A claim, of the next term or of another one.
    Claim { is_next: bool },
    /// A commit, whose number is the next one or another.
    Commit { key: Option<Vec<u8>>, value: Vec<u8>, is_next: bool },
    /// A record of somebody else.
    Foreign,
    /// An offset that no reader gets.
    Hole,
}

/// Where a copy goes.
#[derive(Clone)]
pub(crate) enum Place {
    Log(Arc<dyn EventLog>),
    File(Arc<TempDir>),
}

/// Nobody watches.
pub(crate) struct Unwatched;

/// The records of a partition: most of them count.
pub(crate) fn anything_written() -> impl Strategy<Value = Vec<Written>> {
    let key = prop_oneof![
        6 => "account/[a-c]".prop_map(|key| Some(key.into_bytes())),
        1 => any::<Vec<u8>>().prop_map(Some),
        1 => Just(None),
    ];
    let value = prop_oneof![
        4 => r#"\{"v":1,"x":[0-9]{1,3}\}"#.prop_map(String::into_bytes),
        1 => any::<Vec<u8>>(),
        1 => "\\PC*\n?".prop_map(String::into_bytes),
    ];
    let commit = (key, value, prop::bool::weighted(0.9));
    let written = prop_oneof![
        12 => commit.prop_map(|(key, value, is_next)| Written::Commit { key, value, is_next }),
        2 => prop::bool::weighted(0.7).prop_map(|is_next| Written::Claim { is_next }),
        1 => Just(Written::Foreign),
        1 => Just(Written::Hole),
    ];
    let claim = prop::option::weighted(0.9, Just(Written::Claim { is_next: true }));
    (claim, vec(written, 0..40)).prop_map(|(claim, rest)| claim.into_iter().chain(rest).collect())
}

/// Commits that count, with these values.
pub(crate) fn commits(values: impl IntoIterator<Item = String>) -> Vec<Written> {
    let commit = |value: String| Written::Commit {
        key: Some(b"account/ann".to_vec()),
        value: value.into_bytes(),
        is_next: true,
    };
    let claim = Written::Claim { is_next: true };
    std::iter::once(claim).chain(values.into_iter().map(commit)).collect()
}

/// A log in memory in which this was written, partition by partition.
pub(crate) async fn written(written: &[Vec<Written>]) -> MemoryLog {
    let count = u32::try_from(written.len()).expect("a few");
    let log = MemoryLog::new(partitions(count), Arc::new(SystemClock));
    for (partition, records) in log.partitions().iter().zip(written) {
        write(&log, partition, records).await;
    }
    log
}

/// Writes behind what counts already.
pub(crate) async fn write(log: &MemoryLog, partition: Partition, records: &[Written]) {
    let mut fold = Fold::default();
    for record in read(log, partition).await {
        fold.step(&record.stamp);
    }
    let mut appender = log.appender(partition).await.expect("an appender");
    for record in records {
        let Fold { term, next_chain } = fold;
        let (stamp, key, value) = match record {
            Written::Hole => {
                log.leave_hole(partition);
                continue;
            }
            Written::Foreign => (Stamp::parse(std::iter::empty()), None, &b"spam"[..]),
            Written::Claim { is_next } => {
                let term = Term(term.0 + if *is_next { 1 } else { 2 });
                (Stamp::Claim { term }, None, &b"a claim"[..])
            }
            Written::Commit { key, value, is_next } => {
                let chain = Chain(next_chain.0 + u64::from(!is_next));
                (Stamp::Commit { term, chain }, key.as_deref(), &value[..])
            }
        };
        fold.step(&stamp);
        append_one(appender.as_mut(), NewRecord { key, stamp, value }).await;
    }
}

/// Everything in a partition.
pub(crate) async fn read(log: &dyn EventLog, partition: Partition) -> Vec<LogRecord> {
    let mut reader = log.reader(partition, Offset(0)).await.expect("a reader");
    read_to_end(reader.as_mut()).await
}

/// What counts in each partition, by the fold alone.
pub(crate) async fn counting(log: &dyn EventLog) -> Vec<Vec<Pair>> {
    let mut all = Vec::new();
    for partition in log.partitions().iter() {
        let mut fold = Fold::default();
        let records = read(log, partition).await.into_iter();
        let counts = records.filter(|record| fold.step(&record.stamp) == Mark::Counts);
        all.push(counts.map(|record| (record.key, record.value)).collect());
    }
    all
}

impl Place {
    pub(crate) fn file() -> Self {
        Self::File(Arc::new(TempDir::with_prefix("retell-copy-").expect("a folder")))
    }

    pub(crate) fn memory(count: u32) -> Self {
        Self::Log(Arc::new(MemoryLog::new(partitions(count), Arc::new(SystemClock))))
    }

    /// The file; only of a place that is one.
    pub(crate) fn path(&self) -> PathBuf {
        match self {
            Self::File(folder) => folder.path().join("copy.ndjson"),
            Self::Log(_) => panic!("a log has no path"),
        }
    }

    pub(crate) async fn target(&self, origin: &Origin) -> Result<Box<dyn CopyTarget>, CopyError> {
        match self {
            Self::Log(log) => {
                let ids = Ids::new(Arc::new(SystemClock));
                Ok(Box::new(LogTarget::new(log.clone(), origin.clone(), ids)?))
            }
            Self::File(_) => Ok(Box::new(FileTarget::open(&self.path(), origin).await?)),
        }
    }

    pub(crate) async fn source(&self) -> Result<Box<dyn CopySource>, CopyError> {
        match self {
            Self::Log(log) => Ok(Box::new(LogSource::open(log.clone()).await?)),
            Self::File(_) => Ok(Box::new(FileSource::open(&self.path()).await?)),
        }
    }

    /// Copies all of it to another place, as the command does.
    pub(crate) async fn copy_to(&self, to: &Self) -> Result<Report, CopyError> {
        let source = self.source().await?;
        let target = to.target(source.origin()).await?;
        copy(source.as_ref(), target.as_ref(), &Unwatched).await
    }

    /// Every commit of each partition, as the source gives them.
    pub(crate) async fn commits(&self) -> Vec<Vec<Pair>> {
        let source = self.source().await.expect("a source");
        let mut all = Vec::new();
        for partition in source.origin().partitions.iter() {
            let mut commits = source.commits(partition).await.expect("a reader");
            let mut pairs = Vec::new();
            loop {
                let batch = commits.next().await.expect("commits");
                if batch.is_empty() {
                    break;
                }
                pairs.extend(batch.into_iter().map(|commit| (commit.key, commit.value)));
            }
            all.push(pairs);
        }
        all
    }
}

impl Progress for Unwatched {
    fn begin(&self, _: Phase, _: u64) {}
    fn advance(&self, _: u64) {}
    fn say(&self, _: &str) {}
}

/// A log of so many partitions that was never written to.
pub(crate) fn origin_of_nothing(count: Partitions) -> Origin {
    let logs = vec![None; count.count() as usize];
    Origin { partitions: count, hash: retell::log::PARTITION_HASH.to_owned(), logs }
}
