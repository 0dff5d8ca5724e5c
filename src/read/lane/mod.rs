//! A lane: one partition of one generation of one projection.
//!
//! It folds what counts and commits views and checkpoint together, so a crash anywhere repeats
//! nothing and loses nothing. A generation that is being built is read by nobody: its lane keeps
//! views in memory for as long as there is room. A lane that finds that another commits to its
//! space stands by; one whose space is lost says so and ends: nothing is ever refilled in place.
//!
//! Read it in this order: `space` looks where the space stands, `build` folds up to where it was
//! asked to, `compare` holds what was built beside what is live, `fold` follows the log, `commit`
//! stores, `mend` takes what was held back.

mod build;
mod commit;
mod compare;
mod fold;
mod mend;
mod space;

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::config::ReadConfig;
use crate::contract::{Offset, Source, Time};
use crate::log::{Checks, Tracker};
use crate::ports::{EventLog, Ids, LogError, LogOrigin, Space, SpaceState, StoreError, ViewStore};
use crate::shutdown::Shutdown;

use super::any_projection::{AnyProjection, LinkSlot, Slot};
use super::comparison::Compared;
use super::feed::Feed;
use super::kept::Kept;
use super::looks::IDLE_CHECK;
use super::measured::ProjectionMeasures;
use super::pace::Pace;
use super::parked::ParkedMap;
use super::rate::Rate;
use super::sample::Sample;
use super::status::LaneState;
use super::steps::{PoisonMap, Stop, said};
use super::workspace::{DOC, LINK, Workspace};

pub(super) use mend::{Mend, Mended};
pub(super) use space::parked_in;

/// How long a lane waits before it asks a log or a store again that did not answer.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// How often in a row another's checkpoint must stand still before a lane takes over.
const STILL_CHECKS: u32 = 3;

/// Sequences that may wait to be mended.
const MENDS_LEN_MAX: usize = 16;

/// What a lane works with.
#[derive(Clone)]
pub(super) struct LaneParts {
    pub(super) projection: Arc<dyn AnyProjection>,
    pub(super) log: Arc<dyn EventLog>,
    pub(super) store: Arc<dyn ViewStore>,
    pub(super) feed: Feed,
    /// Where it builds.
    pub(super) builds_on: Handle,
    /// How long what comes is gathered before it is folded, where nobody is in a hurry for it.
    pub(super) linger: Pace,
    pub(super) origin: LogOrigin,
    pub(super) ids: Ids,
    pub(super) space: Space,
    pub(super) config: ReadConfig,
    /// Bytes of views that a lane may hold while it builds.
    pub(super) build_bytes_max: usize,
    /// Poked when the lane's state changes, and at every commit while it is watched.
    pub(super) changed: Arc<Notify>,
    /// Whether a generation is being built: then it matters how far each lane is.
    pub(super) is_watched: Arc<AtomicBool>,
    pub(super) measures: Arc<ProjectionMeasures>,
    pub(super) checks: Checks,
}

/// What a lane does before it follows the log.
#[derive(Clone)]
pub(super) struct Build {
    /// Exactly up to here, at first.
    pub(super) until: Offset,
    /// How fast.
    pub(super) rate: Option<Rate>,
    /// The space that it is compared with then.
    pub(super) beside: Option<Space>,
    /// The part of all views that it is about; nothing else is folded.
    pub(super) sample: Option<Sample>,
    /// Whether it ends after that instead of following.
    pub(super) ends: bool,
}

/// How far a lane has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    pub(super) state: LaneState,
    /// Whether the space was found to be of this log.
    pub(super) known: bool,
    /// The offset after the last record that is committed.
    pub(super) next: Offset,
    /// The offset after the last record that is folded, committed or not.
    pub(super) folded: Offset,
    /// Whether the log's end was reached, when it last looked.
    pub(super) at_end: bool,
    pub(super) time: Option<Time>,
    pub(super) parked: Arc<ParkedMap>,
    /// What its views are beside those of another space.
    pub(super) compared: Compared,
}

pub(super) struct Lane {
    parts: LaneParts,
    sources: Vec<Source>,
    /// What it has to do before it follows.
    build: Option<Build>,
    /// Whether it folds nothing, and tells how far others are.
    looks_on: bool,
    /// What was last committed.
    state: SpaceState,
    /// What was folded.
    tracker: Tracker,
    workspace: Workspace<Slot>,
    /// By aggregate, `TYPE/ID`; none where the projection remembers nothing.
    links: Workspace<LinkSlot>,
    /// What queries need not ask the store for.
    kept: Arc<Kept>,
    parked: ParkedMap,
    /// The aggregates of which `parked` says more, or no longer something, than is committed.
    regrown: BTreeSet<String>,
    /// Records at which a fold panicked; they outlive a restart of the lane.
    poison: PoisonMap,
    mends: mpsc::Receiver<Mend>,
    compared: Compared,
    progress: watch::Sender<Progress>,
}

/// What others hold of a lane: how far it is, and where it takes what mends a sequence.
#[derive(Clone)]
pub(super) struct LaneHandle {
    pub(super) progress: watch::Receiver<Progress>,
    pub(super) mends: mpsc::Sender<Mend>,
    pub(super) kept: Arc<Kept>,
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
    /// Too many aggregates are parked.
    Full(String),
    /// It was built, and compared where that was wanted.
    Built,
}

impl Lane {
    /// A lane that folds the space on; with `build` it builds first.
    pub(super) fn new(parts: LaneParts, build: Option<Build>) -> (Self, LaneHandle) {
        let (progress, receiver) = watch::channel(Progress::default());
        let (mending, mends) = mpsc::channel(MENDS_LEN_MAX);
        let sources = parts.projection.sources().iter().copied().collect();
        let kept = Arc::new(Kept::new(parts.config.kept_bytes_max));
        let lane = Self {
            parts,
            sources,
            build,
            looks_on: false,
            state: SpaceState::Empty,
            tracker: Tracker::default(),
            workspace: Workspace::new(DOC),
            links: Workspace::new(LINK),
            kept: kept.clone(),
            parked: ParkedMap::new(),
            regrown: BTreeSet::new(),
            poison: PoisonMap::new(),
            mends,
            compared: Compared::default(),
            progress,
        };
        (lane, LaneHandle { progress: receiver, mends: mending, kept })
    }

    /// A lane that folds nothing: it tells whether the space is of this log, and how far it is.
    pub(super) fn that_looks_on(parts: LaneParts) -> (Self, LaneHandle) {
        let (mut lane, handle) = Self::new(parts, None);
        lane.looks_on = true;
        (lane, handle)
    }

    /// Runs until it is stopped, or its space is lost. What it builds it builds elsewhere, where
    /// it takes no time from lanes that follow.
    pub(super) async fn run(self, stop: Shutdown) {
        let lane = if self.build.is_some() {
            let builds_on = self.parts.builds_on.clone();
            // Ends with this task, also where that is aborted.
            let mut building = JoinSet::new();
            building.spawn_on(self.keep_on_until(stop.clone()), &builds_on);
            building.join_next().await.and_then(Result::ok).flatten()
        } else {
            Some(self)
        };
        if let Some(lane) = lane {
            lane.keep_on_until(stop).await;
        }
    }

    /// Returns itself when it has built and is to follow.
    async fn keep_on_until(mut self, stop: Shutdown) -> Option<Self> {
        let follows = tokio::select! {
            biased;
            () = stop.requested() => false,
            follows = self.keep_on() => follows,
        };
        follows.then_some(self)
    }

    /// Returns when its space is lost, or it has built; then whether it is to follow.
    async fn keep_on(&mut self) -> bool {
        loop {
            // Whatever a user wrote may panic; what is committed is whole.
            let halt = match AssertUnwindSafe(self.work()).catch_unwind().await {
                Ok(halt) => halt,
                Err(panic) => Halt::Retry(format!("the projection panicked: {}", said(&*panic))),
            };
            self.kept.close();
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
                        self.say(LaneState::Lost);
                        return false;
                    }
                }
                Halt::Lost => {
                    tracing::error!(%space, "the space is lost");
                    self.say(LaneState::Lost);
                    return false;
                }
                Halt::Newer(detail) => {
                    tracing::error!(%space, %detail, "a newer binary wrote the next event");
                    self.say(LaneState::NewerEvents { detail });
                    std::future::pending::<()>().await;
                }
                Halt::Built => return self.follows_what_it_built(),
                Halt::Full(detail) => {
                    tracing::error!(%space, %detail, "too many aggregates are parked");
                    self.say(LaneState::TooManyParked { detail });
                    // Whatever ends the wait, opening finds out where the space stands.
                    drop(self.wait_for_room().await);
                    // Who has made room may have mended more than one.
                    self.poison.clear();
                }
            }
        }
    }

    fn follows_what_it_built(&mut self) -> bool {
        let follows = self.build.take_if(|build| !build.ends).is_some();
        if !follows {
            self.say(LaneState::Built);
        }
        follows
    }

    async fn work(&mut self) -> Halt {
        match self.open().await {
            Ok(()) if self.looks_on => self.look_on().await,
            Ok(()) => self.fold_on().await,
            Err(halt) => halt,
        }
    }

    /// Waits until a sequence is mended.
    async fn wait_for_room(&mut self) -> Result<(), Halt> {
        loop {
            tokio::select! {
                biased;
                Some(mend) = self.mends.recv() => return self.mend(mend).await,
                () = sleep(IDLE_CHECK) => self.check_space().await?,
            }
        }
    }

    /// The part of all views that it is about, if not all.
    fn sample(&self) -> Option<Sample> {
        self.build.as_ref().and_then(|build| build.sample)
    }

    fn publish(&self, at_end: bool) {
        self.progress.send_modify(|progress| progress.known = true);
        let state = match &self.build {
            Some(_) => LaneState::Building,
            None if self.looks_on => LaneState::Paused,
            None => LaneState::Following,
        };
        self.tell(state, at_end);
    }

    fn say(&self, state: LaneState) {
        self.tell(state, false);
    }

    fn tell(&self, state: LaneState, at_end: bool) {
        let committed = self.state.checkpoint();
        // The supervisor asks the store at every turn: it is not disturbed by every commit.
        let mut concerns_supervisor = self.parts.is_watched.load(Ordering::Relaxed);
        self.progress.send_modify(|progress| {
            concerns_supervisor |= progress.state != state;
            progress.state = state;
            progress.next = committed.map_or(Offset(0), |checkpoint| checkpoint.next);
            progress.time = committed.map(|checkpoint| checkpoint.time);
            progress.folded = self.tracker.next();
            progress.at_end = at_end;
            if progress.compared != self.compared {
                progress.compared = self.compared.clone();
            }
            if progress.parked.as_ref() != &self.parked {
                progress.parked = Arc::new(self.parked.clone());
            }
        });
        if concerns_supervisor {
            self.parts.changed.notify_waiters();
        }
    }
}

impl Drop for Lane {
    /// Nobody tells any more what is committed.
    fn drop(&mut self) {
        self.kept.close();
    }
}

impl From<Stop> for Halt {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Newer(detail) => Self::Newer(detail),
            Stop::Full(detail) => Self::Full(detail),
        }
    }
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
