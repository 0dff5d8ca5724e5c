//! Callers: they send commands and queries, and judge each answer against the truth at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use retell::log::Partitions;
use retell::read::{Found, QueryError};
use retell::write::{CommandError, Done, Failure, SendOptions};
use retell::{Key, MergedProjection, Partition, Position, Positions, Projection};
use tokio::time::Instant;

use super::counter::{Counter, CounterCommand, CounterError, Tallies, Tally, Total};
use super::node::{Node, REQUEST_TIMEOUT};
use super::world::World;

/// How much later than its deadline an answer may come.
const GRACE: Duration = Duration::from_millis(5);

/// Everybody who calls. Clones are the same.
#[derive(Clone)]
pub(super) struct Callers(Arc<Inner>);

struct Inner {
    world: Arc<World>,
    partitions: Partitions,
    /// Calls without an answer yet.
    open: AtomicU64,
    /// Ids of commands of which it was said that nothing was done.
    not_done: Mutex<Vec<String>>,
    /// The latest position that was acknowledged, by counter.
    acknowledged: Mutex<BTreeMap<String, Position>>,
}

/// A command that was sent.
struct Call {
    node: String,
    counter: String,
    command: CounterCommand,
    id: String,
    begun: Instant,
}

type Answer = Result<Done, CommandError<CounterError>>;

impl Callers {
    pub(super) fn new(world: Arc<World>, partitions: Partitions) -> Self {
        Self(Arc::new(Inner {
            world,
            partitions,
            open: AtomicU64::new(0),
            not_done: Mutex::default(),
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
        let callers = self.clone();
        let commands = node.commands.clone();
        let id = commands.new_command_id();
        let call = Call {
            node: node.name.clone(),
            counter: counter.to_owned(),
            command,
            id: id.as_str().to_owned(),
            begun: Instant::now(),
        };
        self.0.open.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            let options = SendOptions { command_id: Some(id), ..SendOptions::default() };
            let answer = commands.send::<Counter>(&call.counter, command, options).await;
            callers.0.open.fetch_sub(1, Ordering::SeqCst);
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

    fn judge(&self, call: &Call, answer: &Answer) {
        let Call { node, counter, command, id, begun } = call;
        let (outcome, text) = outcome_of(answer);
        self.world.count(outcome);
        self.world.note(format_args!("{node} answers {command:?} on {counter} ({id}): {text}"));
        if begun.elapsed() > REQUEST_TIMEOUT + GRACE {
            self.world.violate("L8 an answer came after its deadline");
        }
        let broken = match answer {
            Ok(done) if done.events.is_empty() => {
                self.is_current(call, done.version.0, None).then_some(()).ok_or("L6")
            }
            Ok(done) => self.is_there(call, done).then_some(()).ok_or("L1"),
            Err(CommandError::Refused { error, .. }) => {
                let (version, level) = error.decided_on();
                self.is_current(call, version, Some(level)).then_some(()).ok_or("L6")
            }
            Err(CommandError::Failed(failure)) => is_expected(failure).then_some(()).ok_or("L7"),
            Err(_) => Err("L7"),
        };
        if let Err(law) = broken {
            self.world.violate(&format!("{law} {command:?} on {counter} ({id}): {text}"));
        }
        let unknown = matches!(answer, Err(CommandError::Failed(Failure::OutcomeUnknown)));
        let has_events = answer.as_ref().is_ok_and(|done| !done.events.is_empty());
        if let Ok(done) = answer {
            let mut acknowledged = self.acknowledged.lock().expect("no panic while it is held");
            let latest = acknowledged.entry(counter.clone()).or_insert(done.position);
            latest.offset = latest.offset.max(done.position.offset);
        }
        if !unknown && !has_events {
            self.not_done.lock().expect("no panic while it is held").push(id.clone());
            if self.world.truth().commit_of(id).is_some() {
                self.world.violate(&format!("L3 {id} counts, though the answer is: {text}"));
            }
        }
    }

    /// L1: what is acknowledged is there, at its position, in its versions, with its events.
    fn is_there(&self, call: &Call, done: &Done) -> bool {
        let truth = self.world.truth();
        let facts = truth.ledger(done.position.partition.0).facts(&call.counter);
        let Ok(last) = usize::try_from(done.version.0) else { return false };
        let Some(first) = last.checked_sub(done.events.len()) else { return false };
        let Some(own) = facts.get(first..last) else { return false };
        own.iter().zip(&done.events).all(|(fact, event)| {
            fact.command_id == call.id
                && fact.offset == done.position.offset.0
                && fact.event_id == event.id.to_string()
        })
    }

    /// L6: the version was the last one at some moment between call and answer.
    fn is_current(&self, call: &Call, version: u64, level: Option<u64>) -> bool {
        let partition = self.partitions.of(&format!("counter/{}", call.counter));
        let truth = self.world.truth();
        let reign = truth.ledger(partition.0).reign_of(&call.counter, version);
        let Some((was, _, until)) = reign else { return false };
        level.is_none_or(|level| level == was) && until.is_none_or(|until| until >= call.begun)
    }

    fn judge_view(
        &self,
        counter: Option<&str>,
        after: &Positions,
        answer: &Result<Found, QueryError>,
    ) {
        let (view, positions) = match answer {
            Ok(found) => (serde_json::from_slice::<Tally>(&found.view).ok(), &found.positions),
            Err(QueryError::NotFound { positions }) => (None, positions),
            Err(QueryError::PositionUnknown { .. }) => {
                return self.world.violate("R3 a position that was acknowledged is unknown");
            }
            Err(_) => return,
        };
        let what = counter.unwrap_or("total");
        let earlier = |wanted: Position| {
            positions.get(wanted.partition).is_some_and(|offset| offset < wanted.offset)
        };
        if after.iter().any(earlier) {
            self.world.violate(&format!("R3 {what} at {positions} answers {after}"));
        }
        let truth = self.world.truth();
        let tally_at = |at: Position| match counter {
            Some(counter) => truth.ledger(at.partition.0).tally(counter, at.offset.0 + 1),
            None => Some(truth.total(at.partition.0, at.offset.0 + 1)),
        };
        let expected = positions.iter().filter_map(tally_at).reduce(|a, b| Tally {
            events: a.events + b.events,
            level: 0,
            sum: a.sum + b.sum,
        });
        drop(truth);
        let expected = expected.filter(|tally| tally.events > 0);
        if view != expected {
            let text = format!("R1 {what} at {positions} is {view:?}, the log says {expected:?}");
            self.world.violate(&text);
        }
    }
}

/// Whether a failure is one that faults of a log can cause.
const fn is_expected(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::QueueFull { .. }
            | Failure::NoOwner { .. }
            | Failure::LogUnavailable(_)
            | Failure::ShuttingDown
            | Failure::OutcomeUnknown
    )
}

fn outcome_of(answer: &Answer) -> (&'static str, String) {
    match answer {
        Ok(done) => ("done", format!("version {} at {}", done.version, done.position)),
        Err(error @ CommandError::Refused { .. }) => ("refused", error.to_string()),
        Err(CommandError::Failed(Failure::OutcomeUnknown)) => ("unknown", "unknown".to_owned()),
        Err(error) => ("not done", error.to_string()),
    }
}

fn show(answer: &Result<Found, QueryError>) -> String {
    match answer {
        Ok(found) => format!("{} at {}", String::from_utf8_lossy(&found.view), found.positions),
        Err(error) => error.to_string(),
    }
}
