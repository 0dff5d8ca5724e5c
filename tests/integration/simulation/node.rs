//! A process: the write loop and the read loop over the faulty log and store.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use retell::adapters::memory::MemoryViews;
use retell::config::{Config, ReadConfig, ReplayConfig, VerifyConfig, WriteConfig};
use retell::gate::{Gate, GateState};
use retell::log::Checks;
use retell::ports::{EventLog, Ids, Tails, ViewStore};
use retell::read::{
    self, Keyed, Merged, Operations, Projections, ReadParts, Reading, Replays, Verifications, Views,
};
use retell::shutdown::Shutdown;
use retell::write::{Commands, Identity, Kinds, WriteParts};
use retell::{LinkedProjection, Name, Partition, Projection};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::counter::{Counter, Tallies, Total};
use super::link::Link;
use super::log::Broker;
use super::store::FaultyViews;
use super::world::World;
use crate::support::writers::kind;

/// How long a caller waits for the outcome of a command.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_millis(800);

/// Reading the defaults takes longer than a history.
static DEFAULTS: LazyLock<Config> = LazyLock::new(Config::defaults);

/// What processes share, and what they are started with.
#[derive(Clone)]
pub(super) struct Cluster {
    pub(super) world: Arc<World>,
    pub(super) broker: Arc<Broker>,
    pub(super) views: MemoryViews,
    pub(super) checks: Checks,
    pub(super) write: WriteConfig,
    pub(super) read: ReadConfig,
    pub(super) replay: ReplayConfig,
    pub(super) verify: VerifyConfig,
    pub(super) partitions: u32,
}

/// A process that runs.
pub(super) struct Node {
    pub(super) name: String,
    pub(super) instance: String,
    pub(super) commands: Commands,
    pub(super) views: Views,
    pub(super) replays: Replays,
    pub(super) verifications: Verifications,
    pub(super) operations: Operations,
    pub(super) link: Arc<Link>,
    /// One query at a time: tokio wakes several waiters of one `watch` in a random order.
    pub(super) is_queried: Arc<AtomicBool>,
    world: Arc<World>,
    stop: Shutdown,
    tasks: JoinSet<()>,
    in_flight_max: usize,
}

impl Cluster {
    /// Limits so small that histories meet them.
    pub(super) fn new(world: Arc<World>, partitions: u32, checks: Checks) -> Self {
        let chance = &world.chance;
        let mut write = DEFAULTS.write.clone();
        write.queue_len_max = 2 + chance.index(8);
        write.in_flight_max = 2 + chance.index(16);
        write.cached_aggregates_max = 1 + chance.index(6);
        write.exact_keys_max = 1 + chance.index(24);
        write.commit_interval = Duration::from_millis(10) + chance.millis(200);
        write.settle_timeout = Duration::from_millis(60) + chance.millis(200);
        write.idle_check_interval = Duration::from_millis(50) + chance.millis(200);
        let mut read = DEFAULTS.read.clone();
        read.chunk_records_max = 1 + chance.index(20);
        read.cached_views_max = 1 + chance.index(6);
        read.kept_bytes_max = [0, 1_000, 100_000][chance.index(3)];
        let mut replay = DEFAULTS.replay.clone();
        replay.memory_bytes_max = 1 + chance.index(8_000);
        replay.keep_previous = Duration::from_millis(200) + chance.millis(2_000);
        replay.drop_keys_max = 1 + chance.index(4);
        replay.takeover_timeout = Duration::from_millis(200) + chance.millis(1_000);
        let mut verify = DEFAULTS.verify.clone();
        if chance.one_in(8) {
            verify.sample_interval = Duration::from_millis(500) + chance.millis(1_000);
        }
        verify.sample_percent = 30;
        let changes_max = 6 + chance.index(20);
        let views = MemoryViews::new(world.clock()).with_changes_max(changes_max);
        let broker = Broker::new(world.clone(), partitions);
        Self { world, broker, views, checks, write, read, verify, replay, partitions }
    }

    /// Starts a process under this name.
    pub(super) fn start(&self, name: &str) -> Node {
        let world = &self.world;
        let ids = Ids::seeded(world.clock(), world.chance.next());
        let (node, own) = (name.to_owned(), ids.next());
        let (address, policies) = (String::new(), Vec::new());
        let identity = Identity { node, instance: own, address, policies };
        let instance = own.to_string();
        let link = Arc::new(Link::new());
        let log = self.broker.seen_through(link.clone());
        let store: Arc<dyn ViewStore> =
            Arc::new(FaultyViews::new(world.clone(), self.views.clone(), link.clone()));
        let (stop, mut tasks) = (Shutdown::default(), JoinSet::new());
        let gate = Gate::default();
        gate.set(GateState::Open);
        let mut kinds = Kinds::default();
        kinds.add(kind::<Counter>(&ids)).expect("one kind");
        let tails = Tails::new(log.partitions());
        let parts = WriteParts {
            tails: tails.clone(),
            log: log.clone(),
            gate: gate.clone(),
            store: store.clone(),
            store_gate: gate.clone(),
            kinds,
            ids: ids.clone(),
            identity,
            config: self.write.clone(),
            request_timeout: REQUEST_TIMEOUT,
            checks: self.checks,
        };
        let commands = Commands::start(parts, &stop, &mut tasks);
        let parts = ReadParts {
            builds_on: Handle::current(),
            tails,
            log,
            store,
            log_gate: gate.clone(),
            store_gate: gate,
            bookmarks: None,
            projections: projections(),
            ids,
            node: name.to_owned(),
            instance: own,
            read: self.read.clone(),
            replay: self.replay.clone(),
            history: DEFAULTS.history.clone(),
            streams: DEFAULTS.streams.clone(),
            verify: self.verify.clone(),
            checks: self.checks,
        };
        let Reading { views, replays, verifications, operations, .. } =
            read::start(parts, &stop, &mut tasks);
        world.note(format_args!("{name} starts as {instance}"));
        Node {
            name: name.to_owned(),
            instance,
            commands,
            views,
            replays,
            verifications,
            operations,
            link,
            is_queried: Arc::new(AtomicBool::new(false)),
            world: world.clone(),
            stop,
            tasks,
            in_flight_max: self.write.in_flight_max,
        }
    }
}

impl Node {
    /// Ends it in the middle of whatever it does.
    pub(super) fn kill(self) {
        self.world.note(format_args!("{} is killed", self.name));
        self.link.cut();
    }

    /// Lets it end in order: it settles what is in flight. That may take long, or for ever: then
    /// it is killed in the end.
    pub(super) fn stop(mut self, patience: Duration) {
        self.world.note(format_args!("{} is stopped", self.name));
        self.world.count("stopped");
        self.stop.request();
        tokio::spawn(async move {
            let ended = async { while self.tasks.join_next().await.is_some() {} };
            let in_time = tokio::time::timeout(patience, ended).await.is_ok();
            self.world.count(if in_time { "stopped in time" } else { "stopped too slowly" });
            self.kill();
        });
    }

    /// Whether it owns every partition.
    pub(super) fn is_owner(&self) -> bool {
        self.commands.status().iter().all(|status| status.ownership.is_owner())
    }

    /// What must be true of a process at any moment.
    pub(super) fn check(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            if ended.is_err_and(|error| error.is_panic()) {
                self.world.violate(&format!("a task of {} panicked", self.name));
            }
        }
        for (at, status) in self.commands.status().into_iter().enumerate() {
            let partition = Partition(u32::try_from(at).expect("few"));
            if let retell::write::Ownership::Owner { term } = status.ownership {
                let truth = self.world.truth();
                let ruler = truth.ledger(partition.0).ruler(term.0).map(str::to_owned);
                drop(truth);
                if ruler.as_ref() != Some(&self.instance) {
                    let name = &self.name;
                    let what = format!("{name} takes term {term} of {partition} for its own");
                    self.world.violate(&format!("L2 {what}, which is that of {ruler:?}"));
                }
            }
            if status.alarms > 0 || status.unreadable > 0 {
                self.world.violate(&format!("L7 {} holds an aggregate back", self.name));
            }
            if status.in_flight > self.in_flight_max {
                self.world.violate(&format!("L8 {} in flight", status.in_flight));
            }
        }
        if let Some(parked) = self.views.parked().first() {
            self.world.violate(&format!("L7 a projection holds back {}", parked.aggregate));
        }
    }

    /// Takes the only place for a query.
    pub(super) fn begin_query(&self) -> bool {
        !self.is_queried.swap(true, Ordering::SeqCst)
    }
}

fn projections() -> Projections {
    let name = |name| Name::new(name).expect("a name");
    let mut all = Projections::default();
    let tallies = Keyed::new(name(Tallies::NAME), Tallies).expect("no flaw");
    all.add(Arc::new(tallies)).expect("names differ");
    all.add(Arc::new(Merged::new(name(Total::NAME), Total))).expect("names differ");
    all
}
