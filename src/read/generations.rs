//! Generations: which set of spaces is live, and how one is removed.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::contract::{Offset, Partition};
use crate::log::Partitions;
use crate::ports::{Dropped, Space, StoreError, ViewStore};
use crate::shutdown::Shutdown;

use super::lane::{Lane, LaneHandle, LaneParts, Mend, Progress};
use super::status::LaneState;

/// Keys removed at once where no setting says how many.
const DROP_KEYS_MAX: usize = 500;

/// The lanes of one generation on this node.
pub(super) struct Generation {
    pub(super) id: Uuid,
    pub(super) lanes: Vec<watch::Receiver<Progress>>,
    /// Where each lane takes what mends a sequence; none where they do not run.
    pub(super) mends: Vec<mpsc::Sender<Mend>>,
    stop: Shutdown,
    /// Dropping it ends the lanes.
    tasks: JoinSet<()>,
    /// Keeps the progress of lanes that do not run.
    _idle: Vec<watch::Sender<Progress>>,
}

/// What queries read.
pub(super) struct Live {
    pub(super) generation: Uuid,
    /// How far each partition had come when it went live: nothing older is ever shown.
    pub(super) floor: BTreeMap<Partition, Offset>,
    pub(super) lanes: Vec<watch::Receiver<Progress>>,
    pub(super) mends: Vec<mpsc::Sender<Mend>>,
    pub(super) spaces: Vec<Space>,
}

impl Generation {
    /// Starts a lane for each partition; with `build_until` they build first.
    pub(super) fn start(
        id: Uuid,
        parts: impl Fn(Partition) -> LaneParts,
        partitions: Partitions,
        build_until: Option<&[Offset]>,
    ) -> Self {
        let (stop, mut tasks) = (Shutdown::default(), JoinSet::new());
        let start = |partition: Partition| {
            let until = build_until.map(|ends| ends[partition.0 as usize]);
            let (lane, LaneHandle { progress, mends }) = Lane::new(parts(partition), until);
            tasks.spawn(lane.run(stop.clone()));
            (progress, mends)
        };
        let (lanes, mends) = partitions.iter().map(start).unzip();
        Self { id, lanes, mends, stop, tasks, _idle: Vec::new() }
    }

    /// A generation that is served, but not folded, by this node.
    pub(super) fn paused(id: Uuid, partitions: Partitions) -> Self {
        let progress = Progress { state: LaneState::Paused, ..Progress::default() };
        let idle: Vec<_> =
            partitions.iter().map(|_| watch::Sender::new(progress.clone())).collect();
        let lanes = idle.iter().map(watch::Sender::subscribe).collect();
        let (stop, tasks) = (Shutdown::default(), JoinSet::new());
        Self { id, lanes, mends: Vec::new(), stop, tasks, _idle: idle }
    }

    pub(super) fn any(&self, is: impl Fn(&LaneState) -> bool) -> bool {
        self.lanes.iter().any(|lane| is(&lane.borrow().state))
    }

    /// Whether every space was found to be of this log. One that is not folded here is believed.
    pub(super) fn is_known(&self) -> bool {
        let is_known = |lane: &Progress| lane.known || lane.state == LaneState::Paused;
        self.lanes.iter().all(|lane| is_known(&lane.borrow()))
    }

    /// How far each partition has been committed.
    pub(super) fn nexts(&self) -> Vec<Offset> {
        self.lanes.iter().map(|lane| lane.borrow().next).collect()
    }

    /// How far each partition has been folded.
    pub(super) fn folded(&self) -> Vec<Offset> {
        self.lanes.iter().map(|lane| lane.borrow().folded).collect()
    }

    /// Stops the lanes and waits until none of them commits any more.
    pub(super) async fn stop(mut self) {
        self.stop.request();
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Live {
    pub(super) fn space(&self, partition: Partition) -> Option<&Space> {
        self.spaces.get(partition.0 as usize)
    }

    pub(super) fn floor(&self, partition: Partition) -> Offset {
        self.floor.get(&partition).copied().unwrap_or_default()
    }
}

/// The spaces of a generation, by partition.
pub(super) fn spaces(name: &str, generation: Uuid, partitions: Partitions) -> Vec<Space> {
    partitions.iter().map(|partition| Space::new(name, generation, partition)).collect()
}

/// Removes a space, its checkpoint first.
pub(super) async fn drop_whole(store: &dyn ViewStore, space: &Space) -> Result<(), StoreError> {
    while store.drop_space(space, DROP_KEYS_MAX).await? == Dropped::More {}
    Ok(())
}

/// Removes a generation in small steps, between which the store can do other work.
pub(super) async fn drop_generation(
    store: Arc<dyn ViewStore>,
    spaces: Vec<Space>,
    keys_max: usize,
) {
    for space in spaces {
        loop {
            match store.drop_space(&space, keys_max).await {
                Ok(Dropped::All) => break,
                Ok(Dropped::More) => tokio::task::yield_now().await,
                Err(error) => {
                    // What is left is not live and has no checkpoint; it only takes room.
                    tracing::warn!(%space, %error, "a space was not dropped to its end");
                    break;
                }
            }
        }
    }
}
