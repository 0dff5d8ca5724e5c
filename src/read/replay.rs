//! Replays: a new generation of views, built from the beginning of the log beside the live one.

use serde::Serialize;
use uuid::Uuid;

use crate::contract::Time;

/// Starts replays and tells of them. Cheap to clone.
#[derive(Clone)]
pub struct Replays(());

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
    /// Records to fold, as far as is known now.
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

impl ReplayState {
    /// Whether it will not change any more.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        !matches!(self, Self::Running)
    }
}

impl Replays {
    /// Starts a replay of one projection, or of all.
    ///
    /// # Errors
    /// See [`ReplayError`].
    pub fn start(&self, projection: Option<&str>) -> Result<Uuid, ReplayError> {
        Err(ReplayError::UnknownProjection(projection.unwrap_or_default().to_owned()))
    }

    /// Where a replay stands.
    #[must_use]
    pub fn get(&self, _id: Uuid) -> Option<ReplayStatus> {
        None
    }

    /// The latest replays, the newest first.
    #[must_use]
    pub fn list(&self) -> Vec<ReplayStatus> {
        Vec::new()
    }

    /// Stops a replay; it says how it stands then.
    #[must_use]
    pub fn cancel(&self, _id: Uuid) -> Option<ReplayStatus> {
        None
    }
}
