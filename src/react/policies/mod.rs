//! The policy runners: one for each policy and partition, which is told of every event that counts,
//! issues what follows, waits for the outcomes, and commits how far it has come.
//!
//! Read it in this order: `runner` is the loop, `opening` finds where it begins, `chunk` takes
//! records, `follows` makes commands of them, `issuing` sends these, `commit` stores how far it is;
//! what cannot be done is `held` back, aggregate by aggregate, and `mending` tries it again.
//! `deadlines` has what follows later.
//!
//! Nothing is skipped: a runner commits what is behind it, and its bookmark is behind that. Nothing
//! is repeated: an id is made of the event, so the writer knows it again for a day, and `past`
//! finds it in the history after that. So two runners, a lost store and a crash are harmless.

mod any_policy;
mod chunk;
mod commit;
mod deadlines;
mod follows;
mod held;
mod issuing;
mod mending;
mod opening;
mod past;
mod requests;
mod runner;
mod start;
mod status;

pub(crate) use any_policy::{AnyPolicy, Policies, Registered, RegisteredProcess};
pub use start::Reacting;
pub(crate) use start::{PolicyParts, start};
pub use status::{PolicyPartition, PolicyState, PolicyStatus};
