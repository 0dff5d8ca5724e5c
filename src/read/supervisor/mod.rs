//! The supervisor of one projection: keeps one generation live, and builds another when asked,
//! when there is none, or when the live one was lost.
//!
//! The pointer in the store is the truth: it is read again at every turn, so that what another
//! process did, or an emptied store, is noticed within a second.

mod building;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use crate::config::{ReadConfig, ReplayConfig};
use crate::contract::{Offset, Partition};
use crate::gate::Gate;
use crate::log::{Checks, Partitions};
use crate::ports::{EventLog, Ids, LogError, LogOrigin, Pointer, Space, StoreError, ViewStore};
use crate::shutdown::Shutdown;

use super::any_projection::AnyProjection;
use super::feed::Feed;
use super::generations::{Generation, Live, drop_generation, spaces};
use super::lane::{IDLE_CHECK, LaneParts};
use super::pace::Pace;
use super::replay::{ReplayState, Replays, Request};
use super::status::LaneState;

/// What all supervisors share.
pub(super) struct Shared {
    pub(super) log: Arc<dyn EventLog>,
    pub(super) store: Arc<dyn ViewStore>,
    /// What must be open before anything is read.
    pub(super) gates: [Gate; 2],
    pub(super) ids: Ids,
    pub(super) feeds: Vec<Feed>,
    /// Of projections that linger, how each of their lanes does.
    pub(super) lingers: BTreeMap<&'static str, Vec<Pace>>,
    pub(super) origins: Vec<LogOrigin>,
    pub(super) read: ReadConfig,
    pub(super) replay: ReplayConfig,
    pub(super) checks: Checks,
    /// How many projections share the memory of replays.
    pub(super) projections: usize,
}

pub(super) struct Supervisor {
    shared: Arc<Shared>,
    projection: Arc<dyn AnyProjection>,
    replays: Replays,
    requests: mpsc::Receiver<Request>,
    published: Published,
    changed: Arc<Notify>,
    is_watched: Arc<AtomicBool>,
    live: Option<Generation>,
    building: Option<Building>,
    previous: Option<Previous>,
    /// Whether this node serves the views, but does not fold them.
    paused: bool,
    /// A replay that was asked for and has not begun.
    asked: Option<Uuid>,
    drops: JoinSet<()>,
}

/// What a supervisor tells those who answer queries.
pub(super) struct Published {
    /// The generation to read, while it is whole.
    pub(super) live: watch::Sender<Option<Arc<Live>>>,
    /// What kept this binary from building one.
    pub(super) blocked: watch::Sender<Option<LaneState>>,
}

struct Building {
    generation: Generation,
    replay: Uuid,
    /// Whether it was begun elsewhere: another process may be building it too.
    joined: bool,
    /// The log's ends when it began.
    until: Vec<Offset>,
}

/// The generation before the live one: it keeps following for a while.
struct Previous {
    id: Uuid,
    generation: Option<Generation>,
    drop_at: Instant,
}

/// A turn of the supervisor that could not be made now.
enum Unable {
    Store(StoreError),
    Log(LogError),
}

impl Supervisor {
    pub(super) fn new(
        shared: Arc<Shared>,
        projection: Arc<dyn AnyProjection>,
        replays: Replays,
        requests: mpsc::Receiver<Request>,
        published: Published,
    ) -> Self {
        let paused = shared.read.paused.iter().any(|name| name == projection.name().as_str());
        Self {
            shared,
            paused,
            projection,
            replays,
            requests,
            published,
            changed: Arc::default(),
            is_watched: Arc::default(),
            live: None,
            building: None,
            previous: None,
            asked: None,
            drops: JoinSet::new(),
        }
    }

    /// Runs until the process goes down.
    pub(super) async fn run(mut self, shutdown: Shutdown) {
        let shared = self.shared.clone();
        let opened = futures_util::future::join_all(shared.gates.iter().map(Gate::opened));
        tokio::select! {
            biased;
            _ = opened => {}
            () = shutdown.requested() => return,
        }
        let changed = self.changed.clone();
        loop {
            let changed = changed.notified();
            if let Err(unable) = self.turn().await {
                let (name, reason) = (self.projection.name(), unable.to_string());
                tracing::warn!(projection = %name, %reason, "the projection waits");
                tokio::time::sleep(RETRY_DELAY).await;
            }
            self.is_watched.store(self.building.is_some(), Ordering::Relaxed);
            while self.drops.try_join_next().is_some() {}
            tokio::select! {
                biased;
                () = shutdown.requested() => return self.stop().await,
                Some(request) = self.requests.recv() => self.take(request).await,
                () = changed => {}
                () = tokio::time::sleep(IDLE_CHECK) => {}
            }
        }
    }

    async fn take(&mut self, request: Request) {
        match request {
            Request::Replay(id) if self.paused => {
                let error = "the projection is paused on this node, by read.paused".to_owned();
                self.end(id, ReplayState::Failed { error });
            }
            Request::Replay(id) => self.asked = Some(id),
            Request::Cancel(id) => {
                if self.asked == Some(id) {
                    self.asked = None;
                    self.end(id, ReplayState::Cancelled);
                } else if self.building.as_ref().is_some_and(|building| building.replay == id) {
                    self.abandon(ReplayState::Cancelled).await;
                }
            }
        }
    }

    /// Compares what is with what the pointer says and what was asked, and mends the difference.
    async fn turn(&mut self) -> Result<(), Unable> {
        let pointer = self.pointer().await?;
        self.end_what_is_live(&pointer).await;
        self.follow_live(&pointer).await;
        if self.paused {
            return Ok(());
        }
        self.drop_previous(&pointer).await?;
        if self.building.as_ref().is_some_and(|it| pointer.building != Some(it.generation.id)) {
            // The store was emptied, or another process builds: ours is of no use.
            let replay = self.building.as_ref().map(|building| building.replay);
            self.abandon_quietly().await;
            self.asked = replay;
        }
        if self.building.is_some() {
            return self.go_on_building(&pointer).await;
        }
        let blocked = self.published.blocked.borrow().clone();
        match (pointer.building, blocked) {
            (Some(unfinished), None) => return self.build(unfinished, true).await,
            (Some(_), Some(blocked)) => {
                // A newer binary can finish it; this one would only be in its way.
                if let Some(asked) = self.asked.take() {
                    let error = blocked.detail().to_owned();
                    self.end(asked, ReplayState::Failed { error });
                }
                return Ok(());
            }
            // What it met is in the log for ever, so that it need not try again by itself.
            (None, Some(_)) if self.asked.is_none() => return Ok(()),
            (None, _) => {}
        }
        if self.asked.is_some() || self.live_is_lost() {
            let generation = self.shared.ids.next();
            let new = Pointer { building: Some(generation), ..pointer.clone() };
            if self.set(&pointer, &new).await? {
                return self.build(generation, false).await;
            }
        }
        Ok(())
    }

    /// Runs the generation that the pointer names, and shows it to queries while it is whole.
    async fn follow_live(&mut self, pointer: &Pointer) {
        if self.live.as_ref().map(|live| live.id) != pointer.live {
            if let Some(old) = self.live.take() {
                old.stop().await;
            }
            self.live = pointer.live.map(|id| match self.paused {
                true => Generation::paused(id, self.partitions()),
                false => self.start(id, None),
            });
        }
        let whole = self.live.as_ref().filter(|live| !live.any(|state| *state == LaneState::Lost));
        let shown = self.published.live.borrow().as_ref().map(|live| live.generation);
        match whole {
            // Until then nobody knows whether it is of this log.
            Some(live) if shown != Some(live.id) && live.is_known() => self.show(live, pointer),
            None if shown.is_some() => drop(self.published.live.send_replace(None)),
            _ => {}
        }
    }

    fn show(&self, live: &Generation, pointer: &Pointer) {
        self.published.blocked.send_replace(None);
        self.published.live.send_replace(Some(Arc::new(Live {
            generation: live.id,
            floor: pointer.floor.clone(),
            lanes: live.lanes.clone(),
            mends: live.mends.clone(),
            spaces: self.spaces(live.id),
        })));
    }

    fn live_is_lost(&self) -> bool {
        self.live.as_ref().is_none_or(|live| live.any(|state| *state == LaneState::Lost))
    }

    fn keep(&self, id: Uuid, generation: Option<Generation>) -> Previous {
        Previous { id, generation, drop_at: Instant::now() + self.shared.replay.keep_previous }
    }

    /// Drops the generation before, once it was kept for long enough.
    async fn drop_previous(&mut self, pointer: &Pointer) -> Result<(), Unable> {
        let Some(id) = pointer.previous else { return Ok(()) };
        if self.previous.as_ref().is_none_or(|previous| previous.id != id) {
            self.previous = Some(self.keep(id, None));
        }
        if self.previous.as_ref().is_none_or(|previous| previous.drop_at > Instant::now()) {
            return Ok(());
        }
        let new = Pointer { previous: None, ..pointer.clone() };
        if self.set(pointer, &new).await?
            && let Some(previous) = self.previous.take()
        {
            self.drop_now(previous).await;
        }
        Ok(())
    }

    async fn drop_now(&mut self, previous: Previous) {
        if let Some(generation) = previous.generation {
            generation.stop().await;
        }
        self.drop_spaces(previous.id);
    }

    fn drop_spaces(&mut self, id: Uuid) {
        let (store, keys_max) = (self.shared.store.clone(), self.shared.replay.drop_keys_max);
        self.drops.spawn(drop_generation(store, self.spaces(id), keys_max));
    }

    fn start(&self, id: Uuid, build_until: Option<&[Offset]>) -> Generation {
        let parts = |partition| self.lane_parts(id, partition);
        Generation::start(id, parts, self.partitions(), build_until)
    }

    fn lane_parts(&self, generation: Uuid, partition: Partition) -> LaneParts {
        let shared = &self.shared;
        let at = partition.0 as usize;
        let builders = shared.projections * self.partitions().count() as usize;
        let mut config = shared.read.clone();
        if self.projection.reads_records() {
            config.cached_views_max = (config.cached_views_max / VIEWS_TO_A_PAGE).max(1);
        }
        LaneParts {
            projection: self.projection.clone(),
            log: shared.log.clone(),
            store: shared.store.clone(),
            feed: shared.feeds[at].clone(),
            linger: shared.lingers.get(self.projection.name().as_str()).map(|it| it[at].clone()),
            origin: shared.origins[at].clone(),
            ids: shared.ids.clone(),
            space: Space::new(self.projection.name().as_str(), generation, partition),
            config,
            build_bytes_max: shared.replay.memory_bytes_max / builders.max(1),
            changed: self.changed.clone(),
            is_watched: self.is_watched.clone(),
            checks: shared.checks,
        }
    }

    async fn pointer(&self) -> Result<Pointer, Unable> {
        let name = self.projection.name();
        let pointers = self.shared.store.pointers(name.as_str()).await?;
        Ok(pointers.get(&self.projection.revision()).cloned().unwrap_or_default())
    }

    /// Sets the pointer, if it is still the expected one.
    async fn set(&self, expected: &Pointer, new: &Pointer) -> Result<bool, Unable> {
        let (name, revision) = (self.projection.name(), self.projection.revision());
        let set = |expected| self.shared.store.set_pointer(name.as_str(), revision, expected, new);
        // A pointer to nothing is stored once a build was given up, and is not there before.
        if *expected == Pointer::default() && set(None).await? {
            return Ok(true);
        }
        Ok(set(Some(expected)).await?)
    }

    fn spaces(&self, generation: Uuid) -> Vec<Space> {
        spaces(self.projection.name().as_str(), generation, self.partitions())
    }

    fn partitions(&self) -> Partitions {
        self.shared.log.partitions()
    }

    async fn stop(mut self) {
        let building = self.building.take().map(|building| building.generation);
        let previous = self.previous.take().and_then(|previous| previous.generation);
        for generation in [self.live.take(), building, previous].into_iter().flatten() {
            generation.stop().await;
        }
        while self.drops.join_next().await.is_some() {}
    }
}

/// A page of `history` may weigh as much as so many usual views.
const VIEWS_TO_A_PAGE: usize = 10;

/// How long a supervisor waits before it asks a log or a store again that did not answer.
const RETRY_DELAY: Duration = Duration::from_millis(200);

impl std::fmt::Display for Unable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Log(error) => error.fmt(f),
        }
    }
}

impl From<StoreError> for Unable {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
