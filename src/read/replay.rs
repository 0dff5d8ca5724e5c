//! Replays: a new generation of views, built from the beginning of the log beside the live one.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::watch;
use uuid::Uuid;

use crate::contract::Time;
use crate::ports::{Ids, Order};

use super::comparison::Compared;
use super::jobs::{Job, Jobs, Part};
use super::rate::Rate;
use super::requests::{Queues, Request};

/// Starts replays and tells of them. Cheap to clone.
///
/// ```
/// use retell::{app::App, read::{ReplayOptions, ReplayState}};
/// # use retell::doc::{Light, Lights};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).projection(Lights).build().await?;
/// app.ready().await;
/// let mut changes = app.replays().changes();
/// let id = app.replays().start(Some("lights"), ReplayOptions::default())?;
/// while !app.replays().get(id).is_some_and(|it| it.state.is_final()) {
///     changes.changed().await?;
/// }
/// assert_eq!(app.replays().list()[0].state, ReplayState::Done);
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone)]
pub struct Replays {
    jobs: Jobs<ReplayPart>,
    queues: Queues,
}

/// How a replay is done.
///
/// ```
/// use std::num::NonZeroU32;
///
/// use retell::{app::App, read::ReplayOptions};
/// # use retell::doc::{Light, Lights};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).projection(Lights).build().await?;
/// app.ready().await;
/// let slowly = ReplayOptions { records_per_second: NonZeroU32::new(500), require_equal: true };
/// let id = app.replays().start(None, slowly)?;
/// let status = app.replays().get(id).expect("it began");
/// assert!(status.require_equal && status.records_per_second == NonZeroU32::new(500));
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplayOptions {
    /// The most records that it reads, and views that it compares, in a second, over all
    /// partitions and projections, until it has come to where the live views were, or the log
    /// ended, when it began.
    pub records_per_second: Option<NonZeroU32>,
    /// Whether it stops before the flip when a view differs.
    pub require_equal: bool,
}

/// One projection's part of a replay.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ReplayPart {
    pub(super) state: ReplayState,
    pub(super) records: u64,
    pub(super) records_total: u64,
    pub(super) compared: Compared,
}

/// What all parts of a replay have in common.
#[derive(Clone)]
pub(super) struct Terms {
    options: ReplayOptions,
    rate: Option<Rate>,
}

/// Where a replay stands.
///
/// ```
/// use retell::{app::App, read::ReplayOptions};
/// # use retell::doc::{Light, Lights};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).projection(Lights).build().await?;
/// app.ready().await;
/// let id = app.replays().start(Some("lights"), ReplayOptions::default())?;
/// let status = app.replays().get(id).expect("it began");
/// assert_eq!((status.id, status.projections), (id, vec!["lights"]));
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug, JsonSchema, Serialize)]
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
    /// The most that it reads in a second.
    pub records_per_second: Option<NonZeroU32>,
    /// Whether it stops before the flip when a view differs.
    pub require_equal: bool,
    /// The new views beside the live ones.
    pub compared: Compared,
    /// When it began.
    pub started_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
}

/// How a replay stands.
///
/// ```
/// use retell::read::ReplayState;
///
/// // It waits for somebody who flips or cancels it.
/// assert!(!ReplayState::Differs.is_final() && ReplayState::Cancelled.is_final());
/// assert_eq!(serde_json::to_value(ReplayState::Differs)?["state"], "differs");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ReplayState {
    /// It reads the log, or compares.
    Running,
    /// Views differ, and it was asked to stop then: it follows the log, and waits to be flipped
    /// or cancelled.
    Differs,
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

/// Why a replay was not started, or not flipped.
///
/// ```
/// use retell::{app::App, read::{ReplayError, ReplayOptions}};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().build().await?;
/// let started = app.replays().start(Some("lamps"), ReplayOptions::default());
/// let error = started.expect_err("there are no lamps");
/// assert!(matches!(&error, ReplayError::UnknownProjection(name) if name == "lamps"));
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// There is no such projection.
    #[error("there is no projection `{0}`")]
    UnknownProjection(String),
    /// One of the projections is being replayed already.
    #[error("replay {0} is running")]
    Running(Uuid),
    /// It has not stopped on a difference.
    #[error("replay {0} does not wait for a flip")]
    NotWaiting(Uuid),
}

impl Replays {
    pub(super) fn new(ids: Ids, queues: Queues) -> Self {
        Self { jobs: Jobs::new(ids), queues }
    }

    /// Starts a replay of one projection, or of all.
    ///
    /// # Errors
    /// See [`ReplayError`].
    pub fn start(
        &self,
        projection: Option<&str>,
        options: ReplayOptions,
    ) -> Result<Uuid, ReplayError> {
        let names = self.queues.names(projection);
        if let (Some(name), []) = (projection, &names[..]) {
            return Err(ReplayError::UnknownProjection(name.to_owned()));
        }
        let id = self.begin(&names, options)?;
        for name in names {
            if !self.queues.try_ask(name, Request::Replay(id)) {
                let error = "too much is asked of the projection at once".to_owned();
                let state = ReplayState::Failed { error };
                self.update(id, name, ReplayPart { state, ..ReplayPart::default() });
            }
        }
        Ok(id)
    }

    /// Where a replay stands.
    #[must_use]
    pub fn get(&self, id: Uuid) -> Option<ReplayStatus> {
        self.jobs.get(id, status)
    }

    /// The latest replays, the newest first.
    #[must_use]
    pub fn list(&self) -> Vec<ReplayStatus> {
        self.jobs.list(status)
    }

    /// Is told of every change to any replay.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.jobs.changes()
    }

    /// Stops a replay that runs; the generation that is live stays live. It ends soon after.
    #[must_use]
    pub fn cancel(&self, id: Uuid) -> Option<ReplayStatus> {
        let status = self.get(id)?;
        self.ask_all(&status, Request::CancelReplay);
        Some(status)
    }

    /// Makes live what a replay has built that stopped because views differ. It ends soon after.
    ///
    /// # Errors
    /// See [`ReplayError`]; nothing when no replay of this id is remembered.
    pub fn flip(&self, id: Uuid) -> Result<Option<ReplayStatus>, ReplayError> {
        let Some(status) = self.get(id) else { return Ok(None) };
        let waits = |part: &ReplayPart| part.state == ReplayState::Differs;
        let waits = self.jobs.get(id, |job| job.parts.values().any(waits));
        if waits != Some(true) {
            return Err(ReplayError::NotWaiting(id));
        }
        self.ask_all(&status, Request::Flip);
        Ok(Some(status))
    }

    /// Notes a replay of these projections, unless one of them is being replayed.
    pub(super) fn begin(
        &self,
        names: &[&'static str],
        options: ReplayOptions,
    ) -> Result<Uuid, ReplayError> {
        let begun = self.jobs.begin(names, Terms::new(options), &ReplayPart::default());
        begun.map_err(ReplayError::Running)
    }

    /// Notes a replay that another process began, or an earlier one.
    pub(super) fn join(&self, order: &Order, name: &'static str) {
        let options = ReplayOptions {
            records_per_second: order.records_per_second,
            require_equal: order.require_equal,
        };
        let (part, terms) = (ReplayPart::default(), Terms::new(options));
        self.jobs.join(order.replay, order.started_at, terms, name, part);
    }

    /// What a supervisor is to do under this replay.
    pub(super) fn order(&self, id: Uuid) -> Option<Order> {
        self.jobs.get(id, |job| Order {
            replay: id,
            started_at: job.started_at,
            records_per_second: job.terms.options.records_per_second,
            require_equal: job.terms.options.require_equal,
            cancelled: false,
            lease: None,
        })
    }

    /// What all lanes of this replay share.
    pub(super) fn rate(&self, id: Uuid) -> Option<Rate> {
        self.jobs.get(id, |job| job.terms.rate.clone()).flatten()
    }

    pub(super) fn update(&self, id: Uuid, name: &'static str, part: ReplayPart) {
        self.jobs.update(id, name, part);
    }

    /// Notes that a projection's part is over, as far as it had come.
    pub(super) fn end(&self, id: Uuid, name: &'static str, state: ReplayState) {
        let part = self.jobs.get(id, |job| job.parts.get(name).cloned()).flatten();
        self.update(id, name, ReplayPart { state, ..part.unwrap_or_default() });
    }

    fn ask_all(&self, status: &ReplayStatus, request: fn(Uuid) -> Request) {
        for name in &status.projections {
            // A full queue is told by a state that does not change: whoever looks asks again.
            self.queues.try_ask(name, request(status.id));
        }
    }
}

impl Terms {
    fn new(options: ReplayOptions) -> Self {
        Self { options, rate: options.records_per_second.map(Rate::new) }
    }
}

impl Part for ReplayPart {
    type Terms = Terms;

    fn is_final(&self) -> bool {
        self.state.is_final()
    }
}

impl Default for ReplayPart {
    fn default() -> Self {
        let (state, compared) = (ReplayState::Running, Compared::default());
        Self { state, records: 0, records_total: 0, compared }
    }
}

impl ReplayState {
    /// Whether it will not change any more.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        !matches!(self, Self::Running | Self::Differs)
    }
}

fn status(job: &Job<ReplayPart>) -> ReplayStatus {
    let parts = || job.parts.values();
    ReplayStatus {
        id: job.id,
        projections: job.parts.keys().copied().collect(),
        state: state(job),
        records: parts().map(|part| part.records).sum(),
        records_total: parts().map(|part| part.records_total).sum(),
        records_per_second: job.terms.options.records_per_second,
        require_equal: job.terms.options.require_equal,
        compared: parts()
            .map(|part| part.compared.clone())
            .fold(Compared::default(), Compared::and),
        started_at: job.started_at,
        ended_at: job.ended_at,
    }
}

/// Running while a part runs; then the worst that happened to a part.
fn state(job: &Job<ReplayPart>) -> ReplayState {
    let states = || job.parts.values().map(|part| &part.state);
    let any = |wanted: &ReplayState| states().any(|state| state == wanted);
    let failed = states().find(|state| matches!(state, ReplayState::Failed { .. }));
    if any(&ReplayState::Running) {
        ReplayState::Running
    } else if any(&ReplayState::Differs) {
        ReplayState::Differs
    } else if let Some(failed) = failed {
        failed.clone()
    } else if any(&ReplayState::Cancelled) {
        ReplayState::Cancelled
    } else {
        ReplayState::Done
    }
}
