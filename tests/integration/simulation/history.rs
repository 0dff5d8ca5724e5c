//! One history: a seed decides what everybody does and what goes wrong; at its end all is mended,
//! and what is there then must be what the log says.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use retell::adapters::memory::ViewsSnapshot;
use retell::log::{Checks, Partitions};
use retell::read::ReplayOptions;
use retell::{LinkedProjection, Projection};
use tokio::time::sleep;

use crate::support::on_paused_time;

use super::calls::{Callers, Repeat};
use super::chance::Chance;
use super::counter::{CounterCommand, Tallies, Total};
use super::ending;
use super::faults::Faults;
use super::node::{Cluster, Node};
use super::stranger;
use super::world::World;

/// The counters that everybody works on.
pub(super) const COUNTERS: [&str; 3] = ["x", "y", "z"];

/// Names of processes; one of a name may start while another of it still runs.
const NAMES: [&str; 2] = ["a", "b"];

/// What was seen in a history that broke no law.
pub(super) struct Account {
    /// A hash of everything that happened.
    pub(super) fingerprint: u64,
    /// How often what happened.
    pub(super) counts: BTreeMap<&'static str, u64>,
}

/// A law that was broken.
pub(super) struct Violation {
    seed: u64,
    what: String,
    tail: String,
}

/// A history under way.
pub(super) struct History {
    pub(super) cluster: Cluster,
    pub(super) callers: Callers,
    pub(super) nodes: Vec<Node>,
    /// What the view store held at earlier moments.
    snapshots: Vec<ViewsSnapshot>,
    /// What the view store of another log holds.
    foreign: Option<ViewsSnapshot>,
    next_number: u64,
}

/// Lives through the history of this seed.
pub(super) fn run(seed: u64, checks: Checks) -> Result<Account, Box<Violation>> {
    on_paused_time(live(seed, checks))
}

async fn live(seed: u64, checks: Checks) -> Result<Account, Box<Violation>> {
    let chance = Chance::new(seed);
    let faults = Faults::of(&chance);
    let partitions = 1 + u32::from(chance.one_in(2));
    let foreign = match chance.one_in(3) {
        true => Some(foreign_views(&chance, &faults, partitions).await),
        false => None,
    };
    let world = World::new(chance, faults, partitions);
    let mut history = History::new(world.clone(), partitions, checks, foreign);
    let steps = 40 + world.chance.below(80);
    for _ in 0..steps {
        history.step().await;
        history.check();
        if world.violation().is_some() {
            break;
        }
    }
    if world.violation().is_none() {
        ending::settle(&mut history).await;
    }
    match world.violation() {
        None => Ok(Account { fingerprint: world.fingerprint(), counts: world.counts() }),
        Some(what) => Err(Box::new(Violation { seed, what, tail: world.tail() })),
    }
}

/// What a view store holds that serves another log with the same counters.
async fn foreign_views(chance: &Chance, faults: &Faults, partitions: u32) -> ViewsSnapshot {
    let calm = Faults { latency_ms: 1, clock_stands: faults.clock_stands, ..Faults::default() };
    let world = World::new(Chance::new(chance.next()), calm, partitions);
    let mut other = History::new(world.clone(), partitions, Checks::default(), None);
    other.nodes.push(other.cluster.start("foreign"));
    ending::wait_for_owner(&other.nodes[0]).await;
    for _ in 0..=world.chance.below(4) {
        other.command(0);
    }
    sleep(Duration::from_millis(2_500)).await;
    other.cluster.views.snapshot()
}

impl History {
    fn new(
        world: std::sync::Arc<World>,
        partitions: u32,
        checks: Checks,
        foreign: Option<ViewsSnapshot>,
    ) -> Self {
        let cluster = Cluster::new(world.clone(), partitions, checks);
        tokio::spawn(cluster.broker.clone().deliver());
        let partitions = Partitions::new(partitions).expect("at least one");
        let callers = Callers::new(world, partitions);
        Self { cluster, callers, nodes: Vec::new(), snapshots: Vec::new(), foreign, next_number: 1 }
    }

    /// What must be true at any moment.
    pub(super) fn check(&mut self) {
        self.nodes.iter_mut().for_each(Node::check);
    }

    async fn step(&mut self) {
        let world = self.cluster.world.clone();
        if self.nodes.is_empty() {
            return self.start();
        }
        let node = world.chance.index(self.nodes.len());
        match world.chance.below(100) {
            0..40 => self.command(node),
            40..48 => self.row(node),
            48..56 => self.repeat(node),
            56..70 => self.query(node),
            70..74 if self.nodes.len() < 3 => self.start(),
            74..76 => self.nodes.swap_remove(node).kill(),
            76 => self.nodes.swap_remove(node).stop(world.chance.millis(800)),
            77..80 => self.hold(node),
            80..82 => self.go_down(),
            82..86 => self.trouble_views(),
            86..88 => self.operate(node),
            88..91 => stranger::write(&self.cluster),
            91..94 => sleep(world.chance.millis(400)).await,
            _ => sleep(world.chance.millis(30)).await,
        }
        // What is done at once is done in one moment.
        if world.chance.one_in(2) {
            sleep(world.chance.millis(12)).await;
        }
    }

    /// What an operator does with the projections, whatever else goes on.
    fn operate(&self, node: usize) {
        let chance = &self.cluster.world.chance;
        let node = &self.nodes[node];
        let name = *chance.pick(&[Tallies::NAME, Total::NAME]);
        match chance.below(8) {
            0..4 => drop(node.replays.start(None, ReplayOptions::default())),
            4 => drop(node.verifications.start(Some(name))),
            5 | 6 => {
                let (operations, world) = (node.operations.clone(), self.cluster.world.clone());
                tokio::spawn(async move {
                    if operations.roll_back(name).await.is_ok() {
                        world.count("rolled back");
                    }
                });
            }
            _ => {
                let (operations, paused) = (node.operations.clone(), chance.millis(300));
                tokio::spawn(async move {
                    drop(operations.pause(name).await);
                    sleep(paused).await;
                    drop(operations.resume(name).await);
                });
            }
        }
    }

    fn start(&mut self) {
        let name = self.cluster.world.chance.pick(&NAMES);
        self.nodes.push(self.cluster.start(name));
    }

    /// A command, and the number that no other has.
    fn next_command(&mut self) -> (u64, CounterCommand) {
        let chance = &self.cluster.world.chance;
        let number = self.next_number;
        self.next_number += 1;
        let command = match chance.below(10) {
            0..4 => CounterCommand::Raise { number },
            4..7 => CounterCommand::Lower { number },
            7 => CounterCommand::Flicker { number },
            8 => CounterCommand::Ponder { number, ms: chance.below(40) },
            _ => CounterCommand::Look {},
        };
        (number, command)
    }

    /// Some commands, each behind the one before it.
    fn row(&mut self, node: usize) {
        let len = 2 + self.cluster.world.chance.below(4);
        let row = (0..len).map(|_| self.next_command());
        let row = row.map(|(number, command)| (format!("row-{number}"), command)).collect();
        let counter = self.cluster.world.chance.pick(&COUNTERS);
        self.callers.send_row(&self.nodes[node], counter, row);
    }

    pub(super) fn command(&mut self, node: usize) {
        let (number, command) = self.next_command();
        let chance = &self.cluster.world.chance;
        let counter = chance.pick(&COUNTERS);
        // A crowd meets the limits of queues.
        let crowd = if chance.one_in(30) { 12 } else { 1 };
        if chance.one_in(3) {
            let id = format!("key-{number}");
            let repeat = Repeat { counter: (*counter).to_owned(), command, id };
            self.callers.note(repeat.clone());
            for _ in 0..crowd {
                self.callers.send_repeatable(&self.nodes[node], repeat.clone());
            }
            return;
        }
        for _ in 0..crowd {
            self.callers.send(&self.nodes[node], counter, command);
        }
    }

    /// Sends what was sent before, to whichever process.
    fn repeat(&self, node: usize) {
        if let Some(repeat) = self.callers.sent_before() {
            self.callers.send_repeatable(&self.nodes[node], repeat);
        }
    }

    fn query(&self, node: usize) {
        let chance = &self.cluster.world.chance;
        let counter = (!chance.one_in(3)).then(|| *chance.pick(&COUNTERS));
        self.callers.query(&self.nodes[node], counter, chance.millis(400));
    }

    fn hold(&self, node: usize) {
        let (world, node) = (&self.cluster.world, &self.nodes[node]);
        let time = world.chance.millis(600);
        world.note(format_args!("{} is held up for {time:?}", node.name));
        world.count("held up");
        node.link.hold(time);
    }

    fn go_down(&self) {
        let world = &self.cluster.world;
        let time = world.chance.millis(300);
        world.note(format_args!("the log is down for {time:?}"));
        world.count("log down");
        self.cluster.broker.go_down(time);
    }

    /// The view store loses what it has, or gets what it had, or what another had.
    fn trouble_views(&mut self) {
        let (world, views) = (&self.cluster.world, &self.cluster.views);
        match (world.chance.below(8), &self.foreign) {
            (0, Some(foreign)) => {
                world.note(format_args!("the views are those of another log"));
                world.count("foreign views");
                views.restore(foreign);
            }
            (1, _) => {
                world.note(format_args!("the views are emptied"));
                world.count("emptied views");
                views.clear();
            }
            (2..4, _) if !self.snapshots.is_empty() => {
                world.note(format_args!("the views are rolled back"));
                world.count("rolled back views");
                views.restore(world.chance.pick(&self.snapshots));
            }
            _ => {
                world.note(format_args!("the views are saved"));
                self.snapshots.push(views.snapshot());
            }
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, what, .. } = self;
        write!(f, "seed {seed} breaks a law: {what}")
    }
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, tail, .. } = self;
        writeln!(f, "{self}")?;
        writeln!(f, "Live through it again with RETELL_SIMULATION_SEED={seed}.\n{tail}")
    }
}
