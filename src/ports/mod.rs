//! The promises that the outside world must keep: the log, the view store and the clock.
//!
//! Traits with numbered laws and no I/O. Each law is a test that every adapter runs
//! (`tests/integration/conformance/`). All adapters are used through `Arc<dyn …>`, chosen by URL
//! when the process starts, so methods work on batches.

mod bookmarks;
mod change;
mod clock;
mod copies;
mod event_log;
mod log_origin;
mod pointer;
mod space;
mod statistic;
mod tail;
mod topics;
mod view_store;
mod watchers;

pub use bookmarks::{Bookmarks, KEEP_AGAIN};
pub use change::{CHANGE_KEY_LEN_MAX, Change, InvalidCommit, KEY_INDEX};
pub use clock::{Clock, Ids};
pub use copies::{
    Commits, CopyError, CopyInto, CopySource, CopyTarget, Counted, LeftBehind, Origin,
};
pub use event_log::{
    AppendError, Appender, Chunk, EventLog, LogError, LogReader, LogRecord, NewRecord, Report,
    SendNumber,
};
pub(crate) use log_origin::LogOrigin;
pub use pointer::{Lease, Order, Pointer};
pub use space::{Space, SpaceState};
pub use statistic::{Measured, Statistic};
pub use tail::{Tail, Tailed, Tails};
pub use topics::{Intake, Message, PlainTopic, Progress, Received};
pub use view_store::{Commit, Dropped, Listed, RangeQuery, StoreError, ViewStore, Watch};
pub use watchers::Watchers;
