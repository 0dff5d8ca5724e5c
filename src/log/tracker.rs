//! A reader's bookkeeping: feeds records to the fold and knows the checkpoint after each.

use crate::contract::{Offset, Time};

use super::checkpoint::{Checkpoint, LogId};
use super::checks::Checks;
use super::fold::{Fold, Mark};
use super::stamp::Stamp;

/// What a reader of one partition knows after the last record it took.
///
/// Writers and projectors use the same one, so that a checkpoint means the same to both.
///
/// ```
/// use retell::log::{LogId, Mark, Stamp, Term, Tracker};
/// use retell::{Offset, Time};
///
/// let (claim, time) = (Stamp::Claim { term: Term(1) }, Time::from_millis(1_000));
/// let mut tracker = Tracker::default();
/// assert_eq!(tracker.step(Offset(0), time, &claim, b"{}"), Mark::Claim);
/// let checkpoint = tracker.checkpoint().expect("a claim counts");
/// assert_eq!((checkpoint.log, checkpoint.next), (LogId::of_first_claim(b"{}"), Offset(1)));
/// // After a restart it goes on there.
/// assert_eq!(Tracker::resume(&checkpoint).fold(), tracker.fold());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Tracker {
    fold: Fold,
    next: Offset,
    log: Option<LogId>,
    time: Time,
    counters: Counters,
    checks: Checks,
}

/// How many records of each mark were seen since the reader started.
///
/// ```
/// use retell::log::{Counters, Stamp, Term, Tracker};
/// use retell::{Offset, Time};
///
/// let (claim, time) = (Stamp::Claim { term: Term(1) }, Time::default());
/// let mut tracker = Tracker::default();
/// tracker.step(Offset(0), time, &claim, b"{}");
/// tracker.step(Offset(1), time, &claim, b"{}"); // a second claim to the same term
/// assert_eq!(tracker.counters(), Counters { claims: 1, void: 1, ..Counters::default() });
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct Counters {
    /// Commits that count.
    pub commits: u64,
    /// Claims that count.
    pub claims: u64,
    /// Records of ours that do not count.
    pub void: u64,
    /// Records of others.
    pub foreign: u64,
}

impl Tracker {
    /// Goes on where a checkpoint was taken.
    #[must_use]
    pub fn resume(checkpoint: &Checkpoint) -> Self {
        Self {
            fold: checkpoint.fold(),
            next: checkpoint.next,
            log: Some(checkpoint.log),
            time: checkpoint.time,
            counters: Counters::default(),
            checks: Checks::default(),
        }
    }

    /// The same tracker, with these checks.
    #[doc(hidden)]
    #[must_use]
    pub fn checking(self, checks: Checks) -> Self {
        Self { checks, ..self }
    }

    /// Takes the next record of the partition.
    pub fn step(&mut self, offset: Offset, time: Time, stamp: &Stamp, value: &[u8]) -> Mark {
        debug_assert!(offset >= self.next, "records come in the order of their offsets");
        let mark = self.fold.step(&self.checked(stamp));
        match mark {
            Mark::Counts => self.counters.commits += 1,
            Mark::Claim => {
                self.counters.claims += 1;
                self.log.get_or_insert_with(|| LogId::of_first_claim(value));
            }
            Mark::Void(_) => self.counters.void += 1,
            Mark::Foreign(_) => self.counters.foreign += 1,
        }
        self.next = offset.next();
        self.time = time;
        mark
    }

    /// The stamp as the fold sees it: without the check any number of the term is the next.
    fn checked(&self, stamp: &Stamp) -> Stamp {
        match *stamp {
            Stamp::Commit { term, .. } if !self.checks.chain => {
                Stamp::Commit { term, chain: self.fold.next_chain }
            }
            stamp => stamp,
        }
    }

    /// Takes the next record without reading it: the writer knows that it is its own and counts.
    pub fn step_own(&mut self, offset: Offset, time: Time, stamp: &Stamp) -> Mark {
        self.step(offset, time, stamp, &[])
    }

    /// The checkpoint after the last record; `None` before the first claim that counts, when
    /// there is nothing yet that could tell this log from another.
    #[must_use]
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        Some(Checkpoint {
            log: self.log?,
            next: self.next,
            term: self.fold.term,
            chain: self.fold.next_chain,
            time: self.time,
            commit: None,
        })
    }

    /// The state of the validity fold.
    #[must_use]
    pub const fn fold(&self) -> Fold {
        self.fold
    }

    /// The offset of the last record taken, plus 1.
    #[must_use]
    pub const fn next(&self) -> Offset {
        self.next
    }

    /// The log's id, after the first claim that counts.
    #[must_use]
    pub const fn log(&self) -> Option<LogId> {
        self.log
    }

    /// What was seen since the reader started.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }
}

#[cfg(test)]
mod tests {
    use super::super::stamp::{Chain, Term};
    use super::*;

    const CLAIM: Stamp = Stamp::Claim { term: Term(1) };
    const COMMIT: Stamp = Stamp::Commit { term: Term(1), chain: Chain(0) };

    #[test]
    fn there_is_no_checkpoint_before_the_first_claim() {
        let mut tracker = Tracker::default();
        tracker.step(Offset(0), Time::from_millis(1), &COMMIT, b"garbage");
        assert_eq!(tracker.checkpoint(), None);
        tracker.step(Offset(1), Time::from_millis(2), &CLAIM, b"claim");
        let checkpoint = tracker.checkpoint().expect("a claim counts");
        assert_eq!(checkpoint.log, LogId::of_first_claim(b"claim"));
        assert_eq!(checkpoint.next, Offset(2));
    }

    /// L5: every reader computes the same, whatever offset it started from.
    #[test]
    fn a_resumed_reader_computes_what_the_first_one_does() {
        let log = [CLAIM, COMMIT, COMMIT, Stamp::Claim { term: Term(2) }, COMMIT];
        let step = |tracker: &mut Tracker, at: usize| {
            let time = Time::from_millis(i64::try_from(at).expect("small"));
            tracker.step(Offset(at as u64), time, &log[at], b"v")
        };
        let mut all = Tracker::default();
        let marks: Vec<_> = (0..log.len()).map(|at| step(&mut all, at)).collect();
        for from in 1..log.len() {
            let mut first = Tracker::default();
            (0..from).for_each(|at| {
                step(&mut first, at);
            });
            let mut resumed = Tracker::resume(&first.checkpoint().expect("claimed"));
            let again: Vec<_> = (from..log.len()).map(|at| step(&mut resumed, at)).collect();
            assert_eq!(again, marks[from..]);
            assert_eq!(resumed.checkpoint(), all.checkpoint());
        }
    }
}
