//! The supervisor of one projection: keeps one generation live, and builds others when asked,
//! when there is none, or when the live one was lost.
//!
//! The pointer in the store is the truth: it is read again at every turn, so that what another
//! process did, or an emptied store, is noticed within a second. A turn compares what runs here
//! with what the pointer says and what was asked: `following` runs the live generation and the
//! one before, `building` replays, `verifying` verifies, `dropping` removes what is over, `former`
//! what binaries of other revisions have left.

mod building;
mod dropping;
mod following;
mod former;
mod leases;
mod operating;
mod verifying;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use uuid::Uuid;

use crate::config::{ReadConfig, ReplayConfig, VerifyConfig};
use crate::contract::{Offset, Partition};
use crate::gate::Gate;
use crate::log::{Checks, Partitions};
use crate::ports::{EventLog, Ids, LogError, LogOrigin, Pointer, Space, StoreError, ViewStore};
use crate::shutdown::Shutdown;

use super::any_projection::AnyProjection;
use super::feed::Feed;
use super::generations::{Generation, Live, spaces};
use super::lane::{Build, LaneParts};
use super::looks::IDLE_CHECK;
use super::measured::ProjectionMeasures;
use super::pace::Pace;
use super::queries::Entry;
use super::reload::Reload;
use super::replay::Replays;
use super::requests::Request;
use super::sample::Sampled;
use super::status::LaneState;
use super::verification::Verifications;

use building::Building;
use dropping::Drops;
use former::Former;
use leases::Leases;
use verifying::Verifying;

/// What all supervisors share.
pub(super) struct Shared {
    pub(super) log: Arc<dyn EventLog>,
    pub(super) store: Arc<dyn ViewStore>,
    /// What must be open before anything is read.
    pub(super) gates: [Gate; 2],
    pub(super) ids: Ids,
    pub(super) node: String,
    pub(super) instance: Uuid,
    pub(super) feeds: Vec<Feed>,
    /// Where lanes build.
    pub(super) builds_on: Handle,
    /// How long the lanes of each projection gather what comes.
    pub(super) lingers: BTreeMap<&'static str, Vec<Pace>>,
    pub(super) origins: Vec<LogOrigin>,
    pub(super) read: ReadConfig,
    pub(super) replay: ReplayConfig,
    pub(super) verify: VerifyConfig,
    pub(super) checks: Checks,
    /// How many projections share the memory of replays.
    pub(super) projections: usize,
}

pub(super) struct Supervisor {
    shared: Arc<Shared>,
    projection: Arc<dyn AnyProjection>,
    replays: Replays,
    verifications: Verifications,
    requests: mpsc::Receiver<Request>,
    published: Published,
    changed: Arc<Notify>,
    is_watched: Arc<AtomicBool>,
    leases: Leases,
    live: Option<Generation>,
    /// The generation before: it keeps following for a while.
    previous: Option<Generation>,
    building: Option<Building>,
    /// A generation that another process builds, and the replay that it does.
    observed: Option<(Uuid, Uuid)>,
    /// A replay that was asked for and has not begun.
    asked: Option<Uuid>,
    verifying: Option<Verifying>,
    /// A verification that was asked for and has not begun.
    asked_to_verify: Option<Uuid>,
    /// When the last sample of the views was compared.
    sampled_at: Instant,
    drops: Drops,
    former: Former,
}

/// What a supervisor tells those who answer queries.
pub(super) struct Published {
    /// The generation to read, while it is whole.
    pub(super) live: watch::Sender<Option<Arc<Live>>>,
    /// What kept this binary from building one.
    pub(super) blocked: watch::Sender<Option<LaneState>>,
    /// Whether nobody folds it here.
    pub(super) paused: watch::Sender<bool>,
    /// What samples of the views have shown.
    pub(super) sampled: watch::Sender<Sampled>,
    /// Asks for the pointer to be read again.
    pub(super) reload: Reload,
    /// What its lanes count.
    pub(super) measures: Arc<ProjectionMeasures>,
}

/// A turn of the supervisor that could not be made now.
enum Unable {
    Store(StoreError),
    Log(LogError),
}

impl Published {
    pub(super) fn new() -> Self {
        Self {
            live: watch::Sender::new(None),
            blocked: watch::Sender::new(None),
            paused: watch::Sender::new(false),
            sampled: watch::Sender::default(),
            reload: Reload::new(),
            measures: Arc::default(),
        }
    }

    /// The other end, for queries.
    pub(super) fn entry(&self, projection: Arc<dyn AnyProjection>, lingers: Vec<Pace>) -> Entry {
        Entry {
            projection,
            live: self.live.subscribe(),
            blocked: self.blocked.subscribe(),
            paused: self.paused.subscribe(),
            sampled: self.sampled.subscribe(),
            reload: self.reload.clone(),
            measures: self.measures.clone(),
            lingers,
        }
    }
}

impl Supervisor {
    pub(super) fn new(
        shared: Arc<Shared>,
        projection: Arc<dyn AnyProjection>,
        (replays, verifications): (Replays, Verifications),
        requests: mpsc::Receiver<Request>,
        published: Published,
    ) -> Self {
        Self {
            leases: Leases::new(&shared.node, shared.instance, shared.replay.takeover_timeout),
            shared,
            projection,
            replays,
            verifications,
            requests,
            published,
            changed: Arc::default(),
            is_watched: Arc::default(),
            live: None,
            previous: None,
            building: None,
            observed: None,
            asked: None,
            verifying: None,
            asked_to_verify: None,
            sampled_at: Instant::now(),
            drops: Drops::default(),
            former: Former::default(),
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
        let (changed, reload) = (self.changed.clone(), self.published.reload.clone());
        loop {
            let changed = changed.notified();
            reload.begin();
            if let Err(unable) = self.turn().await {
                let (name, reason) = (self.projection.name(), unable.to_string());
                tracing::warn!(projection = %name, %reason, "the projection waits");
                tokio::time::sleep(RETRY_DELAY).await;
            }
            let is_watched = self.building.is_some() || self.verifying.is_some();
            self.is_watched.store(is_watched, Ordering::Relaxed);
            reload.end(self.will_show_another());
            let ended_at = Instant::now();
            let rest = if self.live.is_none() { NOTHING_LIVE_CHECK } else { IDLE_CHECK };
            tokio::select! {
                biased;
                () = shutdown.requested() => return self.stop().await,
                Some(request) = self.requests.recv() => self.take(request).await,
                () = self.drops.ended() => {}
                () = changed => {}
                () = reload.asked(ended_at) => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    async fn take(&mut self, request: Request) {
        let taken = match request {
            Request::Replay(id) => {
                self.asked = Some(id);
                Ok(())
            }
            Request::CancelReplay(id) => self.cancel_replay(id).await,
            Request::Flip(id) => self.let_flip(id).await,
            Request::Verify(id) => {
                self.asked_to_verify = Some(id);
                Ok(())
            }
            Request::CancelVerification(id) => self.cancel_verification(id).await,
            Request::Operate(operation, reply) => {
                // Who asked may have gone.
                drop(reply.send(self.operate(operation).await));
                Ok(())
            }
        };
        if let Err(unable) = taken {
            let (name, reason) = (self.projection.name(), unable.to_string());
            tracing::warn!(projection = %name, %reason, "what was asked was not done");
        }
    }

    /// Compares what is with what the pointer says and what was asked, and mends the difference.
    /// Where one step has changed the pointer, the later ones change nothing, and another turn
    /// comes at once.
    async fn turn(&mut self) -> Result<(), Unable> {
        let pointers = self.pointers().await?;
        let pointer = pointers.get(&self.projection.revision()).cloned().unwrap_or_default();
        self.leases.look(&pointer);
        self.follow(&pointer).await;
        self.let_go(&pointer).await;
        self.tidy(&pointer).await?;
        self.drop_former(pointers).await?;
        self.verify(&pointer).await?;
        self.replay(&pointer).await
    }

    /// Starts lanes for a generation, which build first if `build` says so.
    fn start(&self, id: Uuid, build: impl Fn(Partition) -> Option<Build>) -> Generation {
        let parts = |partition| self.lane_parts(id, partition);
        Generation::start(id, parts, self.partitions(), build)
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
            builds_on: shared.builds_on.clone(),
            linger: shared.lingers[self.projection.name().as_str()][at].clone(),
            origin: shared.origins[at].clone(),
            ids: shared.ids.clone(),
            space: Space::new(self.name(), generation, partition),
            config,
            build_bytes_max: shared.replay.memory_bytes_max / builders.max(1),
            changed: self.changed.clone(),
            is_watched: self.is_watched.clone(),
            measures: self.published.measures.clone(),
            checks: shared.checks,
        }
    }

    async fn pointer(&self) -> Result<Pointer, Unable> {
        Ok(self.pointers().await?.remove(&self.projection.revision()).unwrap_or_default())
    }

    /// Those of all revisions.
    async fn pointers(&self) -> Result<BTreeMap<u32, Pointer>, Unable> {
        Ok(self.shared.store.pointers(self.name()).await?)
    }

    /// Sets the pointer, if it is still the expected one; then another turn comes at once.
    async fn set(&self, expected: &Pointer, new: &Pointer) -> Result<bool, Unable> {
        self.set_of(self.projection.revision(), expected, new).await
    }

    /// The same of any revision.
    async fn set_of(
        &self,
        revision: u32,
        expected: &Pointer,
        new: &Pointer,
    ) -> Result<bool, Unable> {
        let set = |expected| self.shared.store.set_pointer(self.name(), revision, expected, new);
        // A pointer to nothing is stored once a build was given up, and is not there before.
        let is_set =
            (*expected == Pointer::default() && set(None).await?) || set(Some(expected)).await?;
        if is_set {
            self.changed.notify_one();
        }
        Ok(is_set)
    }

    /// How far a generation is committed, if there is all of it.
    async fn nexts_of(&self, generation: Uuid) -> Result<Option<Vec<Offset>>, Unable> {
        let spaces = self.spaces(generation);
        let reads = spaces.iter().map(|space| self.shared.store.read(space, &[]));
        let states = futures_util::future::try_join_all(reads).await?;
        Ok(states.iter().map(|(state, _)| state.checkpoint().map(|it| it.next)).collect())
    }

    fn by_partition(&self, offsets: &[Offset]) -> BTreeMap<Partition, Offset> {
        self.partitions().iter().zip(offsets.iter().copied()).collect()
    }

    fn name(&self) -> &'static str {
        self.projection.name().as_str()
    }

    fn spaces(&self, generation: Uuid) -> Vec<Space> {
        spaces(self.name(), generation, self.partitions())
    }

    fn partitions(&self) -> Partitions {
        self.shared.log.partitions()
    }

    async fn stop(mut self) {
        let building = self.building.take().map(|building| building.generation);
        let hidden = self.verifying.take().map(|verifying| verifying.generation);
        let all = [self.live.take(), self.previous.take(), building, hidden];
        for generation in all.into_iter().flatten() {
            generation.stop().await;
        }
        self.drops.stop().await;
    }
}

/// A page of `history` may weigh as much as so many usual views.
const VIEWS_TO_A_PAGE: usize = 10;

/// How often the pointer is read while no generation is live: another process may be building one,
/// and queries wait for it.
const NOTHING_LIVE_CHECK: Duration = Duration::from_millis(100);

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

impl From<LogError> for Unable {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}
