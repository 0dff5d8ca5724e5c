//! The event log: partitions to which records are appended, and from which they are read.
//!
//! ```text
//! offset      0       1       2   (3)   4       5
//!         +-------+-------+-------+  +-------+-------+
//!         | claim |commit |commit |  |commit |foreign|      end = 6
//!         +-------+-------+-------+  +-------+-------+
//!                                  ^ a hole: offsets that no reader is given
//! ```
//!
//! Laws, each a test of `tests/integration/conformance/event_log.rs`:
//!
//! 1. An append that is reported landed is durable and has that offset, for every reader, for ever.
//! 2. The records of one appender land in the order in which they were appended; some may be
//!    missing, none are swapped.
//! 3. Offsets increase, possibly with holes.
//! 4. A reader gets every record from its start to the end exactly once, in order, and says when
//!    it has reached the end, also when what lies before the end is a hole.
//! 5. Appenders and readers of one partition do not wait for those of another.
//! 6. An appender that is full refuses at once and takes records again when reports have come.
//! 7. What is appended is read back byte for byte: key, stamp and value.

use async_trait::async_trait;
use bytes::Bytes;

use crate::contract::{Offset, Partition, Time};
use crate::log::{Partitions, Stamp};

use super::Statistic;

/// A log of a fixed number of partitions.
///
/// ```
/// use std::sync::Arc;
///
/// use retell::adapters::{SystemClock, memory::MemoryLog};
/// use retell::log::Partitions;
/// use retell::ports::{EventLog, LogError};
/// use retell::{Offset, Partition};
///
/// # #[tokio::main] async fn main() -> Result<(), LogError> {
/// let partitions = Partitions::new(2).expect("2");
/// let log: Arc<dyn EventLog> = Arc::new(MemoryLog::new(partitions, Arc::new(SystemClock)));
/// log.check().await?;
/// assert_eq!(log.end(Partition(1)).await?, Offset(0));
/// let beyond = log.reader(Partition(1), Offset(7)).await;
/// assert!(matches!(beyond, Err(LogError::OutOfRange { .. })));
/// # Ok(()) }
/// ```
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// Creates the log if it is not there, and checks its settings if it is.
    ///
    /// # Errors
    /// [`LogError::Settings`] lists every setting that is wrong; waiting does not help.
    async fn check(&self) -> Result<(), LogError>;

    /// How many partitions there are.
    fn partitions(&self) -> Partitions;

    /// The name that Redis keys use when no namespace is set.
    fn name(&self) -> &str;

    /// The longest record, in bytes of key and value together.
    fn record_len_max(&self) -> usize;

    /// The offset after the last record, durable or not yet.
    ///
    /// # Errors
    /// The log does not answer.
    async fn end(&self, partition: Partition) -> Result<Offset, LogError>;

    /// The offset of the first record at or after `time`; the end if there is none.
    ///
    /// # Errors
    /// The log does not answer.
    async fn offset_at(&self, partition: Partition, time: Time) -> Result<Offset, LogError>;

    /// A new appender. It is ready to append when it is returned: a slow first connection is
    /// over by then.
    ///
    /// # Errors
    /// The log does not answer.
    async fn appender(&self, partition: Partition) -> Result<Box<dyn Appender>, LogError>;

    /// A new reader that begins at `from`.
    ///
    /// # Errors
    /// The log does not answer, or `from` is beyond its end or before its beginning.
    async fn reader(
        &self,
        partition: Partition,
        from: Offset,
    ) -> Result<Box<dyn LogReader>, LogError>;

    /// What the clients tell of themselves, where there are any.
    fn statistics(&self) -> Vec<Statistic> {
        Vec::new()
    }
}

/// Appends to one partition, in order, without waiting for what was appended before.
///
/// Dropping it gives up what is in flight; that may still land.
///
/// ```
/// use retell::log::{Stamp, Term};
/// use retell::ports::{EventLog, NewRecord, Report, SendNumber};
/// use retell::{Offset, Partition};
/// # use retell::{adapters::{SystemClock, memory::MemoryLog}, log::Partitions};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let log = MemoryLog::new(Partitions::new(1).expect("one"), std::sync::Arc::new(SystemClock));
/// let mut appender = log.appender(Partition(0)).await?;
/// let stamp = Stamp::Claim { term: Term(1) };
/// assert_eq!(appender.append(NewRecord { key: None, stamp, value: b"{}" })?, SendNumber(0));
/// let mut reports = Vec::new();
/// appender.settled(&mut reports).await;
/// assert!(matches!(reports[..], [Report::Landed { offset: Offset(0), count: 1, .. }]));
/// # Ok(()) }
/// ```
#[async_trait]
pub trait Appender: Send {
    /// Takes a record. Never waits. It leaves with the next [`Self::flush`] or [`Self::settled`],
    /// together with what was appended before and after it.
    ///
    /// # Errors
    /// The record was not taken, and the next one may be tried later or never.
    fn append(&mut self, record: NewRecord<'_>) -> Result<SendNumber, AppendError>;

    /// Sends what was appended, without waiting. What is in flight may hold it back; then it
    /// leaves with a later call.
    fn flush(&mut self) {}

    /// Sends what was appended as soon as nothing holds it back, waits until at least one report
    /// is there, and adds all that are to `reports`. Dropping the future loses no report.
    async fn settled(&mut self, reports: &mut Vec<Report>);
}

/// Reads one partition from where it was opened.
///
/// ```
/// use retell::ports::EventLog;
/// use retell::{Offset, Partition};
/// # use retell::{adapters::{SystemClock, memory::MemoryLog}, log::{Partitions, Stamp, Term}};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let log = MemoryLog::new(Partitions::new(1).expect("one"), std::sync::Arc::new(SystemClock));
/// # let stamp = Stamp::Claim { term: Term(1) };
/// # let claim = retell::ports::NewRecord { key: None, stamp, value: b"{}" };
/// let mut appender = log.appender(Partition(0)).await?;
/// let mut reader = log.reader(Partition(0), Offset(0)).await?;
/// assert!(reader.next(100, 1 << 20).await?.at_end);
/// appender.append(claim)?;
/// let chunk = reader.next(100, 1 << 20).await?; // it waits until the record is there
/// assert_eq!(chunk.records[0].stamp, stamp);
/// # Ok(()) }
/// ```
#[async_trait]
pub trait LogReader: Send {
    /// Waits for records, or for the end, and returns at most `records_max` records of about
    /// `bytes_max` bytes together (at least one record, if there is one).
    ///
    /// When the reader stands at the end, an empty chunk says so once; the next call waits for
    /// records. Dropping the future loses no record.
    ///
    /// # Errors
    /// [`LogError::Unavailable`]: call again. Anything else: open another reader.
    async fn next(&mut self, records_max: usize, bytes_max: usize) -> Result<Chunk, LogError>;
}

/// The number of an append within its appender, from 0.
///
/// ```
/// use retell::ports::{Report, SendNumber};
///
/// let report = Report::Odd { send: SendNumber(7) };
/// assert_eq!(report.first(), SendNumber(7));
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SendNumber(pub u64);

/// A record to append. The adapter copies it.
///
/// ```
/// use retell::log::{Chain, Stamp, Term};
/// use retell::ports::{AppendError, EventLog, NewRecord};
/// # use retell::{Partition, adapters::{SystemClock, memory::MemoryLog}, log::Partitions};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let log = MemoryLog::new(Partitions::new(1).expect("one"), std::sync::Arc::new(SystemClock));
/// let stamp = Stamp::Commit { term: Term(1), chain: Chain(0) };
/// let commit = NewRecord { key: Some(b"light/hall"), stamp, value: br#"{"v":1}"# };
/// let mut appender = log.with_record_len_max(10).appender(Partition(0)).await?;
/// assert_eq!(appender.append(commit), Err(AppendError::TooLarge { len: 17, max: 10 }));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct NewRecord<'a> {
    /// `TYPE/ID` of a commit, none of a claim.
    pub key: Option<&'a [u8]>,
    /// The headers; a foreign stamp writes none.
    pub stamp: Stamp,
    /// The JSON.
    pub value: &'a [u8],
}

/// A record as it was read. Cloning shares the bytes.
///
/// ```
/// use retell::log::{Fold, Mark, Stamp, Term};
/// use retell::ports::LogRecord;
/// use retell::{Offset, Time};
///
/// let stamp = Stamp::Claim { term: Term(1) };
/// let (offset, time, value) = (Offset(0), Time::default(), "{}".into());
/// let record = LogRecord { offset, time, key: None, stamp, value };
/// assert_eq!(Fold::default().step(&record.stamp), Mark::Claim);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogRecord {
    /// Where it is.
    pub offset: Offset,
    /// When the log took it, by the log's clock.
    pub time: Time,
    /// `TYPE/ID` of a commit.
    pub key: Option<Bytes>,
    /// What its headers say.
    pub stamp: Stamp,
    /// The JSON, or whatever a stranger wrote.
    pub value: Bytes,
}

/// What a reader got at once.
///
/// ```
/// use retell::ports::{Chunk, EventLog, NewRecord};
/// # use retell::{Offset, Partition, adapters::{SystemClock, memory::MemoryLog}};
/// # use retell::log::{Partitions, Stamp, Term};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let log = MemoryLog::new(Partitions::new(1).expect("one"), std::sync::Arc::new(SystemClock));
/// # let mut appender = log.appender(Partition(0)).await?;
/// # let stamp = Stamp::Claim { term: Term(1) };
/// # for value in [b"one", b"two"] { appender.append(NewRecord { key: None, stamp, value })?; }
/// let mut reader = log.reader(Partition(0), Offset(0)).await?;
/// let Chunk { records, at_end } = reader.next(1, 1 << 20).await?;
/// assert!(records[0].value == "one" && !at_end);
/// let Chunk { records, at_end } = reader.next(1, 1 << 20).await?;
/// assert!(records[0].value == "two" && at_end);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    /// The records, in order.
    pub records: Vec<LogRecord>,
    /// Whether the end was reached after them.
    pub at_end: bool,
}

/// What became of appends, in the order in which they were sent unless a report came out of turn.
///
/// ```
/// use retell::ports::{Report, SendNumber};
/// use retell::{Offset, Time};
///
/// let (mut reports, time) = (Vec::new(), Time::from_millis(1_000));
/// Report::add_landed(&mut reports, SendNumber(0), Offset(7), time);
/// Report::add_landed(&mut reports, SendNumber(1), Offset(8), time);
/// let first = SendNumber(0);
/// assert_eq!(reports, [Report::Landed { first, count: 2, offset: Offset(7), time }]);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Report {
    /// `count` records from `first` on are durable, at contiguous offsets from `offset` on.
    Landed {
        /// The first of them.
        first: SendNumber,
        /// How many.
        count: u64,
        /// The offset of the first.
        offset: Offset,
        /// When the log took them, by the log's clock.
        time: Time,
    },
    /// The record is durable, but nobody knows where: the log must be read.
    Odd {
        /// Which.
        send: SendNumber,
    },
    /// Nobody knows whether the record is durable, will be, or never will.
    Failed {
        /// Which.
        send: SendNumber,
    },
}

/// Why a record was not taken.
///
/// ```
/// use retell::ports::{AppendError, EventLog};
/// # use retell::{Partition, adapters::{SystemClock, memory::MemoryLog}};
/// # use retell::log::{Partitions, Stamp, Term};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let log = MemoryLog::new(Partitions::new(1).expect("one"), std::sync::Arc::new(SystemClock));
/// # let stamp = Stamp::Claim { term: Term(1) };
/// # let claim = retell::ports::NewRecord { key: None, stamp, value: b"{}" };
/// let mut appender = log.with_in_flight_len_max(1).appender(Partition(0)).await?;
/// appender.append(claim)?;
/// assert_eq!(appender.append(claim), Err(AppendError::Full));
/// appender.settled(&mut Vec::new()).await;
/// assert!(appender.append(claim).is_ok());
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AppendError {
    /// Too many are in flight. Retry when reports have come.
    #[error("too many records are in flight")]
    Full,
    /// The record is longer than the log takes. Do not retry.
    #[error("the record has {len} bytes, the log takes {max}")]
    TooLarge {
        /// Bytes of key and value.
        len: usize,
        /// The most that the log takes.
        max: usize,
    },
    /// The appender can append no more. Open another.
    #[error("the appender has failed for good")]
    Dead,
}

/// What went wrong with the log.
///
/// ```
/// use retell::ports::LogError;
///
/// let away = LogError::Unavailable("no broker answers".into());
/// assert_eq!(away.to_string(), "the log is unavailable: no broker answers");
/// assert!(away.is_retryable());
/// assert!(!LogError::Damaged("3@7 cannot be read".into()).is_retryable());
/// ```
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogError {
    /// The log does not answer. Retry later.
    #[error("the log is unavailable: {0}")]
    Unavailable(String),
    /// The offset is not, or no longer, in the log: this is not the log that was meant.
    #[error("offset {offset} of partition {partition} is not in the log")]
    OutOfRange {
        /// The partition.
        partition: Partition,
        /// The offset that was asked for.
        offset: Offset,
    },
    /// The log exists, but not as Retell needs it. A person must mend it; every message says how.
    #[error("the log's settings are wrong:\n{}", .0.join("\n"))]
    Settings(Vec<String>),
    /// What is stored cannot be read. A person must look at it.
    #[error("the log is damaged: {0}")]
    Damaged(String),
}

impl LogError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl Report {
    /// The first append that it speaks of.
    #[must_use]
    pub const fn first(&self) -> SendNumber {
        match *self {
            Self::Landed { first, .. } => first,
            Self::Odd { send } | Self::Failed { send } => send,
        }
    }

    /// Adds a record that landed, to the run that it continues if there is one.
    pub fn add_landed(reports: &mut Vec<Self>, send: SendNumber, at: Offset, when: Time) {
        if let Some(Self::Landed { first, count, offset, time }) = reports.last_mut()
            && first.0 + *count == send.0
            && offset.plus(*count) == at
            && *time == when
        {
            *count += 1;
            return;
        }
        reports.push(Self::Landed { first: send, count: 1, offset: at, time: when });
    }
}
