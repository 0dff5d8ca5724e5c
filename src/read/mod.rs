//! The read loop: folds the log into views, serves them, and rebuilds them beside the old ones.
//!
//! Read it in this order: `feed` reads a partition once for all; `lane` folds it into one
//! generation of one projection and commits views and checkpoint together; `supervisor` keeps one
//! generation live, and builds others to replay or to verify; [`Replays`], [`Verifications`] and
//! [`Operations`] ask it to; [`Views`] answers queries, waiting for a position if asked. What
//! cannot be folded is `parked`; `mending` folds it again. `past` looks back: at an aggregate's
//! history, the log, what belongs together; `streams` tell what changes. Nothing here knows a
//! concrete view or what a store is made of.

mod any_projection;
mod comparison;
mod ends;
mod feed;
mod generations;
mod group_offsets;
mod history;
mod index;
mod inlet;
mod jobs;
mod kept;
mod lane;
mod looks;
mod measured;
mod mending;
mod missing;
mod operations;
mod pace;
mod pages;
mod parked;
mod past;
mod queries;
mod query_error;
mod rate;
mod recent_lag;
mod reload;
mod replay;
mod requests;
mod sample;
mod standing;
mod start;
mod status;
mod steps;
mod streams;
mod supervisor;
mod traces;
mod typed;
mod verification;
mod waiting;
mod whole;
mod workspace;

pub use any_projection::{AnyLinks, AnyProjection, LinkSlot, Projections, Slot};
pub use comparison::{Compared, Difference, What};
pub(crate) use feed::Feed;
pub use history::History;
pub use index::{Comparison, Filter, IndexFlaw, Indexes, ListQuery, Sort};
pub(crate) use inlet::Inlet;
pub(crate) use looks::IDLE_CHECK;
pub use measured::MeasuredProjection;
pub use mending::{MendError, Retried};
pub use operations::{OperationError, Operations};
pub use pages::Page;
pub use parked::{InvalidParkedId, ParkedEvent, ParkedId, ParkedSequence, ParkedState};
pub(crate) use parked::{PARKED_MAP, Parked, Poison, parked_of};
pub use past::{Aggregate, Commits, LogItem, LogPage, LogQuery, RecordKind, Traced};
pub use queries::{Found, Views};
pub use query_error::QueryError;
pub use replay::{ReplayError, ReplayOptions, ReplayState, ReplayStatus, Replays};
pub use sample::Sampled;
pub use start::{ReadParts, Reading, start};
pub use status::{LaneState, LaneStatus, ProjectionInfo, ViewKind};
pub(crate) use steps::said;
pub use streams::{EventStream, StreamEvent, Told, ViewChange};
pub use traces::{TraceBy, Traces};
pub use typed::{Keyed, Merged};
pub use verification::{VerificationError, VerificationState, VerificationStatus, Verifications};
