//! The last records of a partition, in memory: who reads at the head never touches the disk.
//!
//! Only durable records come here, and all at once with the end that they make.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::contract::Offset;
use crate::ports::{Chunk, LogRecord};

/// What a record costs beside its key and value.
const RECORD_OVERHEAD_BYTES: usize = 160;

/// The end of one partition, and the records before it.
pub(super) struct Tail {
    state: Mutex<TailState>,
    grown: Notify,
    bytes_max: usize,
}

struct TailState {
    /// Contiguous, up to the end.
    records: VecDeque<LogRecord>,
    bytes: usize,
    end: Offset,
}

/// What the tail knows of what a reader asks for.
pub(super) enum Look {
    /// These records; none at the end.
    Recent(Chunk),
    /// They are on disk only; the end is here.
    Stored {
        /// The end of the partition.
        end: Offset,
    },
}

impl Tail {
    /// The tail of a partition that was just opened; nothing of it is in memory.
    pub(super) fn new(end: Offset, bytes_max: usize) -> Self {
        let state = TailState { records: VecDeque::new(), bytes: 0, end };
        Self { state: Mutex::new(state), grown: Notify::new(), bytes_max }
    }

    pub(super) fn end(&self) -> Offset {
        self.lock().end
    }

    /// Adds records that have just become durable, and wakes the readers.
    pub(super) fn grow(&self, records: &mut Vec<LogRecord>) {
        {
            let mut state = self.lock();
            for record in records.drain(..) {
                assert_eq!(record.offset, state.end, "offsets are contiguous");
                state.end = record.offset.next();
                state.bytes += bytes_of(&record);
                state.records.push_back(record);
            }
            while state.bytes > self.bytes_max
                && let Some(oldest) = state.records.pop_front()
            {
                state.bytes -= bytes_of(&oldest);
            }
        }
        self.grown.notify_waiters();
    }

    /// The records from `from` on, within limits.
    pub(super) fn look(&self, from: Offset, mut limit: Limit) -> Look {
        let state = self.lock();
        let first = state.records.front().map_or(state.end, |record| record.offset);
        if from < first {
            return Look::Stored { end: state.end };
        }
        let start = usize::try_from(from.0 - first.0).expect("an index into memory");
        let recent = state.records.iter().skip(start).take_while(|record| limit.admits(record));
        let records: Vec<_> = recent.cloned().collect();
        let at_end = from.plus(records.len() as u64) == state.end;
        Look::Recent(Chunk { records, at_end })
    }

    /// Completes when the partition has grown after this call, even before it is awaited.
    pub(super) fn grown(&self) -> Notified<'_> {
        self.grown.notified()
    }

    fn lock(&self) -> MutexGuard<'_, TailState> {
        self.state.lock().expect("no panic while it is held")
    }
}

/// Counts what goes into a chunk: the first record always does.
pub(super) struct Limit {
    records_left: usize,
    bytes_left: Option<usize>,
    is_empty: bool,
}

impl Limit {
    pub(super) const fn new(records_max: usize, bytes_max: usize) -> Self {
        Self { records_left: records_max, bytes_left: Some(bytes_max), is_empty: true }
    }

    /// Whether this record still goes in; it is counted then.
    pub(super) fn admits(&mut self, record: &LogRecord) -> bool {
        let len = record.key.as_ref().map_or(0, |key| key.len()) + record.value.len();
        let bytes_left = self.bytes_left.and_then(|left| left.checked_sub(len));
        if !self.is_empty && (self.records_left == 0 || bytes_left.is_none()) {
            return false;
        }
        self.is_empty = false;
        self.records_left = self.records_left.saturating_sub(1);
        self.bytes_left = bytes_left;
        true
    }
}

fn bytes_of(record: &LogRecord) -> usize {
    RECORD_OVERHEAD_BYTES + record.key.as_ref().map_or(0, |key| key.len()) + record.value.len()
}
