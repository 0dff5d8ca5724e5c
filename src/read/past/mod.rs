//! Looking back: the history of an aggregate, the log with its marks, what belongs together.
//!
//! Nothing here reads the log to find something: where records are, `history` and `traces` know,
//! and a reader begins there. Whoever asks is given what is there in pieces of a bounded size.

mod aggregate;
mod docs;
mod page;
mod records;
mod trace;

pub use aggregate::{Aggregate, Commits};
pub use page::{LogItem, LogPage, LogQuery, RecordKind};
pub(super) use records::Records;
pub use trace::Traced;
