//! Verifications: the log is folded into a hidden generation, and every live view compared with
//! it as of the same position, while the service serves.

use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::watch;
use uuid::Uuid;

use crate::contract::Time;
use crate::ports::Ids;

use super::comparison::Compared;
use super::jobs::{Job, Jobs, Part};
use super::parked::ParkedSequence;
use super::requests::{Queues, Request};

/// Starts verifications and tells of them. Cheap to clone.
///
/// ```
/// use retell::{app::App, read::VerificationState};
/// # use retell::doc::{Light, Lights};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).projection(Lights).build().await?;
/// app.ready().await;
/// let mut changes = app.verifications().changes();
/// let id = app.verifications().start(Some("lights"))?;
/// while !app.verifications().get(id).is_some_and(|it| it.state.is_final()) {
///     changes.changed().await?;
/// }
/// assert_eq!(app.verifications().list()[0].state, VerificationState::Equal);
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone)]
pub struct Verifications {
    jobs: Jobs<VerificationPart>,
    queues: Queues,
}

/// One projection's part of a verification.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct VerificationPart {
    pub(super) state: VerificationState,
    pub(super) records: u64,
    pub(super) records_total: u64,
    pub(super) compared: Compared,
    pub(super) parked: Vec<ParkedSequence>,
}

/// Where a verification stands.
///
/// ```
/// use retell::app::App;
/// # use retell::doc::{Light, Lights};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).projection(Lights).build().await?;
/// app.ready().await;
/// let id = app.verifications().start(Some("lights"))?;
/// let status = app.verifications().get(id).expect("it began");
/// assert_eq!((status.id, status.projections), (id, vec!["lights"]));
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct VerificationStatus {
    /// Its id.
    pub id: Uuid,
    /// What it verifies.
    pub projections: Vec<&'static str>,
    /// How it stands.
    #[serde(flatten)]
    pub state: VerificationState,
    /// Records folded so far, over all partitions and projections.
    pub records: u64,
    /// Records to fold, as far as was known when it began.
    pub records_total: u64,
    /// The live views beside those of the log.
    pub compared: Compared,
    /// What the live views hold back: such views are put aside, and not compared.
    pub parked: Vec<ParkedSequence>,
    /// When it began.
    pub started_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
}

/// How a verification stands.
///
/// ```
/// use retell::read::VerificationState;
///
/// assert!(!VerificationState::Running.is_final() && VerificationState::Differs.is_final());
/// assert_eq!(serde_json::to_value(VerificationState::Equal)?["state"], "equal");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum VerificationState {
    /// It folds the log, or compares.
    Running,
    /// Every live view is what the log makes of it.
    Equal,
    /// Some are not.
    Differs,
    /// It was stopped.
    Cancelled,
    /// It could not go on.
    Failed {
        /// Why.
        error: String,
    },
}

/// Why a verification was not started.
///
/// ```
/// use retell::{app::App, read::VerificationError};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().build().await?;
/// let error = app.verifications().start(Some("lamps")).expect_err("there are no lamps");
/// assert!(matches!(error, VerificationError::UnknownProjection(_)));
/// assert_eq!(error.to_string(), "there is no projection `lamps`");
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerificationError {
    /// There is no such projection.
    #[error("there is no projection `{0}`")]
    UnknownProjection(String),
    /// One of the projections is being verified already.
    #[error("verification {0} is running")]
    Running(Uuid),
}

impl Verifications {
    pub(super) fn new(ids: Ids, queues: Queues) -> Self {
        Self { jobs: Jobs::new(ids), queues }
    }

    /// Starts a verification of one projection, or of all.
    ///
    /// # Errors
    /// See [`VerificationError`].
    pub fn start(&self, projection: Option<&str>) -> Result<Uuid, VerificationError> {
        let names = self.queues.names(projection);
        if let (Some(name), []) = (projection, &names[..]) {
            return Err(VerificationError::UnknownProjection(name.to_owned()));
        }
        let begun = self.jobs.begin(&names, (), &VerificationPart::default());
        let id = begun.map_err(VerificationError::Running)?;
        for name in names {
            if !self.queues.try_ask(name, Request::Verify(id)) {
                let error = "too much is asked of the projection at once".to_owned();
                self.end(id, name, VerificationState::Failed { error });
            }
        }
        Ok(id)
    }

    /// Where a verification stands.
    #[must_use]
    pub fn get(&self, id: Uuid) -> Option<VerificationStatus> {
        self.jobs.get(id, status)
    }

    /// The latest verifications, the newest first.
    #[must_use]
    pub fn list(&self) -> Vec<VerificationStatus> {
        self.jobs.list(status)
    }

    /// Is told of every change to any verification.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.jobs.changes()
    }

    /// Stops a verification that runs. It ends soon after.
    #[must_use]
    pub fn cancel(&self, id: Uuid) -> Option<VerificationStatus> {
        let status = self.get(id)?;
        for name in &status.projections {
            // A full queue is told by a state that does not change: whoever looks asks again.
            self.queues.try_ask(name, Request::CancelVerification(id));
        }
        Some(status)
    }

    pub(super) fn update(&self, id: Uuid, name: &'static str, part: VerificationPart) {
        self.jobs.update(id, name, part);
    }

    /// Notes that a projection's part is over, as far as it had come.
    pub(super) fn end(&self, id: Uuid, name: &'static str, state: VerificationState) {
        let part = self.jobs.get(id, |job| job.parts.get(name).cloned()).flatten();
        self.update(id, name, VerificationPart { state, ..part.unwrap_or_default() });
    }
}

impl Part for VerificationPart {
    type Terms = ();

    fn is_final(&self) -> bool {
        self.state.is_final()
    }
}

impl Default for VerificationPart {
    fn default() -> Self {
        Self {
            state: VerificationState::Running,
            records: 0,
            records_total: 0,
            compared: Compared::default(),
            parked: Vec::new(),
        }
    }
}

impl VerificationState {
    /// Whether it will not change any more.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        !matches!(self, Self::Running)
    }
}

fn status(job: &Job<VerificationPart>) -> VerificationStatus {
    let parts = || job.parts.values();
    VerificationStatus {
        id: job.id,
        projections: job.parts.keys().copied().collect(),
        state: state(job),
        records: parts().map(|part| part.records).sum(),
        records_total: parts().map(|part| part.records_total).sum(),
        compared: parts()
            .map(|part| part.compared.clone())
            .fold(Compared::default(), Compared::and),
        parked: parts().flat_map(|part| part.parked.clone()).collect(),
        started_at: job.started_at,
        ended_at: job.ended_at,
    }
}

/// Running while a part runs; then the worst that was found of a part.
fn state(job: &Job<VerificationPart>) -> VerificationState {
    let states = || job.parts.values().map(|part| &part.state);
    let any = |wanted: &VerificationState| states().any(|state| state == wanted);
    let failed = states().find(|state| matches!(state, VerificationState::Failed { .. }));
    if any(&VerificationState::Running) {
        VerificationState::Running
    } else if any(&VerificationState::Differs) {
        VerificationState::Differs
    } else if let Some(failed) = failed {
        failed.clone()
    } else if any(&VerificationState::Cancelled) {
        VerificationState::Cancelled
    } else {
        VerificationState::Equal
    }
}
