//! The validity fold: which records of a partition count.

use std::fmt;

use super::stamp::{Chain, Flaw, Stamp, Term};

/// Where a reader of a partition stands: the term that rules and the chain number it expects.
///
/// It starts in term 0, in which no commit counts. Values are never looked at: two binaries that
/// read the same prefix agree, whatever they can decode.
///
/// ```
/// use retell::log::{Chain, Fold, Mark, Stamp, Term};
///
/// let (claim, term) = (Stamp::Claim { term: Term(1) }, Term(1));
/// let commit = Stamp::Commit { term, chain: Chain(0) };
/// let mut fold = Fold::default();
/// assert!(matches!(fold.step(&commit), Mark::Void(_))); // nobody has claimed the partition
/// assert_eq!(fold.step(&claim), Mark::Claim);
/// assert_eq!(fold.step(&commit), Mark::Counts);
/// assert_eq!(fold, Fold { term, next_chain: Chain(1) });
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Fold {
    /// The term that rules.
    pub term: Term,
    /// The number of the next commit that counts.
    pub next_chain: Chain,
}

/// What a record is, given all records before it.
///
/// ```
/// use retell::log::{Flaw, Fold, Mark, Stamp};
///
/// // Somebody else produces to the topic, without our headers.
/// let stamp = Stamp::parse([("trace", Some(&b"x"[..]))].into_iter());
/// assert_eq!(Fold::default().step(&stamp), Mark::Foreign(Flaw::Missing("kind")));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mark {
    /// A commit that counts.
    Counts,
    /// A claim that counts: a new term begins.
    Claim,
    /// A record of ours that does not count.
    Void(Void),
    /// Not a record of ours.
    Foreign(Flaw),
}

/// Why a record of ours does not count.
///
/// ```
/// use retell::log::{Chain, Fold, Mark, Stamp, Term};
///
/// // A writer of the second term had an append under way when the third began.
/// let mut fold = Fold { term: Term(3), next_chain: Chain(0) };
/// let late = fold.step(&Stamp::Commit { term: Term(2), chain: Chain(9) });
/// let Mark::Void(void) = late else { panic!("its term is over") };
/// assert_eq!(void.to_string(), "of term 2 while term 3 rules");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Void {
    /// A commit of another term than the one that rules.
    OtherTerm {
        /// The commit's term.
        term: Term,
        /// The term that rules.
        rules: Term,
    },
    /// A commit whose number is not the next.
    OtherChain {
        /// The commit's number.
        chain: Chain,
        /// The number that would count.
        next: Chain,
    },
    /// A claim to another term than the next.
    NotNextTerm {
        /// The term that is claimed.
        term: Term,
        /// The term that rules.
        rules: Term,
    },
}

impl Fold {
    /// Takes the next record of the partition.
    pub fn step(&mut self, stamp: &Stamp) -> Mark {
        let (rules, next) = (self.term, self.next_chain);
        match *stamp {
            Stamp::Foreign(flaw) => Mark::Foreign(flaw),
            Stamp::Claim { term } if Some(term.0) == rules.0.checked_add(1) => {
                *self = Self { term, next_chain: Chain(0) };
                Mark::Claim
            }
            Stamp::Claim { term } => Mark::Void(Void::NotNextTerm { term, rules }),
            Stamp::Commit { term, .. } if term != rules || rules == Term(0) => {
                Mark::Void(Void::OtherTerm { term, rules })
            }
            Stamp::Commit { chain, .. } if chain != next => {
                Mark::Void(Void::OtherChain { chain, next })
            }
            Stamp::Commit { .. } => {
                self.next_chain = next.next();
                Mark::Counts
            }
        }
    }
}

impl fmt::Display for Void {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherTerm { term, rules } => write!(f, "of term {term} while term {rules} rules"),
            Self::OtherChain { chain, next } => write!(f, "number {chain} where {next} is next"),
            Self::NotNextTerm { term, rules } => {
                write!(f, "claims term {term} while term {rules} rules")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn claim(term: u64) -> Stamp {
        Stamp::Claim { term: Term(term) }
    }

    const fn commit(term: u64, chain: u64) -> Stamp {
        Stamp::Commit { term: Term(term), chain: Chain(chain) }
    }

    /// The indexes of the records that count.
    fn counting(stamps: &[Stamp]) -> Vec<usize> {
        let mut fold = Fold::default();
        let counts = |stamp| matches!(fold.step(stamp), Mark::Counts | Mark::Claim);
        stamps
            .iter()
            .map(counts)
            .enumerate()
            .filter(|(_, counts)| *counts)
            .map(|(i, _)| i)
            .collect()
    }

    #[test]
    fn no_commit_counts_before_the_first_claim() {
        assert_eq!(counting(&[commit(0, 0), commit(1, 0), claim(1), commit(1, 0)]), [2, 3]);
    }

    #[test]
    fn only_a_claim_to_the_next_term_counts() {
        assert_eq!(counting(&[claim(0), claim(2), claim(1), claim(1), claim(3), claim(2)]), [2, 5]);
    }

    #[test]
    fn a_commit_counts_in_its_term_and_in_its_turn_only() {
        let log = [claim(1), commit(1, 1), commit(1, 0), commit(1, 0), commit(1, 2), commit(1, 1)];
        assert_eq!(counting(&log), [0, 2, 5]);
    }

    #[test]
    fn a_late_commit_of_an_ended_term_is_void() {
        let log = [claim(1), commit(1, 0), claim(2), commit(1, 1), commit(2, 0)];
        assert_eq!(counting(&log), [0, 1, 2, 4]);
    }

    #[test]
    fn foreign_records_change_nothing() {
        let foreign = Stamp::Foreign(Flaw::Missing("kind"));
        assert_eq!(counting(&[foreign, claim(1), foreign, commit(1, 0)]), [1, 3]);
    }

    #[test]
    fn the_last_term_has_no_successor() {
        let mut fold = Fold { term: Term(u64::MAX), next_chain: Chain(0) };
        assert!(matches!(fold.step(&claim(0)), Mark::Void(_)));
    }
}
