//! A lane: one partition of one generation of one projection.
//!
//! It folds what counts and commits views and checkpoint together, so a crash anywhere repeats
//! nothing and loses nothing. A generation that is being built is read by nobody: its lane keeps
//! views in memory for as long as there is room. A lane that finds that another commits to its
//! space stands by; one whose space is lost says so and ends: nothing is ever refilled in place.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use crate::config::ReadConfig;
use crate::contract::{Key, Offset, Position, Source, Time};
use crate::log::Tracker;
use crate::ports::{
    Change, Commit, EventLog, Ids, LogError, LogRecord, Space, SpaceState, StoreError, ViewStore,
};
use crate::shutdown::Shutdown;

use super::any_projection::AnyProjection;
use super::feed::Feed;
use super::inlet::Inlet;
use super::origin::Origin;
use super::status::LaneState;
use super::steps::{Limits, Parked, ParkedMap, Steps};
use super::workspace::{Workspace, doc_key};

/// The map in each space with the aggregates that are held back.
pub(super) const PARKED_MAP: &str = "parked";

/// How long a lane waits before it asks a log or a store again that did not answer.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// How often a lane in which nothing happens looks whether its space is still there.
pub(super) const IDLE_CHECK: Duration = Duration::from_secs(1);

/// How often in a row another's checkpoint must stand still before a lane takes over.
const STILL_CHECKS: u32 = 3;

/// Views read from the store at once.
const LOAD_MAX: usize = 1_000;

/// What a lane works with.
#[derive(Clone)]
pub(super) struct LaneParts {
    pub(super) projection: Arc<dyn AnyProjection>,
    pub(super) log: Arc<dyn EventLog>,
    pub(super) store: Arc<dyn ViewStore>,
    pub(super) feed: Feed,
    pub(super) origin: Origin,
    pub(super) ids: Ids,
    pub(super) space: Space,
    pub(super) config: ReadConfig,
    /// Bytes of views that a lane may hold while it builds.
    pub(super) build_bytes_max: usize,
    /// Poked whenever the lane's progress changes.
    pub(super) changed: Arc<Notify>,
}

/// How far a lane has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    pub(super) state: LaneState,
    /// The offset after the last record that is committed.
    pub(super) next: Offset,
    /// The offset after the last record that is folded, committed or not.
    pub(super) folded: Offset,
    /// Whether the log's end was reached, when it last looked.
    pub(super) at_end: bool,
    pub(super) time: Option<Time>,
    pub(super) parked: Arc<ParkedMap>,
}

pub(super) struct Lane {
    parts: LaneParts,
    sources: Vec<Source>,
    /// Where a building lane is done: the log's end when the build began.
    build_until: Option<Offset>,
    /// What was last committed.
    state: SpaceState,
    /// What was folded.
    tracker: Tracker,
    workspace: Workspace,
    parked: ParkedMap,
    /// What of `parked` is not committed.
    grown: ParkedMap,
    /// Aggregates whose fold panicked, from which record on; they outlive a restart of the lane.
    poison: ParkedMap,
    progress: watch::Sender<Progress>,
}

/// Why a lane stops folding for now.
pub(super) enum Halt {
    /// Begin again from what is committed.
    Reopen,
    /// Begin again after a while: the log or the store does not answer.
    Retry(String),
    /// Another runner commits to the space.
    StandBy,
    /// The space is not there, or not of this log, or torn.
    Lost,
    /// The next record was written by a newer binary.
    Newer(String),
}

impl Lane {
    /// A lane that folds the space on; with `build_until` it builds first.
    pub(super) fn new(
        parts: LaneParts,
        build_until: Option<Offset>,
    ) -> (Self, watch::Receiver<Progress>) {
        let (progress, receiver) = watch::channel(Progress::default());
        let sources = parts.projection.sources().iter().copied().collect();
        let lane = Self {
            parts,
            sources,
            build_until,
            state: SpaceState::Empty,
            tracker: Tracker::default(),
            workspace: Workspace::default(),
            parked: ParkedMap::new(),
            grown: ParkedMap::new(),
            poison: ParkedMap::new(),
            progress,
        };
        (lane, receiver)
    }

    /// Runs until it is stopped, or its space is lost.
    pub(super) async fn run(mut self, stop: Shutdown) {
        tokio::select! {
            () = self.keep_on() => {}
            () = stop.requested() => {}
        }
    }

    async fn keep_on(&mut self) {
        loop {
            let halt = match self.open().await {
                Ok(()) => self.fold_on().await,
                Err(halt) => halt,
            };
            let space = &self.parts.space;
            match halt {
                Halt::Reopen => {}
                Halt::Retry(reason) => {
                    tracing::warn!(%space, %reason, "a lane waits");
                    self.say(LaneState::Waiting { reason });
                    sleep(RETRY_DELAY).await;
                }
                Halt::StandBy => {
                    if self.stand_by().await.is_err() {
                        return self.say(LaneState::Lost);
                    }
                }
                Halt::Lost => {
                    tracing::error!(%space, "the space is lost");
                    return self.say(LaneState::Lost);
                }
                Halt::Newer(detail) => {
                    tracing::error!(%space, %detail, "a newer binary wrote the next event");
                    self.say(LaneState::NewerEvents { detail });
                    std::future::pending::<()>().await;
                }
            }
        }
    }

    /// Finds out where the space stands, and whether that is of this log.
    async fn open(&mut self) -> Result<(), Halt> {
        let LaneParts { store, space, origin, .. } = &self.parts;
        let (state, parked) = store.read_map(space, PARKED_MAP).await?;
        let checkpoint = state.checkpoint().copied();
        let known = match &checkpoint {
            Some(checkpoint) => origin.has(checkpoint).await?,
            None => false,
        };
        self.workspace.clear();
        self.grown.clear();
        match checkpoint.filter(|_| known) {
            Some(checkpoint) => {
                self.tracker = Tracker::resume(&checkpoint);
                self.state = state;
                self.parked = read_parked(&parked)?;
            }
            None if self.build_until.is_none() => return Err(Halt::Lost),
            None => {
                if state != SpaceState::Empty {
                    // A build that died in the middle of a flush, or of another log.
                    super::generations::drop_whole(store.as_ref(), space).await?;
                }
                self.tracker = Tracker::default();
                self.state = SpaceState::Empty;
                self.parked.clear();
            }
        }
        for (aggregate, poison) in &self.poison {
            self.parked.entry(aggregate.clone()).or_insert_with(|| poison.clone());
        }
        self.publish(false);
        Ok(())
    }

    async fn fold_on(&mut self) -> Halt {
        match self.try_fold_on().await {
            Ok(never) => match never {},
            Err(halt) => halt,
        }
    }

    async fn try_fold_on(&mut self) -> Result<std::convert::Infallible, Halt> {
        let LaneParts { log, space, feed, config, .. } = self.parts.clone();
        let from = self.tracker.next();
        let mut inlet = Inlet::open(log, space.partition, feed, from, &config).await?;
        loop {
            let following = self.build_until.is_none();
            let Some(fed) = inlet.next(self.tracker.next(), following, IDLE_CHECK).await? else {
                self.check_space().await?;
                continue;
            };
            let from = self.tracker.next();
            let seen = fed.records.partition_point(|record| record.offset < from);
            self.fold_records(&fed.records[seen..]).await?;
            if let Some(until) = self.build_until {
                let built = fed.at_end || self.tracker.next() >= until;
                if built || self.workspace.bytes() > self.parts.build_bytes_max {
                    self.flush().await?;
                }
                if built && self.state.checkpoint().is_some() {
                    self.build_until = None;
                }
            }
            self.publish(fed.at_end);
        }
    }

    async fn fold_records(&mut self, mut records: &[LogRecord]) -> Result<(), Halt> {
        let partition = self.parts.space.partition;
        let following = self.build_until.is_none();
        // A view that is new takes two changes: itself, and its place in the index.
        let live_max = self.parts.store.changes_max() / 2;
        let keys_max = if following { live_max } else { usize::MAX };
        while !records.is_empty() {
            let position = |record: &LogRecord| Position { partition, offset: record.offset };
            let steps = Steps::of(
                self.parts.projection.as_ref(),
                &self.sources,
                &self.tracker,
                &self.parked,
                records,
                position,
                &Limits { keys_max },
            );
            self.load(&steps).await?;
            if let Err((aggregate, poison)) = self.fold(&steps) {
                tracing::error!(%aggregate, error = poison.error, "a fold panicked: parked");
                self.poison.insert(aggregate, poison);
                return Err(Halt::Reopen);
            }
            self.tracker = steps.tracker;
            self.parked.extend(steps.parked.clone());
            self.grown.extend(steps.parked);
            if following {
                self.commit().await?;
            }
            if let Some(newer) = steps.newer {
                self.flush_before_newer(following).await?;
                return Err(Halt::Newer(newer));
            }
            records = &records[steps.taken..];
        }
        Ok(())
    }

    /// Brings every view that the steps change into memory.
    async fn load(&mut self, steps: &Steps<'_>) -> Result<(), Halt> {
        let mut missing: Vec<&str> = Vec::new();
        let keys = steps.steps.iter().flat_map(super::steps::Step::keys);
        for key in keys {
            if !self.workspace.touch(key) {
                missing.push(key);
            }
        }
        missing.sort_unstable();
        missing.dedup();
        let projection = self.parts.projection.clone();
        let empty = self.state == SpaceState::Empty;
        for keys in missing.chunks(LOAD_MAX) {
            let stored = if empty { vec![None; keys.len()] } else { self.read(keys).await? };
            for (key, stored) in keys.iter().zip(stored) {
                let slot = projection.slot(stored.as_deref()).map_err(|error| {
                    tracing::error!(space = %self.parts.space, key, %error, "a view is torn");
                    Halt::Lost
                })?;
                let key = Key::new(key).expect("a view's key was checked before");
                self.workspace.hold(key, slot, stored.is_some());
            }
        }
        Ok(())
    }

    async fn read(&self, keys: &[&str]) -> Result<Vec<Option<bytes::Bytes>>, Halt> {
        let keys: Vec<String> = keys.iter().map(|key| doc_key(key)).collect();
        let (state, values) = self.parts.store.read(&self.parts.space, &keys).await?;
        if state == self.state { Ok(values) } else { Err(moved(&state)) }
    }

    /// Folds the steps in memory; a panic names the aggregate and the record.
    fn fold(&mut self, steps: &Steps<'_>) -> Result<(), (String, Parked)> {
        let (projection, workspace) = (&self.parts.projection, &mut self.workspace);
        for step in &steps.steps {
            let fold = || {
                step.for_each(|key, recorded| {
                    projection.fold(workspace.slot(key), key, recorded);
                });
            };
            if catch_unwind(AssertUnwindSafe(fold)).is_err() {
                let error = "the projection's fold panicked".to_owned();
                let poison = Parked { position: step.position(), error, count: 0 };
                return Err((step.target().to_string(), poison));
            }
        }
        Ok(())
    }

    /// Commits what was folded, in one piece.
    async fn commit(&mut self) -> Result<(), Halt> {
        let Some(checkpoint) = self.tracker.checkpoint() else { return Ok(()) };
        let changes = self.take_changes();
        self.commit_as(SpaceState::At(checkpoint), &changes).await?;
        self.workspace.age(self.parts.config.cached_views_max);
        self.publish(false);
        Ok(())
    }

    /// Commits what was folded, in as many pieces as it takes. Nobody reads the space meanwhile;
    /// if this process dies between two pieces, the space is dropped and built again.
    async fn flush(&mut self) -> Result<(), Halt> {
        let Some(checkpoint) = self.tracker.checkpoint() else { return Ok(()) };
        let changes = self.take_changes();
        let flushing = SpaceState::Flushing(self.parts.ids.next());
        let mut pieces = changes.chunks(self.parts.store.changes_max()).peekable();
        while let Some(piece) = pieces.next() {
            if pieces.peek().is_some() {
                self.commit_as(flushing.clone(), piece).await?;
            } else {
                self.commit_as(SpaceState::At(checkpoint), piece).await?;
            }
        }
        if changes.is_empty() {
            self.commit_as(SpaceState::At(checkpoint), &[]).await?;
        }
        self.workspace.clear();
        Ok(())
    }

    async fn flush_before_newer(&mut self, following: bool) -> Result<(), Halt> {
        if following { Ok(()) } else { self.flush().await }
    }

    fn take_changes(&mut self) -> Vec<Change> {
        let mut changes = self.workspace.take_changes(self.parts.projection.as_ref());
        for (aggregate, parked) in std::mem::take(&mut self.grown) {
            let value = serde_json::to_vec(&parked).expect("it has string keys only").into();
            let map = PARKED_MAP.to_owned();
            changes.push(Change::PutField { map, field: aggregate, value, expires_in: None });
        }
        changes
    }

    async fn commit_as(&mut self, new: SpaceState, changes: &[Change]) -> Result<(), Halt> {
        let LaneParts { store, space, .. } = &self.parts;
        match store.commit(space, &self.state, &new, changes).await? {
            Commit::Committed => {
                self.state = new;
                Ok(())
            }
            Commit::Stale(state) => Err(moved(&state)),
        }
    }

    /// Looks whether the space is still what this lane made it.
    async fn check_space(&self) -> Result<(), Halt> {
        let (state, _) = self.parts.store.read(&self.parts.space, &[]).await?;
        if state == self.state { Ok(()) } else { Err(moved(&state)) }
    }

    /// Waits until the other runner stops; says when the space is lost meanwhile.
    async fn stand_by(&mut self) -> Result<(), Halt> {
        tracing::warn!(space = %self.parts.space, "another runner commits here: standing by");
        let (mut last, mut still) = (SpaceState::Empty, 0);
        while still < STILL_CHECKS {
            sleep(IDLE_CHECK).await;
            let read = self.parts.store.read(&self.parts.space, &[]).await;
            let Ok((state, _)) = read else { continue };
            if state == SpaceState::Empty && self.build_until.is_none() {
                return Err(Halt::Lost);
            }
            still = if state == last { still + 1 } else { 0 };
            last = state;
            self.state = last.clone();
            self.say(LaneState::StandingBy);
        }
        Ok(())
    }

    fn publish(&self, at_end: bool) {
        let building = self.build_until.is_some();
        let state = if building { LaneState::Building } else { LaneState::Following };
        self.tell(state, at_end);
    }

    fn say(&self, state: LaneState) {
        self.tell(state, false);
    }

    fn tell(&self, state: LaneState, at_end: bool) {
        let committed = self.state.checkpoint();
        self.progress.send_modify(|progress| {
            progress.state = state;
            progress.next = committed.map_or(Offset(0), |checkpoint| checkpoint.next);
            progress.time = committed.map(|checkpoint| checkpoint.time);
            progress.folded = self.tracker.next();
            progress.at_end = at_end;
            if progress.parked.as_ref() != &self.parked {
                progress.parked = Arc::new(self.parked.clone());
            }
        });
        self.parts.changed.notify_waiters();
    }
}

/// What it means that a space's state is not the one that was left.
fn moved(state: &SpaceState) -> Halt {
    if *state == SpaceState::Empty { Halt::Lost } else { Halt::StandBy }
}

fn read_parked(
    fields: &std::collections::BTreeMap<String, bytes::Bytes>,
) -> Result<ParkedMap, Halt> {
    let read = |(aggregate, json): (&String, &bytes::Bytes)| {
        serde_json::from_slice(json).map(|parked| (aggregate.clone(), parked))
    };
    fields.iter().map(read).collect::<Result<_, _>>().map_err(|_| Halt::Lost)
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Torn { .. } => Self::Lost,
            other => Self::Retry(other.to_string()),
        }
    }
}

impl From<LogError> for Halt {
    fn from(error: LogError) -> Self {
        match error {
            LogError::OutOfRange { .. } => Self::Lost,
            other => Self::Retry(other.to_string()),
        }
    }
}
