//! Replays: a new generation of views, built from the beginning of the log beside the live one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::contract::Time;
use crate::ports::Ids;

/// Replays that are remembered.
const REMEMBERED_MAX: usize = 100;

/// Starts replays and tells of them. Cheap to clone.
#[derive(Clone)]
pub struct Replays(Arc<Inner>);

struct Inner {
    ids: Ids,
    replays: Mutex<VecDeque<Replay>>,
    supervisors: BTreeMap<&'static str, mpsc::Sender<Request>>,
}

/// What is asked of a projection's supervisor.
#[derive(Clone, Copy, Debug)]
pub(super) enum Request {
    /// Build a new generation under this replay.
    Replay(Uuid),
    /// Stop building under this replay.
    Cancel(Uuid),
}

struct Replay {
    id: Uuid,
    started_at: Time,
    ended_at: Option<Time>,
    parts: BTreeMap<&'static str, Part>,
}

/// One projection's part of a replay.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) state: ReplayState,
    pub(super) records: u64,
    pub(super) records_total: u64,
}

/// Where a replay stands.
#[derive(Clone, Debug, Serialize)]
pub struct ReplayStatus {
    /// Its id.
    pub id: Uuid,
    /// What it rebuilds.
    pub projections: Vec<&'static str>,
    /// How it stands.
    #[serde(flatten)]
    pub state: ReplayState,
    /// Records folded so far, over all partitions and projections.
    pub records: u64,
    /// Records to fold, as far as was known when it began.
    pub records_total: u64,
    /// When it began.
    pub started_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
}

/// How a replay stands.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ReplayState {
    /// It reads the log.
    Running,
    /// The new generation is live.
    Done,
    /// It was stopped; the old generation stays live.
    Cancelled,
    /// It could not go on; the old generation stays live.
    Failed {
        /// Why.
        error: String,
    },
}

/// Why a replay was not started.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// There is no such projection.
    #[error("there is no projection `{0}`")]
    UnknownProjection(String),
    /// One of the projections is being replayed already.
    #[error("replay {0} is running")]
    Running(Uuid),
}

impl Replays {
    pub(super) fn new(
        ids: Ids,
        supervisors: BTreeMap<&'static str, mpsc::Sender<Request>>,
    ) -> Self {
        Self(Arc::new(Inner { ids, replays: Mutex::default(), supervisors }))
    }

    /// Starts a replay of one projection, or of all.
    ///
    /// # Errors
    /// See [`ReplayError`].
    pub fn start(&self, projection: Option<&str>) -> Result<Uuid, ReplayError> {
        let supervisors = &self.0.supervisors;
        let names: Vec<&'static str> = match projection {
            None => supervisors.keys().copied().collect(),
            Some(name) => match supervisors.get_key_value(name) {
                Some((name, _)) => vec![*name],
                None => return Err(ReplayError::UnknownProjection(name.to_owned())),
            },
        };
        let id = self.begin(&names)?;
        for name in names {
            // A full queue holds requests that this one would only repeat.
            let _ = supervisors[name].try_send(Request::Replay(id));
        }
        Ok(id)
    }

    /// Where a replay stands.
    #[must_use]
    pub fn get(&self, id: Uuid) -> Option<ReplayStatus> {
        self.with(|replays| replays.iter().find(|replay| replay.id == id).map(Replay::status))
    }

    /// The latest replays, the newest first.
    #[must_use]
    pub fn list(&self) -> Vec<ReplayStatus> {
        self.with(|replays| replays.iter().rev().map(Replay::status).collect())
    }

    /// Stops a replay that runs; the generation that is live stays live. It ends soon after.
    #[must_use]
    pub fn cancel(&self, id: Uuid) -> Option<ReplayStatus> {
        let status = self.get(id)?;
        for name in &status.projections {
            let _ = self.0.supervisors[name].try_send(Request::Cancel(id));
        }
        Some(status)
    }

    /// Notes a replay of these projections, unless one of them is being replayed.
    pub(super) fn begin(&self, names: &[&'static str]) -> Result<Uuid, ReplayError> {
        let (id, started_at) = (self.0.ids.next(), self.0.ids.now());
        self.with(|replays| {
            let busy = |replay: &&Replay| names.iter().any(|name| replay.is_running(name));
            if let Some(running) = replays.iter().find(busy) {
                return Err(ReplayError::Running(running.id));
            }
            let part = Part { state: ReplayState::Running, records: 0, records_total: 0 };
            let parts = names.iter().map(|&name| (name, part.clone())).collect();
            replays.push_back(Replay { id, started_at, ended_at: None, parts });
            if replays.len() > REMEMBERED_MAX {
                replays.pop_front();
            }
            Ok(id)
        })
    }

    /// Notes how a projection's part stands.
    pub(super) fn update(&self, id: Uuid, name: &'static str, part: Part) {
        let now = self.0.ids.now();
        self.with(|replays| {
            let Some(replay) = replays.iter_mut().find(|replay| replay.id == id) else { return };
            replay.parts.insert(name, part);
            if replay.parts.values().all(|part| part.state.is_final()) {
                replay.ended_at.get_or_insert(now);
            }
        });
    }

    fn with<T>(&self, with: impl FnOnce(&mut VecDeque<Replay>) -> T) -> T {
        with(&mut self.0.replays.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Replay {
    fn is_running(&self, name: &str) -> bool {
        self.parts.get(name).is_some_and(|part| !part.state.is_final())
    }

    fn status(&self) -> ReplayStatus {
        ReplayStatus {
            id: self.id,
            projections: self.parts.keys().copied().collect(),
            state: self.state(),
            records: self.parts.values().map(|part| part.records).sum(),
            records_total: self.parts.values().map(|part| part.records_total).sum(),
            started_at: self.started_at,
            ended_at: self.ended_at,
        }
    }

    /// Running while a part runs; then the worst that happened to a part.
    fn state(&self) -> ReplayState {
        let states = || self.parts.values().map(|part| &part.state);
        let failed = states().find(|state| matches!(state, ReplayState::Failed { .. }));
        if states().any(|state| !state.is_final()) {
            ReplayState::Running
        } else if let Some(failed) = failed {
            failed.clone()
        } else if states().any(|state| *state == ReplayState::Cancelled) {
            ReplayState::Cancelled
        } else {
            ReplayState::Done
        }
    }
}

impl ReplayState {
    /// Whether it will not change any more.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        !matches!(self, Self::Running)
    }
}
