//! Where the commits of a log come from and go to, one after another: another log, or a file.
//!
//! Only records that count are spoken of; claims, void and foreign records stay behind.
//!
//! Laws, each a test of `tests/integration/conformance/copies.rs`:
//!
//! 1. A reader gives every commit of its partition once and in order, key and value byte for
//!    byte, up to the end as it was when the source was opened.
//! 2. Nothing is written before `begin`.
//! 3. What was added and settled is read back by the target's own source after `finish`.
//! 4. Whatever breaks an addition off, what is there afterwards is a beginning of it, and another
//!    addition goes on behind that.
//! 5. A target that holds anything that no copy has written is refused when it is read.

use async_trait::async_trait;
use bytes::Bytes;

use crate::contract::{Offset, Partition, Time};
use crate::log::{LogId, Partitions};

use super::event_log::LogError;

/// A record that counts.
///
/// ```
/// use std::sync::Arc;
///
/// use retell::Partition;
/// use retell::ports::{CopySource, Counted};
/// use retell::transfer::LogSource;
/// # use retell::{Offset, Time, adapters::memory::{ManualClock, MemoryLog}};
/// # use retell::log::{Chain, Partitions, Stamp, Term};
/// # use retell::ports::{EventLog, NewRecord};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let one = Partitions::new(1).expect("one");
/// # let log = MemoryLog::new(one, Arc::new(ManualClock::default()));
/// # let mut appender = log.appender(Partition(0)).await?;
/// # let term = Term(1);
/// # appender.append(NewRecord { key: None, stamp: Stamp::Claim { term }, value: b"{}" })?;
/// # let stamp = Stamp::Commit { term, chain: Chain(0) };
/// # appender.append(NewRecord { key: Some(b"light/hall"), stamp, value: b"{}" })?;
/// // A claim, and the commit of a light that was switched on.
/// let source = LogSource::open(Arc::new(log)).await?;
/// let counted = source.commits(Partition(0)).await?.next().await?;
/// let key = Some("light/hall".into());
/// let wanted = Counted { offset: Offset(1), time: Time::default(), key, value: "{}".into() };
/// assert_eq!(counted, [wanted]);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Counted {
    /// Where it is, or was in the log that a file is a copy of.
    pub offset: Offset,
    /// When that log took it.
    pub time: Time,
    /// `TYPE/ID`.
    pub key: Option<Bytes>,
    /// The JSON.
    pub value: Bytes,
}

/// Which log the commits are of.
///
/// ```
/// use retell::log::{PARTITION_HASH, Partitions};
/// use retell::ports::Origin;
///
/// let partitions = Partitions::new(16).expect("16");
/// let origin = Origin { partitions, hash: PARTITION_HASH.into(), logs: vec![None; 16] };
/// assert!(origin.check(16, PARTITION_HASH).is_ok());
/// let error = origin.check(4, PARTITION_HASH).expect_err("its aggregates would live elsewhere");
/// assert!(error.to_string().starts_with("the source has 16 partitions"));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Origin {
    /// How many partitions it has.
    pub partitions: Partitions,
    /// The hash that spreads aggregates over them.
    pub hash: String,
    /// The log's id in each partition; none where nothing was ever claimed.
    pub logs: Vec<Option<LogId>>,
}

/// How many records of a partition stayed behind because they do not count.
///
/// ```
/// use retell::ports::LeftBehind;
///
/// // As it stands in the report of a copy.
/// let left_behind = LeftBehind { void: 2, ..LeftBehind::default() };
/// assert_eq!(serde_json::to_string(&left_behind)?, r#"{"void":2,"foreign":0}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Serialize)]
pub struct LeftBehind {
    /// Records of Retell's: of an ended term, or out of turn.
    pub void: u64,
    /// Records of others.
    pub foreign: u64,
}

/// Gives the commits of a log as it was when this was opened.
///
/// ```
/// use std::sync::Arc;
///
/// use retell::Partition;
/// use retell::adapters::{SystemClock, memory::MemoryLog};
/// use retell::log::Partitions;
/// use retell::ports::CopySource;
/// use retell::transfer::LogSource;
///
/// # #[tokio::main] async fn main() -> Result<(), retell::ports::CopyError> {
/// let log = MemoryLog::new(Partitions::new(2).expect("2"), Arc::new(SystemClock));
/// let source = LogSource::open(Arc::new(log)).await?;
/// assert_eq!(source.origin().logs, [None, None]); // nobody has claimed a partition
/// assert_eq!(source.commits(Partition(1)).await?.next().await?, []);
/// assert!(!source.has_grown().await?);
/// # Ok(()) }
/// ```
#[async_trait]
pub trait CopySource: Send + Sync {
    /// Which log.
    fn origin(&self) -> &Origin;

    /// How many records there are to read, those that do not count too.
    fn records(&self) -> u64;

    /// The commits of a partition from its first on.
    ///
    /// # Errors
    /// The source does not answer, or its beginning is gone.
    async fn commits(&self, partition: Partition) -> Result<Box<dyn Commits>, CopyError>;

    /// Whether something was written behind the end since this was opened.
    ///
    /// # Errors
    /// The source does not answer.
    async fn has_grown(&self) -> Result<bool, CopyError>;
}

/// Reads the commits of one partition.
///
/// ```
/// use async_trait::async_trait;
/// use retell::ports::{Commits, CopyError, Counted, LeftBehind};
///
/// /// Commits that are all there already.
/// struct Ready(Vec<Counted>);
///
/// #[async_trait]
/// impl Commits for Ready {
///     async fn next(&mut self) -> Result<Vec<Counted>, CopyError> {
///         Ok(std::mem::take(&mut self.0))
///     }
///
///     fn left_behind(&self) -> LeftBehind {
///         LeftBehind::default()
///     }
/// }
///
/// # #[tokio::main] async fn main() -> Result<(), CopyError> {
/// # let counted = Counted { offset: retell::Offset(1), time: retell::Time::default(),
/// #     key: Some("light/hall".into()), value: "{}".into() };
/// let mut commits = Ready(vec![counted]);
/// assert_eq!(commits.next().await?.len(), 1);
/// assert!(commits.next().await?.is_empty(), "that was all");
/// # Ok(()) }
/// ```
#[async_trait]
pub trait Commits: Send {
    /// The next ones, about a megabyte at most; none at the end.
    ///
    /// # Errors
    /// What is stored cannot be read, or is not what it must be.
    async fn next(&mut self) -> Result<Vec<Counted>, CopyError>;

    /// What has been passed over so far.
    fn left_behind(&self) -> LeftBehind;
}

/// Takes the commits of a log.
///
/// ```
/// use retell::adapters::file::FileTarget;
/// use retell::log::{PARTITION_HASH, Partitions};
/// use retell::ports::{CopyTarget, Origin};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let partitions = Partitions::new(1).expect("one");
/// let origin = Origin { partitions, hash: PARTITION_HASH.into(), logs: vec![None] };
/// let target = FileTarget::open(&folder.path().join("backup.ndjson"), &origin).await?;
/// assert!(target.copied().await.is_err(), "it is no whole copy yet");
/// target.finish().await?;
/// assert_eq!(target.copied().await?.records(), 0);
/// # Ok(()) }
/// ```
#[async_trait]
pub trait CopyTarget: Send + Sync {
    /// How many partitions it takes at once.
    fn at_once(&self) -> usize;

    /// Opens a partition: what is there is read first, then more can be added.
    ///
    /// # Errors
    /// The target does not answer.
    async fn open(&self, partition: Partition) -> Result<Box<dyn CopyInto>, CopyError>;

    /// Makes all that was added durable, and what is there a whole copy.
    ///
    /// # Errors
    /// It may not be durable.
    async fn finish(&self) -> Result<(), CopyError>;

    /// What is there now, read from its beginning.
    ///
    /// # Errors
    /// The target does not answer, or what it holds is no whole copy.
    async fn copied(&self) -> Result<Box<dyn CopySource>, CopyError>;
}

/// One partition of a target. It is read to its end, then begun, then added to.
///
/// ```
/// use retell::Partition;
/// # use retell::adapters::file::FileTarget;
/// # use retell::log::{PARTITION_HASH, Partitions};
/// # use retell::ports::{CopyTarget, Counted, Origin};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let partitions = Partitions::new(1).expect("one");
/// # let origin = Origin { partitions, hash: PARTITION_HASH.into(), logs: vec![None] };
/// # let target = FileTarget::open(&folder.path().join("backup.ndjson"), &origin).await?;
/// # let counted = Counted { offset: retell::Offset(1), time: retell::Time::default(),
/// #     key: Some("light/hall".into()), value: "{}".into() };
/// let mut into = target.open(Partition(0)).await?;
/// assert!(into.next().await?.is_empty(), "nothing is there yet");
/// into.begin().await?;
/// into.add(&[counted]).await?;
/// into.settle().await?;
/// target.finish().await?;
/// assert_eq!(target.copied().await?.records(), 1);
/// # Ok(()) }
/// ```
#[async_trait]
pub trait CopyInto: Commits {
    /// Makes ready to add behind what was read.
    ///
    /// # Errors
    /// [`CopyError::Lost`] when more than was read is there by now.
    async fn begin(&mut self) -> Result<(), CopyError>;

    /// Adds commits; may return before they are there.
    ///
    /// # Errors
    /// [`CopyError::Lost`] when nobody knows which of those added are there.
    async fn add(&mut self, commits: &[Counted]) -> Result<(), CopyError>;

    /// Waits until all that was added is there.
    ///
    /// # Errors
    /// As for `add`.
    async fn settle(&mut self) -> Result<(), CopyError>;
}

/// Why a copy cannot go on.
///
/// ```
/// use retell::ports::{CopyError, LogError};
///
/// let away = CopyError::from(LogError::Unavailable("no broker answers".into()));
/// assert_eq!(away.to_string(), "the log is unavailable: no broker answers");
/// assert!(away.is_retryable());
/// assert!(!CopyError::File("backup.ndjson, line 7: was altered".into()).is_retryable());
/// ```
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A log says no.
    #[error(transparent)]
    Log(#[from] LogError),
    /// What was added last may be there or not; reading tells.
    #[error("{0}")]
    Lost(String),
    /// The two do not go together. Nothing helps but another source or target.
    #[error("{0}")]
    Refused(String),
    /// A file cannot be read or written, or does not hold what it must.
    #[error("{0}")]
    File(String),
}

impl Origin {
    /// Whether a copy can be where there are so many partitions.
    ///
    /// # Errors
    /// It says why not, and what to do.
    pub fn check(&self, partitions: u32, hash: &str) -> Result<(), CopyError> {
        let (own, own_hash) = (self.partitions.count(), &self.hash);
        if partitions == own && hash == own_hash {
            return Ok(());
        }
        Err(CopyError::Refused(format!(
            "the source has {own} partitions and the hash {own_hash}, the target {partitions} and \
             {hash}: where an aggregate lives in a log of another shape only its own code can \
             tell (partition_by), so a copy keeps the shape; use a target with {own} partitions, \
             or one that is not there yet"
        )))
    }
}

impl CopyError {
    /// Whether the same may succeed later, read from the beginning again.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Log(error) => error.is_retryable(),
            Self::Lost(_) => true,
            Self::Refused(_) | Self::File(_) => false,
        }
    }
}
