//! What the state space does not have yet, in the order of the log.
//!
//! It is cut into batches that fit a commit each. A batch is closed between two records, and
//! carries the checkpoint of that moment: everything before it is in this batch or in those before
//! it. So every commit moves the checkpoint, and one that was given up and lands late is refused
//! once another has taken its place.

use std::collections::VecDeque;

use crate::contract::{Offset, Target};
use crate::log::Checkpoint;

use super::outcomes::{IdHash, SegmentNumber};

/// Keys of one commit.
const KEYS_MAX: usize = 10_000;

/// Everything of one partition.
pub(super) struct Unsaved {
    closed: VecDeque<Batch>,
    open: Batch,
    states_max: usize,
}

/// What goes into one commit.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) targets: Vec<Target>,
    pub(super) keys: Vec<NewKey>,
    /// `None` while it is open.
    pub(super) until: Option<Checkpoint>,
}

/// An id that may come again, and where its outcome is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct NewKey {
    pub(super) hash: IdHash,
    pub(super) offset: Offset,
    pub(super) segment: SegmentNumber,
}

impl Batch {
    /// Each segment is a map of its own: no commit has many.
    fn spans_segments(&self) -> bool {
        let ends = self.keys.first().zip(self.keys.last());
        ends.is_some_and(|(first, last)| first.segment != last.segment)
    }
}

impl Unsaved {
    /// Nothing; `states_max` of it fit a commit.
    pub(super) fn new(states_max: usize) -> Self {
        Self { closed: VecDeque::new(), open: Batch::default(), states_max: states_max.max(1) }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.states_max);
    }

    /// Adds an aggregate that has just become other than its stored state.
    pub(super) fn add(&mut self, target: Target) {
        self.open.targets.push(target);
    }

    /// Adds an id that may come again.
    pub(super) fn add_key(&mut self, key: NewKey) {
        self.open.keys.push(key);
    }

    /// Closes a batch that is full. To be called after each record.
    pub(super) fn record_taken(&mut self, checkpoint: impl FnOnce() -> Option<Checkpoint>) {
        let is_full =
            self.open.targets.len() >= self.states_max || self.open.keys.len() >= KEYS_MAX;
        if (is_full || self.open.spans_segments())
            && let Some(until) = checkpoint()
        {
            self.open.until = Some(until);
            self.closed.push_back(std::mem::take(&mut self.open));
        }
    }

    /// Whether there is a batch that waits to be committed.
    pub(super) fn has_closed(&self) -> bool {
        !self.closed.is_empty()
    }

    /// The next batch to commit: a closed one, or all there is, at this checkpoint.
    pub(super) fn pop(&mut self, now: Checkpoint) -> Batch {
        self.closed.pop_front().unwrap_or_else(|| {
            let open = std::mem::take(&mut self.open);
            Batch { until: Some(now), ..open }
        })
    }
}
