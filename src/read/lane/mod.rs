//! A lane: one partition of one generation of one projection.
//!
//! It folds what counts and commits views and checkpoint together, so a crash anywhere repeats
//! nothing and loses nothing. A generation that is being built is read by nobody: its lane keeps
//! views in memory for as long as there is room. A lane that finds that another commits to its
//! space stands by; one whose space is lost says so and ends: nothing is ever refilled in place.

mod commit;
mod fold;
mod mend;

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::sleep;

use crate::config::ReadConfig;
use crate::contract::{Offset, Source, Time};
use crate::log::{Checks, Tracker};
use crate::ports::{EventLog, Ids, LogError, LogOrigin, Space, SpaceState, StoreError, ViewStore};
use crate::shutdown::Shutdown;

use super::any_projection::{AnyProjection, LinkSlot, Slot};
use super::feed::Feed;
use super::pace::Pace;
use super::parked::{PARKED_MAP, ParkedMap};
use super::status::LaneState;
use super::steps::{PoisonMap, Stop, said};
use super::workspace::{DOC, LINK, Workspace};

pub(super) use mend::{Mend, Mended};

/// How long a lane waits before it asks a log or a store again that did not answer.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// How often a lane in which nothing happens looks whether its space is still there.
pub(super) const IDLE_CHECK: Duration = Duration::from_secs(1);

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
    /// How long what comes is gathered before it is folded, where nobody is in a hurry for it.
    pub(super) linger: Option<Pace>,
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
    pub(super) checks: Checks,
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
    workspace: Workspace<Slot>,
    /// By aggregate, `TYPE/ID`; none where the projection remembers nothing.
    links: Workspace<LinkSlot>,
    parked: ParkedMap,
    /// The aggregates of which `parked` says more, or no longer something, than is committed.
    regrown: BTreeSet<String>,
    /// Records at which a fold panicked; they outlive a restart of the lane.
    poison: PoisonMap,
    mends: mpsc::Receiver<Mend>,
    progress: watch::Sender<Progress>,
}

/// What others hold of a lane: how far it is, and where it takes what mends a sequence.
#[derive(Clone)]
pub(super) struct LaneHandle {
    pub(super) progress: watch::Receiver<Progress>,
    pub(super) mends: mpsc::Sender<Mend>,
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
}

impl Lane {
    /// A lane that folds the space on; with `build_until` it builds first.
    pub(super) fn new(parts: LaneParts, build_until: Option<Offset>) -> (Self, LaneHandle) {
        let (progress, receiver) = watch::channel(Progress::default());
        let (mending, mends) = mpsc::channel(MENDS_LEN_MAX);
        let sources = parts.projection.sources().iter().copied().collect();
        let lane = Self {
            parts,
            sources,
            build_until,
            state: SpaceState::Empty,
            tracker: Tracker::default(),
            workspace: Workspace::new(DOC),
            links: Workspace::new(LINK),
            parked: ParkedMap::new(),
            regrown: BTreeSet::new(),
            poison: PoisonMap::new(),
            mends,
            progress,
        };
        (lane, LaneHandle { progress: receiver, mends: mending })
    }

    /// Runs until it is stopped, or its space is lost.
    pub(super) async fn run(mut self, stop: Shutdown) {
        tokio::select! {
            biased;
            () = stop.requested() => {}
            () = self.keep_on() => {}
        }
    }

    async fn keep_on(&mut self) {
        loop {
            // Whatever a user wrote may panic; what is committed is whole.
            let halt = match AssertUnwindSafe(self.work()).catch_unwind().await {
                Ok(halt) => halt,
                Err(panic) => Halt::Retry(format!("the projection panicked: {}", said(&*panic))),
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

    async fn work(&mut self) -> Halt {
        match self.open().await {
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
        self.links.clear();
        self.regrown.clear();
        match checkpoint.filter(|_| known) {
            Some(checkpoint) => {
                self.tracker = Tracker::resume(&checkpoint).checking(self.parts.checks);
                self.state = state;
                self.parked = read_parked(&parked)?;
            }
            None if self.build_until.is_none() => return Err(Halt::Lost),
            None => {
                if state != SpaceState::Empty {
                    // A build that died in the middle of a flush, or of another log.
                    super::generations::drop_whole(store.as_ref(), space).await?;
                }
                self.tracker = Tracker::default().checking(self.parts.checks);
                self.state = SpaceState::Empty;
                self.parked.clear();
            }
        }
        self.publish(false);
        Ok(())
    }

    /// Looks whether the space is still what this lane made it.
    async fn check_space(&self) -> Result<(), Halt> {
        let (state, _) = self.parts.store.read(&self.parts.space, &[]).await?;
        if self.is_own(&state) { Ok(()) } else { Err(self.moved(&state)) }
    }

    /// Whether the space is where this lane left it.
    fn is_own(&self, state: &SpaceState) -> bool {
        *state == self.state || !self.parts.checks.checkpoint
    }

    /// What it means that the space is not where this lane left it.
    fn moved(&self, state: &SpaceState) -> Halt {
        let next = |state: &SpaceState| state.checkpoint().map(|checkpoint| checkpoint.next);
        match state {
            SpaceState::Empty => Halt::Lost,
            // No runner goes back: the store has, to an older file. It goes on from there.
            state if next(state).is_some() && next(state) < next(&self.state) => Halt::Reopen,
            _ => Halt::StandBy,
        }
    }

    /// Waits until the other runner stops; says when the space is lost meanwhile.
    async fn stand_by(&mut self) -> Result<(), Halt> {
        tracing::warn!(space = %self.parts.space, "another runner commits here: standing by");
        let (mut last, mut still) = (SpaceState::Empty, 0);
        while still < STILL_CHECKS {
            sleep(IDLE_CHECK).await;
            let read = self.parts.store.read_map(&self.parts.space, PARKED_MAP).await;
            let (state, parked) = match read {
                Ok(read) => read,
                Err(StoreError::Torn { .. }) => return Err(Halt::Lost),
                Err(_) => continue,
            };
            if state == SpaceState::Empty && self.build_until.is_none() {
                return Err(Halt::Lost);
            }
            still = if state == last { still + 1 } else { 0 };
            last = state;
            self.state = last.clone();
            self.parked = read_parked(&parked)?;
            self.say(LaneState::StandingBy);
        }
        Ok(())
    }

    fn publish(&self, at_end: bool) {
        self.progress.send_modify(|progress| progress.known = true);
        let building = self.build_until.is_some();
        let state = if building { LaneState::Building } else { LaneState::Following };
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
            if progress.parked.as_ref() != &self.parked {
                progress.parked = Arc::new(self.parked.clone());
            }
        });
        if concerns_supervisor {
            self.parts.changed.notify_waiters();
        }
    }
}

fn read_parked(
    fields: &std::collections::BTreeMap<String, bytes::Bytes>,
) -> Result<ParkedMap, Halt> {
    let read = |(aggregate, json): (&String, &bytes::Bytes)| {
        serde_json::from_slice(json).map(|parked| (aggregate.clone(), parked))
    };
    fields.iter().map(read).collect::<Result<_, _>>().map_err(|_| Halt::Lost)
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
