//! The write loop: a command is decided on the aggregate's state and appended to the log.
//!
//! Read it in this order: [`Commands`] takes a command at the door and hands it to the writer of
//! its partition; the writer claims the partition, decides, appends without waiting, and settles
//! what was appended in the order in which it was sent. An answer is given only when the log has
//! proved it. Nothing here knows a concrete aggregate or what the log is made of.

mod aggregates;
mod decide;
mod decided;
mod done;
mod event_store;
mod expected;
mod failure;
mod filter;
mod fold;
mod former;
mod handle;
mod identity;
mod key_space;
mod kind;
mod measured;
mod misses;
mod opening;
mod order;
mod outcomes;
mod pending;
mod places;
mod queue;
mod recovery;
mod reign;
mod repeat;
mod saving;
mod sealing;
mod search;
mod sent;
mod setback;
mod settle;
mod space;
mod status;
mod stored;
mod ticket;
mod turns;
mod unconfirmed;
mod under_way;
mod unsaved;
mod waiting;
mod waypoints;
mod writer;

pub use done::{Done, DoneEvent};
pub(crate) use event_store::Whereabouts;
pub use event_store::{LogContext, LogEventStore};
pub use expected::Expected;
pub use failure::{AnyError, CommandError, DecidedOn, Failure};
pub use handle::{Commands, SendOptions, WriteParts};
pub use identity::Identity;
pub use kind::{AnyKind, Deciding, Kind, Kinds, State, Verdict};
pub use measured::{MeasuredAppends, MeasuredCommands};
pub use order::{BadCommand, Order};
pub use sent::{FullPartitions, Sent};
pub use status::{OwnerNode, Ownership, WriterStatus};
pub use turns::{Turn, Turns};
