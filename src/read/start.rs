//! Puts the read loop together: feeds, supervisors, and the handles to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::config::{HistoryConfig, ReadConfig, ReplayConfig, StreamsConfig};
use crate::gate::Gate;
use crate::log::Checks;
use crate::ports::{EventLog, Ids, LogOrigin, Tails, ViewStore};
use crate::shutdown::Shutdown;

use super::any_projection::Projections;
use super::ends::Ends;
use super::feed::Feed;
use super::pace::Pace;
use super::past::Records;
use super::queries::{Entry, Inner, Views};
use super::replay::Replays;
use super::streams::{Hub, Streams};
use super::supervisor::{Published, Shared, Supervisor};

/// Requests that may wait for a supervisor.
const REQUESTS_LEN_MAX: usize = 16;

/// What the read loop is made of.
pub struct ReadParts {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// Where views are.
    pub store: Arc<dyn ViewStore>,
    /// Opens when the log may be read.
    pub log_gate: Gate,
    /// Opens when the store may be trusted.
    pub store_gate: Gate,
    /// The projections.
    pub projections: Projections,
    /// Where new ids come from.
    pub ids: Ids,
    /// The settings of lanes.
    pub read: ReadConfig,
    /// The settings of replays.
    pub replay: ReplayConfig,
    /// The settings of what looks back.
    pub history: HistoryConfig,
    /// The settings of event streams.
    pub streams: StreamsConfig,
    /// The newest records, from the writers in this process.
    pub tails: Tails,
    /// All, unless a test leaves one out.
    #[doc(hidden)]
    pub checks: Checks,
}

/// Starts everything; it runs until `shutdown`, in `tasks`.
pub fn start(parts: ReadParts, shutdown: &Shutdown, tasks: &mut JoinSet<()>) -> (Views, Replays) {
    let ReadParts {
        log,
        store,
        log_gate,
        store_gate,
        projections,
        ids,
        read,
        replay,
        history,
        streams,
        tails,
        checks,
    } = parts;
    let partitions = log.partitions();
    let feed = |partition| Feed::new(log.clone(), tails.of(partition), partition, &read);
    let feeds: Vec<Feed> = partitions.iter().map(feed).collect();
    for feed in &feeds {
        tasks.spawn(feed.clone().run(shutdown.clone()));
    }
    let hub = Hub::new(log.clone(), feeds.clone());
    for partition in partitions.iter() {
        tasks.spawn(hub.clone().run(partition, shutdown.clone()));
    }
    let streams = Streams::new(hub, streams);
    let ends = Ends::new(partitions);
    tasks.spawn(ends.clone().run(log.clone(), shutdown.clone()));
    let paces = feeds.iter().map(Feed::pace).collect();
    let linger = |_| Pace::new(history.commit_interval);
    let lingering = projections.iter().filter(|projection| projection.reads_records());
    let lingers: BTreeMap<&'static str, Vec<Pace>> = lingering
        .map(|projection| (projection.name().as_str(), partitions.iter().map(linger).collect()))
        .collect();
    let shared = Arc::new(Shared {
        log: log.clone(),
        store: store.clone(),
        gates: [log_gate, store_gate.clone()],
        ids: ids.clone(),
        feeds,
        lingers: lingers.clone(),
        origins: partitions.iter().map(|p| LogOrigin::new(log.clone(), p, checks)).collect(),
        projections: projections.iter().count(),
        read,
        replay,
        checks,
    });
    let mut queues = BTreeMap::new();
    let mut entries = BTreeMap::new();
    let mut waiting = Vec::new();
    for projection in projections.iter() {
        let name = projection.name().as_str();
        let (queue, requests) = mpsc::channel(REQUESTS_LEN_MAX);
        let (published, live) = watch::channel(None);
        let (told, blocked) = watch::channel(None);
        queues.insert(name, queue);
        let lingers = lingers.get(name).cloned().unwrap_or_default();
        entries.insert(name, Entry { projection: projection.clone(), live, blocked, lingers });
        waiting.push((projection.clone(), requests, Published { live: published, blocked: told }));
    }
    let replays = Replays::new(ids, queues);
    for (projection, requests, published) in waiting {
        let supervisor =
            Supervisor::new(shared.clone(), projection, replays.clone(), requests, published);
        tasks.spawn(supervisor.run(shutdown.clone()));
    }
    let paused = shared.read.paused.clone();
    let records = Records::new(log.clone(), history);
    let inner = Inner { log, store, store_gate, ends, paces, entries, paused, records, streams };
    (Views::new(inner), replays)
}
