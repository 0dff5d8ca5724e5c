//! The log, the view store and the clock in memory, for tests and the simulation.
//!
//! Nothing here starts a thread or a task, reads a file or waits for a timer: what happens is
//! decided by whoever calls, in the order in which they call.

mod bookmarks;
mod clock;
mod log;
mod topic;
mod views;

pub use bookmarks::MemoryBookmarks;
pub use clock::ManualClock;
pub use log::MemoryLog;
pub use topic::MemoryTopic;
pub use views::{MemoryViews, ViewsSnapshot};
