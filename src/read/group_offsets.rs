//! How far the views of each projection are, noted beside the log from time to time, so that the
//! tools which everybody has for Kafka show the lag. Nothing begins there: the checkpoints do not
//! know of it, and a broker that does not answer keeps nobody from folding.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::contract::{Offset, Partition};
use crate::ports::{Bookmarks, KEEP_AGAIN, Space};
use crate::shutdown::Shutdown;

use super::queries::{Entry, Views};
use super::status::LaneState;

/// How long one partition may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// Notes what has moved until the process goes down, where there is somewhere to note it.
pub(super) async fn note_offsets(
    views: Views,
    bookmarks: Option<Arc<dyn Bookmarks>>,
    interval: Duration,
    shutdown: Shutdown,
) {
    let Some(bookmarks) = bookmarks.filter(|_| !interval.is_zero()) else { return };
    let mut offsets = GroupOffsets { views, bookmarks, noted: BTreeMap::new() };
    let noting = async {
        loop {
            sleep(interval).await;
            offsets.note_all().await;
        }
    };
    tokio::select! {
        biased;
        () = shutdown.requested() => {}
        () = noting => {}
    }
}

struct GroupOffsets {
    views: Views,
    bookmarks: Arc<dyn Bookmarks>,
    /// What was noted last of each projection and partition, and when.
    noted: BTreeMap<(&'static str, Partition), (Offset, Instant)>,
}

/// A partition of a projection that has moved since it was noted.
struct Due {
    projection: &'static str,
    space: Space,
    next: Offset,
}

impl GroupOffsets {
    /// The first that is not noted ends the round: the others would not be, either.
    async fn note_all(&mut self) {
        for due in self.due() {
            if let Err(reason) = self.note(&due).await {
                let projection = due.projection;
                tracing::debug!(projection, reason, "Kafka is told later how far it is");
                return;
            }
            let (at, now) = ((due.projection, due.space.partition), Instant::now());
            self.noted.insert(at, (due.next, now));
        }
    }

    fn due(&self) -> Vec<Due> {
        self.views.inner().entries.values().flat_map(|entry| self.due_of(entry)).collect()
    }

    /// Only who folds a partition notes it, so that of two nodes none sets the other back.
    fn due_of(&self, entry: &Entry) -> Vec<Due> {
        let Some(live) = entry.live.borrow().clone() else { return Vec::new() };
        let projection = entry.projection.name().as_str();
        let mut due = Vec::new();
        for (lane, space) in live.lanes.iter().zip(&live.spaces) {
            let progress = lane.borrow();
            let noted = self.noted.get(&(projection, space.partition));
            let is_due =
                noted.is_none_or(|(next, at)| *next != progress.next || at.elapsed() >= KEEP_AGAIN);
            if progress.state == LaneState::Following && is_due {
                due.push(Due { projection, space: space.clone(), next: progress.next });
            }
        }
        due
    }

    async fn note(&self, due: &Due) -> Result<(), String> {
        let read = self.views.inner().store.read(&due.space, &[]).await;
        let (state, _) = read.map_err(|error| error.to_string())?;
        // Lost a moment ago: its lane will say so.
        let Some(checkpoint) = state.checkpoint() else { return Ok(()) };
        let name = format!("projection.{}", due.projection);
        let kept = self.bookmarks.keep(&name, due.space.partition, checkpoint);
        let kept = timeout(PATIENCE, kept).await.map_err(|_| "it does not answer".to_owned())?;
        kept.map_err(|error| error.to_string())
    }
}
