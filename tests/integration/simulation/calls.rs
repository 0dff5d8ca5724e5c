//! Callers: they send commands and queries. Each answer is judged in the moment in which it comes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use retell::events::CommandId;
use retell::log::Partitions;
use retell::read::{Found, QueryError};
use retell::write::{CommandError, Done, SendOptions};
use retell::{Key, LinkedProjection, Partition, Position, Positions, Projection};
use tokio::time::Instant;

use super::counter::{Counter, CounterCommand, CounterError, Tallies, Total};
use super::node::Node;
use super::world::World;

/// Everybody who calls. Clones are the same.
#[derive(Clone)]
pub(super) struct Callers(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) world: Arc<World>,
    pub(super) partitions: Partitions,
    /// Calls without an answer yet.
    pub(super) open: AtomicU64,
    /// Ids of commands of which it was said that nothing was done.
    pub(super) not_done: Mutex<Vec<String>>,
    /// Commands that may be sent again, under the same id.
    pub(super) repeats: Mutex<Vec<Repeat>>,
    /// The ids of each row of commands.
    pub(super) rows: Mutex<Vec<Vec<String>>>,
    /// The first outcome of each id that may come again, as it was answered.
    pub(super) outcomes: Mutex<BTreeMap<String, String>>,
    /// The latest position that was acknowledged, by counter.
    pub(super) acknowledged: Mutex<BTreeMap<String, Position>>,
}

/// A command under an id that may come again.
#[derive(Clone)]
pub(super) struct Repeat {
    pub(super) counter: String,
    pub(super) command: CounterCommand,
    pub(super) id: String,
}

/// A command that was sent.
pub(super) struct Call {
    pub(super) node: String,
    pub(super) counter: String,
    pub(super) command: CounterCommand,
    pub(super) id: String,
    /// Whether the id may have come before, or may come again.
    pub(super) repeatable: bool,
    pub(super) begun: Instant,
}

pub(super) type Answer = Result<Done, CommandError<CounterError>>;

impl Callers {
    pub(super) fn new(world: Arc<World>, partitions: Partitions) -> Self {
        Self(Arc::new(Inner {
            world,
            partitions,
            open: AtomicU64::new(0),
            not_done: Mutex::default(),
            repeats: Mutex::default(),
            rows: Mutex::default(),
            outcomes: Mutex::default(),
            acknowledged: Mutex::default(),
        }))
    }

    /// How many calls have no answer yet.
    pub(super) fn open(&self) -> u64 {
        self.0.open.load(Ordering::SeqCst)
    }

    pub(super) fn partition_of(&self, counter: &str) -> Partition {
        self.0.partitions.of(&format!("counter/{counter}"))
    }

    /// Sends a command without waiting for its answer.
    pub(super) fn send(&self, node: &Node, counter: &str, command: CounterCommand) {
        let id = node.commands.new_command_id();
        let (counter, id_text) = (counter.to_owned(), id.as_str().to_owned());
        self.send_as(node, Repeat { counter, command, id: id_text }, false);
    }

    /// Sends a command under an id that may come again, without waiting for its answer.
    pub(super) fn send_repeatable(&self, node: &Node, repeat: Repeat) {
        self.send_as(node, repeat, true);
    }

    /// A command that was sent before, if there is one.
    pub(super) fn sent_before(&self) -> Option<Repeat> {
        let repeats = self.0.repeats.lock().expect("no panic while it is held");
        (!repeats.is_empty()).then(|| repeats[self.0.world.chance.index(repeats.len())].clone())
    }

    /// Every command that may be sent again.
    pub(super) fn repeats(&self) -> Vec<Repeat> {
        self.0.repeats.lock().expect("no panic while it is held").clone()
    }

    /// Notes a command that may be sent again.
    pub(super) fn note(&self, repeat: Repeat) {
        self.0.repeats.lock().expect("no panic while it is held").push(repeat);
    }

    fn send_as(&self, node: &Node, repeat: Repeat, repeatable: bool) {
        let Repeat { counter, command, id } = repeat;
        let (callers, commands) = (self.clone(), node.commands.clone());
        let (node, begun) = (node.name.clone(), Instant::now());
        let command_id = Some(CommandId::from_client(&id).expect("an id"));
        let call = Call { node, counter, command, id, repeatable, begun };
        self.0.open.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            let options = SendOptions { command_id, repeatable, ..SendOptions::default() };
            let answer = commands.send::<Counter>(&call.counter, command, options).await;
            callers.0.open.fetch_sub(1, Ordering::SeqCst);
            callers.0.judge_time(&call);
            callers.0.judge(&call, &answer);
        });
    }

    /// Asks for a view without waiting for the answer; `None` is the total.
    pub(super) fn query(&self, node: &Node, counter: Option<&str>, wait: Duration) {
        if !node.begin_query() {
            return;
        }
        let (callers, views) = (self.clone(), node.views.clone());
        let (name, counter) = (node.name.clone(), counter.map(str::to_owned));
        let (is_queried, after) = (node.is_queried.clone(), self.0.seen(counter.as_deref()));
        self.0.open.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            let answer = callers.ask(&views, counter.as_deref(), &after, wait).await;
            callers.0.open.fetch_sub(1, Ordering::SeqCst);
            is_queried.store(false, Ordering::SeqCst);
            let what = counter.as_deref().unwrap_or("total");
            let shown = show(&answer);
            callers.0.world.note(format_args!("{name} answers {what} after {after}: {shown}"));
            drop(answer);
        });
    }

    /// Asks for a view and judges the answer.
    pub(super) async fn ask(
        &self,
        views: &retell::read::Views,
        counter: Option<&str>,
        after: &Positions,
        wait: Duration,
    ) -> Result<Found, QueryError> {
        let (projection, key) = match counter {
            Some(counter) => (Tallies::NAME, counter),
            None => (Total::NAME, "all"),
        };
        let key = Key::new(key).expect("a key");
        let answer = views.get(projection, &key, after, wait).await;
        self.0.judge_view(counter, after, &answer);
        answer
    }

    /// L3: what was said not to be done never counts, not even later.
    pub(super) fn check_not_done(&self) {
        let truth = self.0.world.truth();
        let not_done = self.0.not_done.lock().expect("no panic while it is held");
        let counted = not_done.iter().find(|id| truth.commit_of(id).is_some()).cloned();
        drop((truth, not_done));
        if let Some(id) = counted {
            self.0.world.violate(&format!("L3 {id} counts, though it was said not to be done"));
        }
    }
}

impl Inner {
    fn seen(&self, counter: Option<&str>) -> Positions {
        let acknowledged = self.acknowledged.lock().expect("no panic while it is held");
        match counter {
            // Every second reader wants to read what was written.
            Some(counter) if self.world.chance.one_in(2) => {
                acknowledged.get(counter).copied().into_iter().collect()
            }
            Some(_) => Positions::default(),
            None => acknowledged.values().copied().collect(),
        }
    }
}

fn show(answer: &Result<Found, QueryError>) -> String {
    match answer {
        Ok(found) => format!("{} at {}", String::from_utf8_lossy(&found.view), found.positions),
        Err(error) => error.to_string(),
    }
}
