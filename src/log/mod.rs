//! Which records count: the protocol that writers and readers share, as pure code.
//!
//! Several writers may append to one partition at once: a paused process wakes up, an append
//! that was given up lands late, somebody produces garbage. A record's headers and the records
//! before it decide alone whether it counts, so every reader of every version computes the same
//! log. Writers never need a lock or a lease: a claim of the next term ends all older terms.

mod checkpoint;
mod checks;
mod digest;
mod fold;
mod partition;
mod stamp;
mod tracker;

pub use checkpoint::{Checkpoint, LogId};
#[doc(hidden)]
pub use checks::Checks;
pub use digest::{Digest, Sum};
pub use fold::{Fold, Mark, Void};
pub use partition::{PARTITION_HASH, Partitions};
pub use stamp::{
    Chain, Flaw, HEADER_CHAIN, HEADER_KIND, HEADER_TERM, KIND_CLAIM, KIND_COMMIT, Stamp, Term,
};
pub use tracker::{Counters, Tracker};
