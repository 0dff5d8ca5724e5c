//! The read loop: folds the log into views, serves them, and rebuilds them beside the old ones.
//!
//! Read it in this order: `feed` reads a partition once for all; `runner` folds it into one
//! generation of one projection and commits views and checkpoint together; `generations` says
//! which generation is live; `replay` builds a new one; [`Views`] answers queries, waiting for a
//! position if asked. Nothing here knows a concrete view or what a store is made of.

mod queries;
mod replay;
mod status;

pub use queries::{Found, QueryError, Views};
pub use replay::{ReplayError, ReplayState, ReplayStatus, Replays};
pub use status::{LaneState, LaneStatus, ParkedSequence, ProjectionInfo, ViewKind};
