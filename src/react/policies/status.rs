//! What policies say about themselves, for `GET /admin/status`.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::contract::{Offset, Partition, Time};

use super::held::HeldMap;

/// A policy, and where it stands.
///
/// ```
/// use retell::app::App;
/// # use retell::doc::{CellarIsDark, Light};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).policy(CellarIsDark).build().await?;
/// let status = app.policies().list().remove(0);
/// assert_eq!(status.name, "cellar-is-dark");
/// assert_eq!(status.partitions.len(), app.config().log.partitions as usize);
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct PolicyStatus {
    /// Its name.
    pub name: &'static str,
    /// Where it stands in each partition.
    pub partitions: Vec<PolicyPartition>,
}

/// Where a policy stands in one partition.
///
/// ```
/// use retell::react::policies::{PolicyPartition, PolicyState};
/// use retell::{Offset, Partition};
///
/// let (partition, next, state) = (Partition(5), Offset(1234), PolicyState::Following);
/// let at = PolicyPartition { partition, next, state, time: None, parked: 0 };
/// let json = serde_json::to_value(at)?;
/// assert_eq!((&json["next"], &json["state"]), (&1234.into(), &"following".into()));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct PolicyPartition {
    /// The partition.
    pub partition: Partition,
    /// The offset after the last record from which everything that follows is done or held back.
    pub next: Offset,
    /// What it is doing.
    #[serde(flatten)]
    pub state: PolicyState,
    /// When that record was appended, by the log's clock.
    pub time: Option<Time>,
    /// Aggregates that are held back.
    pub parked: usize,
}

/// What a policy is doing in one partition.
///
/// ```
/// use retell::react::policies::PolicyState;
/// use serde_json::json;
///
/// let waiting = PolicyState::Waiting { reason: "no broker answers".to_owned() };
/// let shown = json!({"state": "waiting", "reason": "no broker answers"});
/// assert_eq!(serde_json::to_value(waiting)?, shown);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PolicyState {
    /// It was just started, and finds out where it stands.
    #[default]
    Starting,
    /// It is new here, and looks for the first claim of a process that runs it.
    Beginning,
    /// It issues what follows from what is appended.
    Following,
    /// Another process runs it; it waits in case that one stops.
    StandingBy,
    /// Something is in the way.
    Waiting {
        /// What it is.
        reason: String,
    },
    /// A newer binary wrote what this one cannot read.
    NewerEvents {
        /// Which record, and what is newer.
        detail: String,
    },
    /// One more aggregate would have to be held back than may be.
    TooManyParked {
        /// Which, and why.
        detail: String,
    },
    /// It has run before, and nobody knows how far: a person must say where it goes on.
    Lost {
        /// Since when it has run.
        detail: String,
    },
}

/// How far a runner has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    pub(super) state: PolicyState,
    pub(super) next: Offset,
    pub(super) time: Option<Time>,
    pub(super) held: Arc<HeldMap>,
}

impl Progress {
    pub(super) fn of(&self, partition: Partition) -> PolicyPartition {
        let Self { state, next, time, held } = self;
        let (state, parked) = (state.clone(), held.len());
        PolicyPartition { partition, next: *next, state, time: *time, parked }
    }
}
