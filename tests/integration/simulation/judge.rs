//! What makes an answer right: each law that can be checked when a caller gets one.

use std::time::Duration;

use retell::read::{Found, QueryError};
use retell::write::{CommandError, DecidedOn, Done, Failure};
use retell::{Position, Positions};

use super::calls::{Answer, Call, Inner, Repeat};
use super::counter::Tally;
use super::node::REQUEST_TIMEOUT;

/// How much later than its deadline an answer may come.
const GRACE: Duration = Duration::from_millis(5);

impl Inner {
    pub(super) fn judge_time(&self, call: &Call) {
        if call.begun.elapsed() > REQUEST_TIMEOUT + GRACE {
            self.world.violate("L8 an answer came after its deadline");
        }
    }

    pub(super) fn judge(&self, call: &Call, answer: &Answer) {
        let Call { node, counter, command, id, repeatable, .. } = call;
        let (outcome, text) = outcome_of(answer);
        self.world.count(outcome);
        self.world.note(format_args!("{node} answers {command:?} on {counter} ({id}): {text}"));
        let broken = match answer {
            // What was current at the first time need not be any more.
            Ok(done) if done.events.is_empty() && done.replayed => Ok(()),
            Ok(done) if done.events.is_empty() => {
                self.is_current(call, done.version.0, None).then_some(()).ok_or("L6")
            }
            Ok(done) => self.is_there(call, done).then_some(()).ok_or("L1"),
            Err(CommandError::Refused { error, on, .. }) => {
                let (version, level) = error.decided_on();
                let is_said = on.version.0 == version && self.has_passed(call, *on);
                let is_right = is_said && self.is_current(call, version, Some(level));
                is_right.then_some(()).ok_or("L6")
            }
            Err(CommandError::Failed(failure)) => is_expected(failure).then_some(()).ok_or("L7"),
            Err(CommandError::RefusedBefore { .. }) if *repeatable => Ok(()),
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
        if *repeatable {
            return self.judge_outcome(call, answer);
        }
        if unknown {
            let (counter, id) = (counter.clone(), id.clone());
            let repeat = Repeat { counter, command: *command, id };
            self.repeats.lock().expect("no panic while it is held").push(repeat);
        }
        if !unknown && !has_events {
            self.not_done.lock().expect("no panic while it is held").push(id.clone());
            if self.world.truth().commit_of(id).is_some() {
                self.world.violate(&format!("L3 {id} counts, though the answer is: {text}"));
            }
        }
    }

    /// L4: an outcome is in the log, and is the one that was given first. L3: a refusal has no
    /// event.
    fn judge_outcome(&self, call: &Call, answer: &Answer) {
        let Call { counter, id, .. } = call;
        let outcome = match answer {
            Ok(done) => {
                let events: Vec<_> = done.events.iter().map(|event| event.id).collect();
                format!("version {} at {}: {events:?}", done.version, done.position)
            }
            Err(
                CommandError::Refused { refusal, on, .. }
                | CommandError::RefusedBefore { refusal, on },
            ) => format!("{}: {} on {on:?}", refusal.code, refusal.detail),
            Err(_) => return,
        };
        let truth = self.world.truth();
        let place = truth.commit_of(id);
        let is_at =
            |done: &Done| place == Some((done.position.partition.0, done.position.offset.0));
        let is_recorded = answer.as_ref().map_or(place.is_some(), is_at);
        let home = self.partitions.of(&format!("counter/{counter}"));
        let facts = truth.ledger(home.0).facts(counter);
        let has_event = facts.iter().any(|fact| fact.command_id == *id);
        drop(truth);
        if !is_recorded {
            self.world.violate(&format!("L4 {id} is not in the log, though answered: {outcome}"));
        }
        if answer.is_err() && has_event {
            self.world.violate(&format!("L3 {id} has an event, though answered: {outcome}"));
        }
        let mut outcomes = self.outcomes.lock().expect("no panic while it is held");
        let first = outcomes.entry(id.clone()).or_insert_with(|| outcome.clone());
        if *first != outcome {
            self.world.violate(&format!("L4 {id} was answered {first}, then {outcome}"));
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

    /// Whether whoever has read up to the position has read what the answer was decided on.
    fn has_passed(&self, call: &Call, on: DecidedOn) -> bool {
        let truth = self.world.truth();
        let facts = truth.ledger(on.position.partition.0).facts(&call.counter);
        let last = usize::try_from(on.version.0).ok().and_then(|version| version.checked_sub(1));
        last.is_none_or(|last| {
            facts.get(last).is_some_and(|fact| fact.offset <= on.position.offset.0)
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

    pub(super) fn judge_view(
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
            | Failure::CacheFull { .. }
            | Failure::StateUnavailable(_)
            | Failure::LogUnavailable(_)
            | Failure::ShuttingDown
            | Failure::OutcomeUnknown
            | Failure::InFlight
            | Failure::SearchTimeout
            | Failure::OutOfTurn
    )
}

fn outcome_of(answer: &Answer) -> (&'static str, String) {
    match answer {
        Ok(done) if done.replayed => {
            ("replayed", format!("version {} at {}, again", done.version, done.position))
        }
        Ok(done) => ("done", format!("version {} at {}", done.version, done.position)),
        Err(error @ CommandError::Refused { .. }) => ("refused", error.to_string()),
        Err(error @ CommandError::RefusedBefore { .. }) => ("refused before", error.to_string()),
        Err(CommandError::Failed(Failure::InFlight)) => ("in flight", "in flight".to_owned()),
        Err(CommandError::Failed(Failure::OutOfTurn)) => ("out of turn", "not done".to_owned()),
        Err(CommandError::Failed(Failure::OutcomeUnknown)) => ("unknown", "unknown".to_owned()),
        Err(error) => ("not done", error.to_string()),
    }
}
