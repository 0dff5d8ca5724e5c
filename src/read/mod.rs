//! The read loop: folds the log into views, serves them, and rebuilds them beside the old ones.
//!
//! Read it in this order: `feed` reads a partition once for all; `lane` folds it into one
//! generation of one projection and commits views and checkpoint together; `supervisor` keeps one
//! generation live and builds another when asked; [`Views`] answers queries, waiting for a
//! position if asked. What cannot be folded is `parked`; `mending` folds it again. `past` looks
//! back: at an aggregate's history, the log, what belongs together. Nothing here knows a concrete
//! view or what a store is made of.

mod any_projection;
mod ends;
mod feed;
mod generations;
mod history;
mod index;
mod inlet;
mod lane;
mod mending;
mod missing;
mod pace;
mod pages;
mod parked;
mod past;
mod queries;
mod replay;
mod start;
mod status;
mod steps;
mod streams;
mod supervisor;
mod traces;
mod waiting;
mod whole;
mod workspace;

pub use any_projection::{AnyLinks, AnyProjection, Keyed, LinkSlot, Merged, Projections, Slot};
pub use history::History;
pub use index::{Comparison, Filter, IndexFlaw, Indexes, ListQuery, Sort};
pub use mending::{MendError, Retried};
pub use pages::Page;
pub use parked::{InvalidParkedId, ParkedEvent, ParkedId, ParkedSequence, ParkedState};
pub use past::{Aggregate, Commits, LogItem, LogPage, LogQuery, RecordKind, Traced};
pub use queries::{Found, QueryError, Views};
pub use replay::{ReplayError, ReplayState, ReplayStatus, Replays};
pub use start::{ReadParts, start};
pub use status::{LaneState, LaneStatus, ProjectionInfo, ViewKind};
pub use streams::{RecordStream, Told, ViewEvent, ViewStream};
pub use traces::{TraceBy, Traces};
