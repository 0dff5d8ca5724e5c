//! The newest records of one partition, handed by its writer to its readers in this process.
//!
//! The writer passes every record of its partition in order, its own when they are settled and
//! those of others when it reads them. So a reader at the head gets from it what the log would
//! give, and the log is not asked once more for every record (measured on Kafka: a fetch per
//! append costs more than the append).
//!
//! Invariant: what is held are all records that the log has from `first` to `next`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::contract::{Offset, Partition};
use crate::log::Partitions;

use super::LogRecord;

/// Records that wait for their reader at most; one that comes later reads the log.
const LEN_MAX: usize = 16_384;
/// Bytes that wait for their reader at most, about.
const BYTES_MAX: usize = 8 << 20;

/// The tail of one partition. Clones are the same; one writes and one reads.
///
/// ```
/// use retell::Offset;
/// use retell::ports::{Tail, Tailed};
/// # use retell::{Time, log::{Stamp, Term}, ports::LogRecord};
///
/// # let (stamp, time, value) = (Stamp::Claim { term: Term(1) }, Time::default(), "{}".into());
/// # let record = LogRecord { offset: Offset(5), time, key: None, stamp, value };
/// let tail = Tail::default();
/// tail.begin(Offset(5));
/// assert!(matches!(tail.take(Offset(5), 100), Tailed::Nothing)); // from now on somebody reads
/// tail.pass(Offset(5), || record);
/// let Tailed::Records(records) = tail.take(Offset(5), 100) else { panic!("it is there") };
/// assert_eq!(records[0].offset, Offset(5));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Tail(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    held: Mutex<Held>,
    /// Whether there is a reader: without one nothing is held.
    is_wanted: AtomicBool,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Held {
    /// Whether a writer passes records now.
    is_live: bool,
    first: Offset,
    next: Offset,
    records: VecDeque<LogRecord>,
    bytes: usize,
}

/// The tails of all partitions of a log.
///
/// ```
/// use retell::log::Partitions;
/// use retell::ports::{Tailed, Tails};
/// use retell::{Offset, Partition};
///
/// let tails = Tails::new(Partitions::new(2).expect("2"));
/// tails.of(Partition(1)).begin(Offset(7)); // the writer
/// assert!(matches!(tails.of(Partition(1)).take(Offset(7), 100), Tailed::Nothing)); // its reader
/// assert!(matches!(tails.of(Partition(0)).take(Offset(7), 100), Tailed::Elsewhere));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Tails(Vec<Tail>);

/// What a tail has for its reader.
///
/// ```
/// use retell::Offset;
/// use retell::ports::{Tail, Tailed};
///
/// let next = |tail: &Tail| match tail.take(Offset(0), 100) {
///     Tailed::Records(records) => format!("fold {}", records.len()),
///     Tailed::Nothing => "wait".to_owned(),
///     Tailed::Elsewhere => "read the log".to_owned(),
/// };
/// let tail = Tail::default();
/// assert_eq!(next(&tail), "read the log"); // no writer is at work
/// tail.begin(Offset(0));
/// assert_eq!(next(&tail), "wait");
/// ```
#[derive(Debug)]
pub enum Tailed {
    /// The next records.
    Records(Vec<LogRecord>),
    /// The reader has everything that the writer has passed.
    Nothing,
    /// The reader must look in the log: no writer is at work, or it is elsewhere.
    Elsewhere,
}

impl Tails {
    /// One tail for each partition.
    #[must_use]
    pub fn new(partitions: Partitions) -> Self {
        Self(partitions.iter().map(|_| Tail::default()).collect())
    }

    /// The tail of a partition; one that nobody shares, for a partition without.
    #[must_use]
    pub fn of(&self, partition: Partition) -> Tail {
        self.0.get(partition.0 as usize).cloned().unwrap_or_default()
    }
}

impl Tail {
    /// The writer passes all records from `next` on.
    pub fn begin(&self, next: Offset) {
        *self.held() = Held { is_live: true, first: next, next, ..Held::default() };
        self.wake();
    }

    /// The writer passes no more records.
    pub fn end(&self) {
        *self.held() = Held::default();
        self.wake();
    }

    /// The writer has passed the record at this offset, and all before it. `record` makes it,
    /// if somebody reads.
    pub fn pass(&self, offset: Offset, record: impl FnOnce() -> LogRecord) {
        let mut held = self.held();
        if !held.is_live || offset < held.next {
            return;
        }
        held.next = offset.next();
        if !self.0.is_wanted.load(Ordering::Relaxed) {
            held.first = held.next;
            return;
        }
        let record = record();
        held.bytes += len(&record);
        held.records.push_back(record);
        while held.records.len() > LEN_MAX || held.bytes > BYTES_MAX {
            held.drop_first();
        }
    }

    /// Wakes the reader: after records were passed.
    pub fn wake(&self) {
        self.0.changed.notify_one();
    }

    /// The reader: takes the records from `from` on, and forgets those before.
    #[must_use]
    pub fn take(&self, from: Offset, records_max: usize) -> Tailed {
        self.0.is_wanted.store(true, Ordering::Relaxed);
        let mut held = self.held();
        if !held.is_live || from < held.first || from > held.next {
            return Tailed::Elsewhere;
        }
        while held.records.front().is_some_and(|record| record.offset < from) {
            held.drop_first();
        }
        if held.records.is_empty() {
            return Tailed::Nothing;
        }
        let count = held.records.len().min(records_max);
        Tailed::Records((0..count).filter_map(|_| held.drop_first()).collect())
    }

    /// The reader is gone; whoever comes next begins in the log.
    pub fn leave(&self) {
        self.0.is_wanted.store(false, Ordering::Relaxed);
        let mut held = self.held();
        let next = held.next;
        *held = Held { is_live: held.is_live, first: next, next, ..Held::default() };
    }

    /// The reader: waits until something may have changed since it last looked.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn drop_first(&mut self) -> Option<LogRecord> {
        let record = self.records.pop_front()?;
        self.bytes -= len(&record);
        self.first = record.offset.next();
        Some(record)
    }
}

/// Its bytes, with a few for what is around them.
fn len(record: &LogRecord) -> usize {
    const FRAME_LEN: usize = 100;
    FRAME_LEN + record.key.as_ref().map_or(0, bytes::Bytes::len) + record.value.len()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::contract::Time;
    use crate::log::{Stamp, Term};

    fn record(offset: u64, len: usize) -> LogRecord {
        LogRecord {
            offset: Offset(offset),
            time: Time::default(),
            key: None,
            stamp: Stamp::Claim { term: Term(1) },
            value: Bytes::from(vec![0; len]),
        }
    }

    fn offsets(tailed: Tailed) -> Vec<u64> {
        match tailed {
            Tailed::Records(records) => records.iter().map(|record| record.offset.0).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn tail(from: u64, offsets: &[u64]) -> Tail {
        let tail = Tail::default();
        tail.begin(Offset(from));
        assert!(matches!(tail.take(Offset(from), 1), Tailed::Nothing));
        offsets.iter().for_each(|&offset| pass(&tail, offset, 1));
        tail
    }

    fn pass(tail: &Tail, offset: u64, len: usize) {
        tail.pass(Offset(offset), || record(offset, len));
    }

    #[test]
    fn a_reader_gets_every_record_from_its_place_on_once() {
        let tail = tail(5, &[5, 6, 8, 9]);
        assert_eq!(offsets(tail.take(Offset(6), 2)), [6, 8]);
        assert_eq!(offsets(tail.take(Offset(9), 2)), [9]);
        assert!(matches!(tail.take(Offset(10), 2), Tailed::Nothing));
        pass(&tail, 12, 1);
        assert_eq!(offsets(tail.take(Offset(10), 2)), [12]);
    }

    #[test]
    fn a_reader_that_is_elsewhere_is_told_so() {
        let tail = tail(5, &[5, 6]);
        assert!(matches!(tail.take(Offset(4), 9), Tailed::Elsewhere));
        assert!(matches!(tail.take(Offset(8), 9), Tailed::Elsewhere));
        tail.end();
        assert!(matches!(tail.take(Offset(5), 9), Tailed::Elsewhere));
    }

    #[test]
    fn what_was_taken_is_not_given_again() {
        let tail = tail(5, &[5, 6]);
        assert_eq!(offsets(tail.take(Offset(5), 9)), [5, 6]);
        assert!(matches!(tail.take(Offset(5), 9), Tailed::Elsewhere));
    }

    #[test]
    fn a_reader_that_is_too_slow_must_look_in_the_log() {
        let tail = tail(0, &[]);
        (0..20).for_each(|offset| pass(&tail, offset, 1 << 20));
        assert!(matches!(tail.take(Offset(0), 9), Tailed::Elsewhere));
        assert_eq!(offsets(tail.take(Offset(15), 9)), [15, 16, 17, 18, 19]);
    }

    #[test]
    fn a_record_that_was_passed_before_is_not_held_twice() {
        let tail = tail(5, &[5, 6, 5, 6]);
        assert_eq!(offsets(tail.take(Offset(5), 9)), [5, 6]);
    }

    #[test]
    fn nothing_is_held_for_nobody() {
        let tail = Tail::default();
        tail.begin(Offset(5));
        tail.pass(Offset(7), || panic!("nobody reads"));
        assert!(matches!(tail.take(Offset(5), 9), Tailed::Elsewhere));
        pass(&tail, 8, 1);
        tail.leave();
        assert!(matches!(tail.take(Offset(8), 9), Tailed::Elsewhere));
        assert!(matches!(tail.take(Offset(9), 9), Tailed::Nothing));
    }
}
