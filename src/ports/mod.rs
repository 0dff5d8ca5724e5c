//! The promises that the outside world must keep: the log, the view store and the clock.
//!
//! Traits with numbered laws and no I/O. Each law is a test that every adapter runs
//! (`tests/integration/conformance/`). All adapters are used through `Arc<dyn …>`, chosen by URL
//! when the process starts, so methods work on batches.

mod clock;
mod event_log;
mod view_store;

pub use clock::{Clock, Ids};
pub use event_log::{
    AppendError, Appender, Chunk, EventLog, LogError, LogReader, LogRecord, NewRecord, Report,
    SendNumber,
};
pub use view_store::{
    Change, Commit, Dropped, Pointer, RangeQuery, Space, SpaceState, StoreError, ViewStore, Watch,
};
