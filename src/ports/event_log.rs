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
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SendNumber(pub u64);

/// A record to append. The adapter copies it.
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
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    /// The records, in order.
    pub records: Vec<LogRecord>,
    /// Whether the end was reached after them.
    pub at_end: bool,
}

/// What became of appends, in the order in which they were sent unless a report came out of turn.
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
