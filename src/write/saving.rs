//! Bringing what the log has proved into the state space, beside the writer's loop.
//!
//! One commit is under way at a time. When nobody knows whether it happened, the very same is
//! tried again: it finds either the state that it expects or the one that it makes, which no
//! other commit makes. Any other state is somebody else's: then what is in memory is forgotten
//! and the log is read again.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::contract::Offset;
use crate::log::Checkpoint;
use crate::ports::{Commit, SpaceState, StoreError};

use super::former::Former;
use super::key_space;
use super::outcomes::SegmentNumber;
use super::reign::End;
use super::sealing::Sealing;
use super::setback::Setback;
use super::space::{Cut, Flaw, StateSpace, slot_of};
use super::writer::Writer;

/// The longest wait before a commit is tried again.
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// How long a writer that ends in order goes on with what is not stored.
const LAST_COMMITS_MAX: Duration = Duration::from_secs(2);

/// The commits of one partition's states.
pub(super) struct Saving {
    pub(super) space: StateSpace,
    /// What the space was last known to hold.
    pub(super) state: SpaceState,
    /// The commit that is under way, if one is.
    pub(super) task: JoinSet<Committed>,
    pub(super) sealing: Sealing,
    pub(super) former: Former,
    /// The last segment that the space lists.
    pub(super) listed: Option<SegmentNumber>,
    /// What is under way, or is to be tried again.
    pub(super) cut: Option<Arc<Cut>>,
    begun: Instant,
    pub(super) retry: Option<Retry>,
}

/// When a commit that failed is tried again, and why it failed.
pub(super) struct Retry {
    at: Instant,
    delay: Duration,
    reason: String,
}

impl Saving {
    pub(super) fn new(space: StateSpace) -> Self {
        Self {
            space,
            state: SpaceState::Empty,
            task: JoinSet::new(),
            sealing: Sealing::default(),
            former: Former::default(),
            listed: None,
            cut: None,
            begun: Instant::now(),
            retry: None,
        }
    }

    /// Gives up what is under way; the space was found in this state.
    pub(super) fn begin(&mut self, state: SpaceState) {
        *self = Self { state, ..Self::new(self.space.clone()) };
    }

    /// Why nothing is stored at the moment, if so.
    pub(super) fn problem(&self) -> Option<&str> {
        self.retry.as_ref().map(|retry| retry.reason.as_str())
    }
}

impl Writer {
    /// Stores what is full, if nothing is under way. After every pass through the loop.
    pub(super) fn save_full(&mut self) {
        if self.unsaved.has_closed() && self.saving.task.is_empty() && self.saving.retry.is_none() {
            self.save();
        }
    }

    /// Stores what there is, if it is time for it.
    pub(super) fn save_due(&mut self) {
        let is_due = match &self.saving.retry {
            Some(retry) => retry.at <= Instant::now(),
            None => self.saving.begun.elapsed() >= self.shared.config.commit_interval,
        };
        if is_due && self.saving.task.is_empty() {
            self.save();
        }
    }

    /// Begins a commit, if there is anything to be stored. Says whether there is.
    pub(super) fn save(&mut self) -> bool {
        let Some(cut) = self.saving.cut.take().or_else(|| self.cut().map(Arc::new)) else {
            return false;
        };
        self.saving.begun = Instant::now();
        self.begin_commit(cut);
        true
    }

    pub(super) fn begin_commit(&mut self, cut: Arc<Cut>) {
        self.saving.cut = Some(cut.clone());
        let (space, expected) = (self.saving.space.clone(), self.saving.state.clone());
        self.saving.task.spawn(async move { space.commit(&expected, &cut).await });
    }

    /// Takes the next batch, as it is now.
    fn cut(&mut self) -> Option<Cut> {
        let now = self.tracker.checkpoint()?;
        if self.saving.state.checkpoint().is_some_and(|stored| stored.next >= now.next) {
            return None;
        }
        let batch = self.unsaved.pop(now);
        let stand = |target| self.aggregates.cut(&target).map(|stand| (target, stand));
        let states = batch.targets.into_iter().filter_map(stand).collect();
        let commit = Some(self.shared.ids.next());
        let until = Checkpoint { commit, ..batch.until.unwrap_or(now) };
        let last = self.saving.state.checkpoint();
        let is_waypoint = last.is_none_or(|last| slot_of(last.time) != slot_of(until.time));
        let keys = batch.keys;
        let is_listed = keys.last().map(|key| key.segment) <= self.saving.listed;
        let list = (!is_listed).then(|| key_space::list(&self.outcomes.listed(None)));
        let changes = list.into_iter().collect();
        Some(Cut { until, states, keys, changes, seals: None, is_waypoint })
    }

    /// Takes the end of a commit.
    pub(super) fn saved(&mut self, ended: Ended) -> Result<(), Setback> {
        let Some(cut) = self.saving.cut.take() else { return Ok(()) };
        match ended {
            Ok(Ok((Commit::Committed, flaws))) => {
                self.saving.state = SpaceState::At(cut.until);
                self.saving.retry = None;
                self.aggregates.confirm(cut.until.next);
                self.saving.listed = cut.keys.last().map(|key| key.segment).max(self.saving.listed);
                if let Some(number) = cut.seals {
                    self.sealed(number);
                }
                cut.states.iter().for_each(|(target, _)| self.aggregates.note_stored(target));
                flaws.into_iter().for_each(|flaw| self.hold_back_flawed(flaw));
            }
            Ok(Ok((Commit::Stale(state), _))) if !self.shared.checks.own_checkpoint => {
                self.saving.state = state;
                self.saving.cut = Some(cut);
            }
            Ok(Ok((Commit::Stale(_), _))) => return Err(Setback::moved()),
            Ok(Err(StoreError::Torn { detail, .. })) => return Err(Setback::Lost(detail)),
            Ok(Err(error)) => self.save_later(cut, error.to_string()),
            Err(error) => self.save_later(cut, error.to_string()),
        }
        Ok(())
    }

    /// Holds an aggregate back whose state cannot be stored: once it was forgotten, it could not be
    /// read again, and the checkpoint must not wait for it. What is in flight is settled first.
    fn hold_back_flawed(&mut self, Flaw { target, why }: Flaw) {
        let must_be_stored = match self.aggregates.is_busy(&target) {
            true => self.aggregates.note_unsaved(&target),
            false => {
                tracing::error!(aggregate = target.as_str(), why, "an aggregate is held back");
                self.aggregates.hold_back(&target, why)
            }
        };
        if must_be_stored {
            self.unsaved.add(target);
        }
    }

    fn save_later(&mut self, cut: Arc<Cut>, reason: String) {
        let last = self.saving.retry.take();
        if last.as_ref().is_none_or(|last| last.reason != reason) {
            tracing::warn!(partition = %self.partition, reason, "states are not stored");
        }
        let interval = self.shared.config.commit_interval;
        let delay = last.map_or(interval, |last| (2 * last.delay).min(BACKOFF_MAX));
        self.saving.cut = Some(cut);
        self.saving.retry = Some(Retry { at: Instant::now() + delay, delay, reason });
    }

    /// The same for a writer that reigns: when its states are lost, its term ends. Pages of keys
    /// take turns with states, or a busy writer would never seal any.
    pub(super) fn saved_in_reign(&mut self, ended: Ended) -> Result<(), End> {
        self.saved(ended).map_err(|setback| self.end_by(setback))?;
        self.seal();
        Ok(())
    }

    /// Ends the term because what is in memory cannot be relied on.
    pub(super) fn end_by(&mut self, setback: Setback) -> End {
        if matches!(setback, Setback::Lost(_)) {
            self.forget();
        }
        End::Term(setback.to_string())
    }

    /// Stores one batch, and waits for it: for a writer that has no room to go on. Says whether
    /// there was one.
    pub(super) async fn save_now(&mut self) -> Result<bool, Setback> {
        if self.saving.task.is_empty() && !self.save() {
            return Ok(false);
        }
        if let Some(ended) = self.saving.task.join_next().await {
            self.saved(ended)?;
        }
        match self.saving.problem() {
            Some(reason) => Err(Setback::Store(reason.to_owned())),
            None => Ok(true),
        }
    }

    /// Stores the rest, as far as that is possible in a short time.
    pub(super) async fn save_rest(&mut self) {
        let all = async { while matches!(self.save_now().await, Ok(true)) {} };
        drop(timeout(LAST_COMMITS_MAX, all).await);
    }

    /// Forgets what is in memory: it is read again before anything is decided.
    pub(super) fn forget(&mut self) {
        self.is_open = false;
        self.aggregates.begin(Offset(0), false);
        self.outcomes.begin(new_segment(self.shared.ids.next()));
        self.unsaved.clear();
        self.saving.begin(SpaceState::Empty);
    }
}

/// A number that no segment has had: what was stored of earlier ones may be left.
fn new_segment(id: Uuid) -> SegmentNumber {
    let (_, random) = id.as_u64_pair();
    SegmentNumber(random >> 3)
}

/// How a commit under way ended.
pub(super) type Ended = Result<Committed, JoinError>;
type Committed = Result<(Commit, Vec<Flaw>), StoreError>;
