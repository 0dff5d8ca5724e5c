//! How each projection stands, gathered from its lanes.

use tokio::sync::watch;

use crate::contract::Partition;
use crate::ports::KEY_INDEX;

use super::any_projection::AnyProjection;
use super::ends::Ends;
use super::lane::Progress;
use super::queries::{Entry, Views};
use super::status::{LaneState, LaneStatus, ProjectionInfo, ViewKind};

impl Views {
    /// Every projection and where it stands.
    #[must_use]
    pub fn list(&self) -> Vec<ProjectionInfo> {
        self.0.entries.values().map(|entry| self.info(entry)).collect()
    }

    /// Records that the projection furthest behind had still to fold of a partition: one sample
    /// each 5 seconds of the last minutes, the newest last.
    #[must_use]
    pub fn recent_lag(&self, partition: Partition) -> Vec<u64> {
        self.0.recent_lag.get(partition)
    }

    fn info(&self, entry: &Entry) -> ProjectionInfo {
        let live = entry.live.borrow().clone();
        let name = entry.projection.name().as_str();
        let paused = *entry.paused.borrow();
        let lane = |(lane, partition): (&watch::Receiver<Progress>, Partition)| {
            lane_status(&lane.borrow(), partition, &self.0.ends)
        };
        let lanes = live.as_ref().map_or(&[][..], |live| &live.lanes);
        let mut partitions: Vec<LaneStatus> =
            lanes.iter().zip(self.0.log.partitions().iter()).map(lane).collect();
        if paused {
            partitions.iter_mut().for_each(|lane| lane.state = LaneState::Paused);
        }
        let (newer_events, too_many_parked) = match entry.blocked.borrow().clone() {
            Some(LaneState::NewerEvents { detail }) => (Some(detail), None),
            Some(LaneState::TooManyParked { detail }) => (None, Some(detail)),
            _ => (None, None),
        };
        ProjectionInfo {
            name,
            revision: entry.projection.revision(),
            generation: live.as_ref().map(|live| live.generation),
            keyed_by: entry.projection.kind(),
            indexes: indexes(entry.projection.as_ref()),
            schema: entry.projection.schema(),
            paused,
            newer_events,
            too_many_parked,
            sampled: entry.sampled.borrow().clone(),
            partitions,
        }
    }
}

/// The fields of each index of a projection, that by key first; none when it is not listed.
pub(super) fn indexes(projection: &dyn AnyProjection) -> Vec<Vec<&'static str>> {
    match projection.kind() {
        ViewKind::Merged | ViewKind::Records => Vec::new(),
        ViewKind::Aggregate(_) => {
            std::iter::once(vec![KEY_INDEX]).chain(projection.indexes().iter()).collect()
        }
    }
}

fn lane_status(progress: &Progress, partition: Partition, ends: &Ends) -> LaneStatus {
    let end = ends.get(partition);
    LaneStatus {
        partition,
        next: progress.next,
        lag: if progress.at_end { 0 } else { end.0.saturating_sub(progress.next.0) },
        state: progress.state.clone(),
        time: progress.time,
        parked: progress.parked.values().filter(|parked| !parked.discarded).count(),
    }
}
