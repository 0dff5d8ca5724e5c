//! What a record that was read does to the writer.
//!
//! The writer folds records that it has not written itself, or of which it does not know where
//! they are. A record that cannot be decoded, or does not follow its aggregate's version, holds
//! that aggregate back and no other.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::contract::{Offset, Position, Target, Time};
use crate::events::{CommandId, Commit, StoredEvent};
use crate::log::{Mark, Stamp};
use crate::ports::LogRecord;
use crate::spans;

use super::aggregates::{Place, Snapshot};
use super::failure::Failure;
use super::kind::{AnyKind, State};
use super::outcomes::IdHash;
use super::pending::Pending;
use super::under_way::First;
use super::unsaved::NewKey;
use super::writer::Writer;

impl Writer {
    /// Takes the next record of the partition.
    pub(super) fn take(&mut self, record: &LogRecord) {
        let mark = self.tracker.step(record.offset, record.time, &record.stamp, &record.value);
        self.waypoints.pass(record.time, &self.tracker);
        match (mark, record.stamp) {
            (Mark::Counts, _) => self.take_commit(record),
            (Mark::Claim, Stamp::Claim { term }) => self.take_claim(term, &record.value),
            _ => {}
        }
        self.record_taken();
    }

    /// After each record: what the state space lacks is cut between two.
    pub(super) fn record_taken(&mut self) {
        let tracker = &self.tracker;
        self.unsaved.record_taken(|| tracker.checkpoint());
    }

    fn take_commit(&mut self, record: &LogRecord) {
        let commit = Commit::decode(&record.value);
        if let Some(pending) = commit.as_ref().ok().and_then(|commit| self.own(record, commit)) {
            return self.settle(pending, record.offset, record.time);
        }
        if matches!(record.stamp, Stamp::Commit { term, .. } if self.reigns_in(term)) {
            self.intruded = true;
            self.alarm(record.offset, "a stranger's record has the writer's term and number");
        }
        let Some(target) = record.key.as_ref().and_then(|key| Target::parse(key).ok()) else {
            return self.alarm(record.offset, "a commit that counts has no aggregate as its key");
        };
        if !self.is_open {
            return; // it is folded when its states are read
        }
        let shared = self.shared.clone();
        let Some(kind) = shared.kinds.get(target.aggregate_type()) else {
            return; // nobody here decides on it, so nobody needs to read it
        };
        match commit {
            Ok(commit) if commit.is_of(&target) => {
                let (offset, time) = (record.offset, record.time);
                self.note_outcome(&target, &commit.command_id, None, offset, time);
                self.fold_commit(target, kind.as_ref(), record.offset, &commit);
            }
            Ok(_) => self.hold_back(target, record.offset, "its key names another one"),
            Err(error) => self.hold_back(target, record.offset, &error.to_string()),
        }
    }

    /// The commit in flight whose record this is.
    fn own(&mut self, record: &LogRecord, commit: &Commit<'_>) -> Option<Pending> {
        let Stamp::Commit { term, chain } = record.stamp else { return None };
        self.in_flight.pop_counted(term, chain, &commit.command_id)
    }

    /// Folds a commit that somebody else wrote, or this writer in an earlier life.
    fn fold_commit(
        &mut self,
        target: Target,
        kind: &dyn AnyKind,
        offset: Offset,
        commit: &Commit<'_>,
    ) {
        if commit.events.is_empty() || self.aggregates.is_held_back(&target) {
            return;
        }
        let Some(settled) = self.aggregates.take_settled(&target) else {
            // Only another owner writes to an aggregate that is not here.
            return self.forget();
        };
        if settled.offset.is_some_and(|last| last >= offset) {
            return self.aggregates.give_back(&target, settled);
        }
        if commit.first_version != settled.version.next() {
            let why = format!("version {} follows {}", commit.first_version, settled.version);
            self.alarm(offset, &why);
            return self.hold_back(target, offset, &why);
        }
        match evolve(kind, settled, &commit.events) {
            Ok(state) => {
                let settled = Snapshot {
                    version: commit.last_version(),
                    state: Some(state),
                    offset: Some(offset),
                    time: commit.time,
                };
                self.note_settled(&target, settled);
            }
            Err(why) => self.hold_back(target, offset, &why),
        }
    }

    /// Tells who follows traces how long the log took for a record.
    fn tell(&self, pending: &Pending, offset: Offset) {
        let traceparent = pending.ticket.metadata.traceparent.as_deref();
        if let Some(span) = spans::within("append", traceparent) {
            let position = Position { partition: self.partition, offset };
            let span = span.since(pending.sent_at.elapsed());
            drop(span.with("retell.position", position).with("retell.command", pending.command()));
        }
    }

    /// Publishes and answers a commit that the log has proved.
    pub(super) fn settle(&mut self, pending: Pending, offset: Offset, time: Time) {
        self.tell(&pending, offset);
        let target = pending.ticket.target.clone();
        let command_id = pending.ticket.command_id.as_str();
        let hash = pending.ticket.first.as_ref().map(First::hash);
        self.note_outcome(&target, command_id, hash, offset, time);
        if pending.is_empty() || !self.is_open {
            pending.succeed(offset);
            return;
        }
        match self.aggregates.place(&target, offset, &pending) {
            Place::Next => {
                let settled = pending.succeed(offset);
                self.note_settled(&target, settled);
            }
            Place::Known => drop(pending.succeed(offset)),
            Place::Unknown => {
                pending.succeed(offset);
                self.forget();
            }
            Place::Wrong => {
                let why = "a stranger's commit came between";
                pending.ticket.fail(Failure::OutcomeUnknown);
                self.alarm(offset, why);
                self.hold_back(target, offset, why);
            }
        }
    }

    fn note_settled(&mut self, target: &Target, settled: Snapshot) {
        if self.aggregates.settle(target, settled) {
            self.unsaved.add(target.clone());
        }
    }

    /// A generated id is found by its time, any other by its place.
    fn note_outcome(
        &mut self,
        target: &Target,
        command_id: &str,
        hash: Option<IdHash>,
        offset: Offset,
        time: Time,
    ) {
        if self.is_open && !CommandId::is_generated(command_id) {
            let hash = hash.unwrap_or_else(|| IdHash::of(target, command_id));
            let segment = self.outcomes.note(hash, offset, time);
            self.unsaved.add_key(NewKey { hash, offset, segment });
        }
    }

    fn hold_back(&mut self, target: Target, offset: Offset, why: &str) {
        let (partition, aggregate) = (self.partition, target.as_str());
        tracing::error!(%partition, %offset, aggregate, why, "an aggregate cannot be read");
        let why = format!("record {partition}@{offset}: {why}");
        if self.aggregates.hold_back(&target, why) {
            self.unsaved.add(target);
        }
    }

    fn alarm(&mut self, offset: Offset, what: &str) {
        self.alarms += 1;
        tracing::error!(partition = %self.partition, %offset, what, "alarm: a forged record?");
    }
}

/// Applies events; a panic of the aggregate's `apply` is an error like any other.
fn evolve(
    kind: &dyn AnyKind,
    settled: Snapshot,
    events: &[StoredEvent<'_>],
) -> Result<State, String> {
    match catch_unwind(AssertUnwindSafe(|| kind.evolve(settled.state, events))) {
        Ok(Ok(state)) => Ok(state),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("apply panicked".to_owned()),
    }
}
