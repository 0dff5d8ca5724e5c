//! The checks that keep the laws, each of which a test can leave out.
//!
//! The simulation must be able to find what goes wrong without a check; otherwise nobody knows
//! whether it would find anything. Everybody else has all of them.

/// Which checks are made. All, unless a test says otherwise.
///
/// ```
/// use retell::log::{Chain, Checks, Mark, Stamp, Term, Tracker};
/// # use retell::{Offset, Time};
///
/// # let time = Time::default();
/// // A reader that takes the commits of a term in any order: what the simulation must find out.
/// let mut careless = Tracker::default().checking(Checks { chain: false, ..Checks::default() });
/// careless.step(Offset(0), time, &Stamp::Claim { term: Term(1) }, b"{}");
/// let seventh = Stamp::Commit { term: Term(1), chain: Chain(7) };
/// assert_eq!(careless.step(Offset(1), time, &seventh, b"{}"), Mark::Counts);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Checks {
    /// A commit counts only with the next number of its term: a producer may lose one record and
    /// deliver the next.
    pub chain: bool,
    /// A report proves a commit only at the expected offset; at any other the log is read.
    pub gap: bool,
    /// What an ended term left undecided is decided by the next claim, not by the log's end.
    pub claim_before_deciding: bool,
    /// A writer owns a term only if the claim that counts is its own latest attempt.
    pub claim_id: bool,
    /// A command whose id may come again is decided only if it has no outcome yet.
    pub first_outcome: bool,
    /// Whoever finds a space at another checkpoint than the one it left does not go on there.
    pub checkpoint: bool,
    /// A checkpoint is used only on the log that it was taken on.
    pub log_id: bool,
    /// A writer that finds its states at another checkpoint than the one it left reads the log.
    pub own_checkpoint: bool,
    /// A writer forgets an aggregate only when its states are stored up to the last commit.
    pub eviction: bool,
    /// A command that has a turn is decided only if all before it were.
    pub turns: bool,
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            chain: true,
            gap: true,
            claim_before_deciding: true,
            claim_id: true,
            first_outcome: true,
            checkpoint: true,
            log_id: true,
            own_checkpoint: true,
            eviction: true,
            turns: true,
        }
    }
}
