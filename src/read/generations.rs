//! Generations: which set of spaces is live, and how one is removed.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::contract::{Offset, Partition};
use crate::log::Partitions;
use crate::ports::{Dropped, Space, StoreError, ViewStore};
use crate::shutdown::Shutdown;

use super::comparison::Compared;
use super::kept::Kept;
use super::lane::{Build, Lane, LaneHandle, LaneParts, Mend, Progress};
use super::status::LaneState;

/// Keys removed at once where no setting says how many.
const DROP_KEYS_MAX: usize = 500;

/// The lanes of one generation on this node.
pub(super) struct Generation {
    pub(super) id: Uuid,
    pub(super) lanes: Vec<watch::Receiver<Progress>>,
    /// Where each lane takes what mends a sequence; none where they do not fold.
    pub(super) mends: Vec<mpsc::Sender<Mend>>,
    /// What each lane keeps for queries; none where they do not fold.
    pub(super) kept: Vec<Arc<Kept>>,
    stop: Shutdown,
    /// Dropping it ends the lanes.
    tasks: JoinSet<()>,
    /// Whether it is served, but not folded, by this node.
    paused: bool,
}

/// What queries read.
pub(super) struct Live {
    pub(super) generation: Uuid,
    /// How far each partition had come when it went live: nothing older is ever shown.
    pub(super) floor: BTreeMap<Partition, Offset>,
    pub(super) lanes: Vec<watch::Receiver<Progress>>,
    pub(super) mends: Vec<mpsc::Sender<Mend>>,
    pub(super) kept: Vec<Arc<Kept>>,
    pub(super) spaces: Vec<Space>,
}

impl Generation {
    /// Starts a lane for each partition; it builds first where `build` says what.
    pub(super) fn start(
        id: Uuid,
        parts: impl Fn(Partition) -> LaneParts,
        partitions: Partitions,
        build: impl Fn(Partition) -> Option<Build>,
    ) -> Self {
        let lane = |partition| Lane::new(parts(partition), build(partition));
        Self::of_lanes(id, partitions.iter().map(lane))
    }

    /// A generation that is served, but not folded, by this node.
    pub(super) fn paused(
        id: Uuid,
        parts: impl Fn(Partition) -> LaneParts,
        partitions: Partitions,
    ) -> Self {
        let lane = |partition| Lane::that_looks_on(parts(partition));
        let lanes = Self::of_lanes(id, partitions.iter().map(lane));
        Self { mends: Vec::new(), kept: Vec::new(), paused: true, ..lanes }
    }

    fn of_lanes(id: Uuid, lanes: impl Iterator<Item = (Lane, LaneHandle)>) -> Self {
        let (stop, mut tasks) = (Shutdown::default(), JoinSet::new());
        let run = |(lane, handle): (Lane, LaneHandle)| {
            tasks.spawn(lane.run(stop.clone()));
            handle
        };
        let handles: Vec<LaneHandle> = lanes.map(run).collect();
        let lanes = handles.iter().map(|handle| handle.progress.clone()).collect();
        let mends = handles.iter().map(|handle| handle.mends.clone()).collect();
        let kept = handles.into_iter().map(|handle| handle.kept).collect();
        Self { id, lanes, mends, kept, stop, tasks, paused: false }
    }

    pub(super) fn any(&self, is: impl Fn(&LaneState) -> bool) -> bool {
        self.lanes.iter().any(|lane| is(&lane.borrow().state))
    }

    /// Whether every space was found to be of this log.
    pub(super) fn is_known(&self) -> bool {
        self.lanes.iter().all(|lane| lane.borrow().known)
    }

    /// How far each partition has been committed.
    pub(super) fn nexts(&self) -> Vec<Offset> {
        self.lanes.iter().map(|lane| lane.borrow().next).collect()
    }

    /// How far each partition has been folded.
    pub(super) fn folded(&self) -> Vec<Offset> {
        self.lanes.iter().map(|lane| lane.borrow().folded).collect()
    }

    /// Whether this node serves, but does not fold it.
    pub(super) const fn is_paused(&self) -> bool {
        self.paused
    }

    /// What its views are beside those of another generation.
    pub(super) fn compared(&self) -> Compared {
        let all = self.lanes.iter().map(|lane| lane.borrow().compared.clone());
        all.fold(Compared::default(), Compared::and)
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

/// Removes a generation in small steps. Between two of them the store has as long for others as
/// the step took.
pub(super) async fn drop_generation(
    store: &dyn ViewStore,
    spaces: &[Space],
    keys_max: usize,
) -> Result<(), StoreError> {
    for space in spaces {
        loop {
            let begun = Instant::now();
            match store.drop_space(space, keys_max).await? {
                Dropped::All => break,
                Dropped::More => sleep(begun.elapsed()).await,
            }
        }
    }
    Ok(())
}
