//! Event streams: what changes, told while it does, as state and not as deltas.
//!
//! `hub` hears what is appended, once for all streams of the process, and keeps the newest of it
//! (`recent`). An `event_stream` goes through each partition by itself: `view_part` through those
//! of a projection, telling the views that `keys` says may have changed, `records` through those of
//! the log. It tells one thing at a time, and is run only while its client reads: what a slow one
//! misses is in the log, and when that is too much the client must begin anew.

mod event_stream;
mod hub;
mod keys;
mod recent;
mod records;
mod view_part;
mod views;

pub use event_stream::{EventStream, StreamEvent, Told};
pub use views::ViewChange;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::StreamsConfig;
use crate::contract::{Offset, Partition, Position, Positions};
use crate::ports::EventLog;
use crate::shutdown::Shutdown;

use super::feed::Feed;
use super::query_error::QueryError;
use hub::{Hub, Listener};

/// How long a stream waits for the log or the views before its client is told that it lags.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a stream rests when the log or the store does not answer.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// In some partitions, the offset of the first record that a client has not seen.
type Places = BTreeMap<Partition, Offset>;

/// What all streams of a process share.
pub(super) struct Streams {
    hub: Hub,
    config: StreamsConfig,
    room: Arc<Semaphore>,
}

/// Where a stream begins.
struct Beginning {
    listeners: Vec<Listener>,
    at: Places,
    /// Where each partition is now.
    now: Places,
    /// Whether that is not where its client was.
    is_anew: bool,
}

impl Streams {
    /// Starts what hears for them.
    pub(super) fn start(
        log: Arc<dyn EventLog>,
        feeds: &[Feed],
        config: StreamsConfig,
        shutdown: &Shutdown,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let partitions = log.partitions();
        let hub = Hub::new(log, feeds, shutdown.clone());
        for partition in partitions.iter() {
            tasks.spawn(hub.clone().run(partition));
        }
        let room = Arc::new(Semaphore::new(config.streams_max));
        Self { hub, config, room }
    }

    /// Room for one more stream, until it is dropped.
    fn enter(&self) -> Result<OwnedSemaphorePermit, QueryError> {
        let room = self.room.clone().try_acquire_owned();
        room.map_err(|_| QueryError::StreamsFull(self.config.streams_max))
    }

    /// Begins in these partitions where the client was, or now where it was nowhere. When too much
    /// has come since, it begins now in all of them.
    async fn begin(&self, homes: &[Partition], was: &Places) -> Result<Beginning, QueryError> {
        let mut listeners: Vec<Listener> = homes.iter().map(|&it| self.hub.listen(it)).collect();
        let nows = join_all(listeners.iter_mut().map(Listener::now));
        let silent = |_| QueryError::LogUnavailable("it does not say where it ends".to_owned());
        let nows = timeout(PATIENCE, nows).await.map_err(silent)?;
        let now: Places = homes.iter().copied().zip(nows).collect();
        let place = |(home, now): (&Partition, &Offset)| (*home, *was.get(home).unwrap_or(now));
        let at: Places = now.iter().map(place).collect();
        let is_too_far = now.iter().any(|(home, now)| self.is_too_far(at[home], *now));
        let mut begun = Beginning { listeners, at, now, is_anew: false };
        if is_too_far {
            begun.begin_now();
        }
        Ok(begun)
    }

    /// Whether more lies between two places than a stream reads.
    fn is_too_far(&self, from: Offset, to: Offset) -> bool {
        to.0.saturating_sub(from.0) > self.config.resume_records_max
    }
}

impl Beginning {
    fn begin_now(&mut self) {
        self.at = self.now.clone();
        self.is_anew = true;
    }
}

/// The last record before each of these places: where a client goes on that has seen it.
fn before(places: &Places) -> Positions {
    let seen = places.iter().filter(|(_, next)| next.0 > 0);
    let last = |(&partition, next): (&Partition, &Offset)| Position {
        partition,
        offset: Offset(next.0 - 1),
    };
    seen.map(last).collect()
}

/// The places behind these positions.
fn behind(positions: &Positions) -> Places {
    positions.iter().map(|seen| (seen.partition, seen.offset.next())).collect()
}
