//! Puts the read loop together: feeds, supervisors, and the handles to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::config::{HistoryConfig, ReadConfig, ReplayConfig, StreamsConfig, VerifyConfig};
use crate::gate::Gate;
use crate::log::{Checks, Partitions};
use crate::ports::{Bookmarks, EventLog, Ids, LogOrigin, Tails, ViewStore};
use crate::shutdown::Shutdown;

use super::any_projection::Projections;
use super::ends::Ends;
use super::feed::Feed;
use super::group_offsets::note_offsets;
use super::looks::Looks;
use super::operations::Operations;
use super::pace::Pace;
use super::past::Records;
use super::queries::{Inner, Views};
use super::recent_lag::RecentLag;
use super::replay::Replays;
use super::requests::Queues;
use super::streams::Streams;
use super::supervisor::{Published, Shared, Supervisor};
use super::verification::Verifications;

/// What the read loop is made of.
///
/// ```
/// # use std::sync::Arc;
/// # use retell::adapters::{SystemClock, memory::{MemoryLog, MemoryViews}};
/// # use retell::config::Config;
/// # use retell::gate::{Gate, GateState};
/// # use retell::log::{Checks, Partitions};
/// # use retell::ports::{Ids, Tails};
/// use retell::read::{self, History, Projections, ReadParts};
/// # #[tokio::main] async fn main() {
/// # let (clock, gate, config) = (Arc::new(SystemClock), Gate::default(), Config::defaults());
/// # let (partitions, ids) = (Partitions::new(4).expect("some"), Ids::new(clock.clone()));
/// gate.set(GateState::Open);
/// let mut projections = Projections::default();
/// projections.add(Arc::new(History::new(vec!["light"]))).expect("it is the first");
/// let parts = ReadParts {
///     log: Arc::new(MemoryLog::new(partitions, clock.clone())),
///     store: Arc::new(MemoryViews::new(clock)),
///     log_gate: gate.clone(),
///     store_gate: gate,
///     bookmarks: None,
///     projections,
///     instance: ids.next(),
///     ids,
///     node: "a".to_owned(),
///     read: config.read,
///     replay: config.replay,
///     history: config.history,
///     streams: config.streams,
///     verify: config.verify,
///     tails: Tails::new(partitions),
/// #     checks: Checks::default(),
///     builds_on: tokio::runtime::Handle::current(),
/// };
/// let (stop, mut tasks) = Default::default();
/// let reading = read::start(parts, &stop, &mut tasks);
/// assert_eq!(reading.views.list()[0].name, "history");
/// # }
/// ```
pub struct ReadParts {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// Where views are.
    pub store: Arc<dyn ViewStore>,
    /// Opens when the log may be read.
    pub log_gate: Gate,
    /// Opens when the store may be trusted.
    pub store_gate: Gate,
    /// Where it is noted how far the projections are, for others to see.
    pub bookmarks: Option<Arc<dyn Bookmarks>>,
    /// The projections.
    pub projections: Projections,
    /// Where new ids come from.
    pub ids: Ids,
    /// The name of this node.
    pub node: String,
    /// This process: new for each life of the node.
    pub instance: Uuid,
    /// The settings of lanes.
    pub read: ReadConfig,
    /// The settings of replays.
    pub replay: ReplayConfig,
    /// The settings of what looks back.
    pub history: HistoryConfig,
    /// The settings of event streams.
    pub streams: StreamsConfig,
    /// The settings of verifications.
    pub verify: VerifyConfig,
    /// The newest records, from the writers in this process.
    pub tails: Tails,
    /// Where generations are built.
    pub builds_on: Handle,
    /// All, unless a test leaves one out.
    #[doc(hidden)]
    pub checks: Checks,
}

/// The handles to the read loop. Cheap to clone.
///
/// ```
/// # use std::sync::Arc;
/// # use retell::adapters::{SystemClock, memory::{MemoryLog, MemoryViews}};
/// # use retell::config::Config;
/// # use retell::gate::Gate;
/// # use retell::log::{Checks, Partitions};
/// # use retell::ports::{Ids, Tails};
/// use retell::read::{self, Projections, ReadParts, Reading, ReplayError, ReplayOptions};
/// # #[tokio::main] async fn main() {
/// # let (clock, gate, config) = (Arc::new(SystemClock), Gate::default(), Config::defaults());
/// # let (partitions, ids) = (Partitions::new(4).expect("some"), Ids::new(clock.clone()));
/// # let parts = ReadParts {
/// #     log: Arc::new(MemoryLog::new(partitions, clock.clone())),
/// #     store: Arc::new(MemoryViews::new(clock)),
/// #     log_gate: gate.clone(),
/// #     store_gate: gate,
/// #     bookmarks: None,
/// #     projections: Projections::default(),
/// #     instance: ids.next(),
/// #     ids,
/// #     node: "a".to_owned(),
/// #     read: config.read,
/// #     replay: config.replay,
/// #     history: config.history,
/// #     streams: config.streams,
/// #     verify: config.verify,
/// #     tails: Tails::new(partitions),
/// #     builds_on: tokio::runtime::Handle::current(),
/// #     checks: Checks::default(),
/// # };
/// # let (stop, mut tasks) = Default::default();
/// let Reading { views, replays, .. } = read::start(parts, &stop, &mut tasks);
/// assert!(views.list().is_empty(), "there is no projection");
/// let started = replays.start(Some("lights"), ReplayOptions::default());
/// assert!(matches!(started, Err(ReplayError::UnknownProjection(_))));
/// # }
/// ```
#[derive(Clone)]
pub struct Reading {
    /// Answers queries.
    pub views: Views,
    /// Starts replays.
    pub replays: Replays,
    /// Starts verifications.
    pub verifications: Verifications,
    /// Pauses, resumes and rolls back.
    pub operations: Operations,
    /// The shared reader of each partition, for others who follow the log.
    pub(crate) feeds: Vec<Feed>,
}

/// Starts everything; it runs until `shutdown`, in `tasks`.
pub fn start(parts: ReadParts, shutdown: &Shutdown, tasks: &mut JoinSet<()>) -> Reading {
    let ReadParts {
        log,
        store,
        log_gate,
        store_gate,
        bookmarks,
        projections,
        ids,
        node,
        instance,
        read,
        replay,
        history,
        streams,
        verify,
        tails,
        builds_on,
        checks,
    } = parts;
    let partitions = log.partitions();
    let feeds = feeds(&log, &tails, &read, shutdown, tasks);
    let streams = Streams::start(log.clone(), &feeds, streams, shutdown, tasks);
    let ends = Ends::new(partitions);
    tasks.spawn(ends.clone().run(log.clone(), shutdown.clone()));
    let paces = feeds.iter().map(Feed::pace).collect();
    let lingers = lingers(&projections, partitions, &read, &history);
    let shared = Arc::new(Shared {
        log: log.clone(),
        store: store.clone(),
        gates: [log_gate, store_gate.clone()],
        ids: ids.clone(),
        node,
        instance,
        feeds: feeds.clone(),
        builds_on,
        lingers: lingers.clone(),
        origins: partitions.iter().map(|p| LogOrigin::new(log.clone(), p, checks)).collect(),
        projections: projections.iter().count(),
        read,
        replay,
        verify,
        checks,
    });
    let (queues, requests) = Queues::new(projections.iter().map(|it| it.name().as_str()));
    let replays = Replays::new(ids.clone(), queues.clone());
    let verifications = Verifications::new(ids, queues.clone());
    let mut entries = BTreeMap::new();
    for (projection, requests) in projections.iter().zip(requests) {
        let published = Published::new();
        let name = projection.name().as_str();
        entries.insert(name, published.entry(projection.clone(), lingers[name].clone()));
        let jobs = (replays.clone(), verifications.clone());
        let supervisor =
            Supervisor::new(shared.clone(), projection.clone(), jobs, requests, published);
        tasks.spawn(supervisor.run(shutdown.clone()));
    }
    let (records, recent_lag) = (Records::new(log.clone(), history), RecentLag::new(partitions));
    let sampling = recent_lag.clone();
    let inner =
        Inner { log, store, store_gate, ends, recent_lag, paces, entries, records, streams };
    let views = Views::new(inner);
    tasks.spawn(sampling.run(views.clone(), shutdown.clone()));
    let interval = shared.read.group_offsets_interval;
    tasks.spawn(note_offsets(views.clone(), bookmarks, interval, shutdown.clone()));
    Reading { views, replays, verifications, operations: Operations::new(queues), feeds }
}

/// The shared reader of each partition. They run until `shutdown`, in `tasks`.
fn feeds(
    log: &Arc<dyn EventLog>,
    tails: &Tails,
    read: &ReadConfig,
    shutdown: &Shutdown,
    tasks: &mut JoinSet<()>,
) -> Vec<Feed> {
    let looks = Looks::begin();
    let feed = |partition| Feed::new(log.clone(), tails.of(partition), partition, read, looks);
    let feeds: Vec<Feed> = log.partitions().iter().map(feed).collect();
    for feed in &feeds {
        tasks.spawn(feed.clone().run(shutdown.clone()));
    }
    feeds
}

/// The paces of the lanes of each projection.
fn lingers(
    projections: &Projections,
    partitions: Partitions,
    read: &ReadConfig,
    history: &HistoryConfig,
) -> BTreeMap<&'static str, Vec<Pace>> {
    let mut lingers = BTreeMap::new();
    for projection in projections.iter() {
        let interval = if projection.reads_records() {
            history.commit_interval
        } else {
            read.busy_commit_interval
        };
        let paces = partitions.iter().map(|_| Pace::new(interval)).collect();
        lingers.insert(projection.name().as_str(), paces);
    }
    lingers
}
