//! Event streams: what changes, told while it happens, as state and not as deltas.
//!
//! A stream holds offsets and a few keys, never a queue of what its client has not read: while it
//! is not read it is not run. What it misses meanwhile it finds in the log, and when that is too
//! much it says so and begins anew.

mod hub;
mod records;
mod views;

pub(super) use hub::Hub;
pub use records::RecordStream;
pub use views::{Told, ViewEvent, ViewStream};

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::StreamsConfig;
use crate::contract::{Offset, Partition, Position, Positions};

use super::queries::QueryError;

/// What all streams of a process share.
pub(super) struct Streams {
    hub: Hub,
    config: StreamsConfig,
    room: Arc<Semaphore>,
}

impl Streams {
    pub(super) fn new(hub: Hub, config: StreamsConfig) -> Self {
        let room = Arc::new(Semaphore::new(config.streams_max));
        Self { hub, config, room }
    }

    /// Room for one more stream, until it is dropped.
    fn enter(&self) -> Result<OwnedSemaphorePermit, QueryError> {
        let room = self.room.clone().try_acquire_owned();
        room.map_err(|_| QueryError::StreamsFull(self.config.streams_max))
    }
}

/// The last record before each of these offsets: where a client goes on.
fn before(nexts: impl Iterator<Item = (Partition, Offset)>) -> Positions {
    let seen = nexts.filter(|(_, next)| next.0 > 0);
    seen.map(|(partition, next)| Position { partition, offset: Offset(next.0 - 1) }).collect()
}
