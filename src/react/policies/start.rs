//! Puts the runners together, and the handle to them.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::config::{PoliciesConfig, ReadConfig};
use crate::contract::Partition;
use crate::gate::Gate;
use crate::log::Checks;
use crate::ports::{Bookmarks, EventLog, Ids, LogOrigin, ViewStore};
use crate::read::{ParkedSequence, Reading};
use crate::shutdown::Shutdown;
use crate::write::Commands;

use super::any_policy::Policies;
use super::issuing::Issuer;
use super::past::Past;
use super::requests::{REQUESTS_LEN_MAX, Request};
use super::runner::{Parts, Runner};
use super::status::{PolicyStatus, Progress};

/// What the runners are made of.
pub(crate) struct PolicyParts {
    /// The policies.
    pub(crate) policies: Policies,
    /// The log.
    pub(crate) log: Arc<dyn EventLog>,
    /// Where checkpoints are.
    pub(crate) store: Arc<dyn ViewStore>,
    /// Where bookmarks are.
    pub(crate) bookmarks: Arc<dyn Bookmarks>,
    /// Open when log and store may be used.
    pub(crate) gates: [Gate; 2],
    /// Takes the commands.
    pub(crate) commands: Commands,
    /// Has the feeds, and knows the past.
    pub(crate) reading: Reading,
    /// The time, and a little chance.
    pub(crate) ids: Ids,
    /// The settings.
    pub(crate) config: PoliciesConfig,
    /// The settings of whoever reads the log.
    pub(crate) read: ReadConfig,
}

/// The handle to all runners. Cheap to clone.
///
/// ```
/// use retell::app::App;
/// # use retell::doc::{CellarIsDark, Light};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).policy(CellarIsDark).build().await?;
/// assert_eq!(app.policies().list()[0].name, "cellar-is-dark");
/// assert!(app.policies().parked().is_empty());
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct Reacting(pub(super) Arc<Vec<Entry>>);

/// A policy, and its runners by partition.
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) runners: Vec<RunnerHandle>,
}

/// What others hold of a runner.
pub(super) struct RunnerHandle {
    pub(super) progress: watch::Receiver<Progress>,
    pub(super) requests: mpsc::Sender<Request>,
}

/// Starts a runner for each policy and partition; they run until `shutdown`, in `tasks`.
pub(crate) fn start(parts: PolicyParts, shutdown: &Shutdown, tasks: &mut JoinSet<()>) -> Reacting {
    let mut entries = Vec::new();
    for policy in parts.policies.iter() {
        let mut runners = Vec::new();
        for (partition, feed) in parts.log.partitions().iter().zip(&parts.reading.feeds) {
            let (progress, receiver) = watch::channel(Progress::default());
            let past = Past {
                views: parts.reading.views.clone(),
                commands: parts.commands.clone(),
                log: parts.log.clone(),
                ids: parts.ids.clone(),
            };
            let issuer = Issuer {
                policy: policy.clone(),
                sources: policy.sources().iter().copied().collect(),
                partition,
                commands: parts.commands.clone(),
                past,
                ids: parts.ids.clone(),
                config: parts.config.clone(),
                progress: progress.clone(),
            };
            let (sender, requests) = mpsc::channel(REQUESTS_LEN_MAX);
            let parts = Parts {
                partition,
                log: parts.log.clone(),
                store: parts.store.clone(),
                bookmarks: parts.bookmarks.clone(),
                gates: parts.gates.clone(),
                feed: feed.clone(),
                origin: LogOrigin::new(parts.log.clone(), partition, Checks::default()),
                issuer: Arc::new(issuer),
                progress,
                ids: parts.ids.clone(),
                config: parts.config.clone(),
                read: parts.read.clone(),
            };
            tasks.spawn(Runner::new(parts, requests).run(shutdown.clone()));
            runners.push(RunnerHandle { progress: receiver, requests: sender });
        }
        entries.push(Entry { name: policy.name().as_str(), runners });
    }
    Reacting(Arc::new(entries))
}

impl Reacting {
    /// Every policy and where it stands.
    #[must_use]
    pub fn list(&self) -> Vec<PolicyStatus> {
        let status = |entry: &Entry| PolicyStatus {
            name: entry.name,
            partitions: entry.runners().map(|(it, progress)| progress.of(it)).collect(),
        };
        self.0.iter().map(status).collect()
    }

    /// Everything that is held back, by policy.
    #[must_use]
    pub fn parked(&self) -> Vec<ParkedSequence> {
        let mut all = Vec::new();
        for entry in self.0.iter() {
            let name = format!("policy.{}", entry.name);
            for (_, progress) in entry.runners() {
                let held = progress.held.iter();
                all.extend(held.map(|(target, it)| it.parked.shown(name.clone(), target)));
            }
        }
        all
    }
}

impl Entry {
    pub(super) fn runners(&self) -> impl Iterator<Item = (Partition, Progress)> + '_ {
        (0..).map(Partition).zip(self.runners.iter().map(|runner| runner.progress.borrow().clone()))
    }
}
