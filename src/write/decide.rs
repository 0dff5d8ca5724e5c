//! From a command to a commit that is sent.
//!
//! Decisions of one aggregate happen in order; those of others do not wait for a slow one.

use std::time::Duration;

use bytes::{BufMut, Bytes};
use futures_util::FutureExt;
use tokio::time::{Instant, timeout};

use crate::contract::{Offset, Position, Refusal, Target, Time, Version};
use crate::events::{AggregateRef, Commit, RECORD_VERSION, StoredEvent};
use crate::log::Stamp;
use crate::ports::{AppendError, NewRecord};

use super::aggregates::{NoState, Snapshot};
use super::done::Done;
use super::failure::{AnyError, CommandError, DecidedOn, Failure};
use super::kind::{Deciding, State, Verdict};
use super::pending::Pending;
use super::reign::{End, Reign};
use super::ticket::{Answer, Ticket, Wait};
use super::writer::Writer;

/// The bytes of many records.
const BUFFER_LEN: usize = 64 * 1024;
/// More than most records have.
const RECORD_LEN: usize = 1_024;

/// What a commit says.
enum Decision {
    /// These events, which may be none, make this state.
    Events(State, Vec<StoredEvent<'static>>),
    /// Refused, under an id that may come again.
    Refused(Refusal, AnyError),
}

impl Writer {
    /// Decides again what the last term left undecided.
    pub(super) fn decide_first(&mut self, reign: &mut Reign) -> Result<(), End> {
        while let Some(ticket) = self.again.pop_front() {
            self.begin(reign, ticket)?;
        }
        Ok(())
    }

    /// Decides what was just taken from the queue; what its sender gave up is dropped.
    pub(super) fn begin_all(
        &mut self,
        reign: &mut Reign,
        taken: &mut Vec<Ticket>,
    ) -> Result<(), End> {
        let mut taken = taken.drain(..).filter(|ticket| ticket.custody.take());
        for ticket in taken.by_ref() {
            if let Err(end) = self.begin(reign, ticket) {
                self.again.extend(taken);
                return Err(end);
            }
        }
        Ok(())
    }

    /// Decides a command, unless its id came before.
    pub(super) fn begin(&mut self, reign: &mut Reign, ticket: Ticket) -> Result<(), End> {
        match self.recall(reign, ticket) {
            Some(ticket) => self.queue(reign, ticket),
            None => Ok(()),
        }
    }

    /// Decides a command after those of its aggregate that came before it.
    pub(super) fn queue(&mut self, reign: &mut Reign, mut ticket: Ticket) -> Result<(), End> {
        let share = self.share();
        if let Some(len) = reign.waiting.len_of(&ticket.target) {
            if len < share {
                reign.waiting.push(ticket);
            } else {
                ticket.fail(Failure::QueueFull { partition: self.partition.0 });
            }
            return Ok(());
        }
        if self.shared.checks.turns && !ticket.is_in_turn() {
            ticket.fail(Failure::OutOfTurn);
            return Ok(());
        }
        if ticket.attempts >= self.shared.config.attempts_max {
            let detail = "the command was tried too often while terms ended".to_owned();
            ticket.fail(Failure::LogUnavailable(detail));
            return Ok(());
        }
        let base = match self.aggregates.tip(&ticket.target) {
            Ok(base) => base,
            Err(NoState::Missing) => {
                self.miss(reign, ticket);
                return Ok(());
            }
            Err(NoState::Unreadable(detail)) => {
                let target = ticket.target.to_string();
                ticket.fail(Failure::HistoryUnreadable { target, detail });
                return Ok(());
            }
        };
        self.numbers.hits += 1;
        if let Some(expected) = ticket.order.expected
            && !expected.is_met_by(base.version)
        {
            let failure = Failure::VersionDiffers { expected, current: self.decided_on(&base) };
            self.hold(reign, ticket, &base, Err(failure.into()));
            return Ok(());
        }
        ticket.attempts += 1;
        let mut deciding = ticket.kind.clone().decide(base.state.clone(), &mut ticket.order);
        // Most aggregates decide without waiting for anything; those need no slot.
        match (&mut deciding).now_or_never() {
            Some(verdict) => self.conclude(reign, ticket, &base, verdict),
            None => {
                self.defer(reign, ticket, base, deciding);
                Ok(())
            }
        }
    }

    /// Lets a decision go on beside the others; its aggregate's next commands wait for it.
    fn defer(&mut self, reign: &mut Reign, ticket: Ticket, base: Snapshot, deciding: Deciding) {
        let slot = reign.next_slot;
        reign.next_slot += 1;
        self.aggregates.note_deciding(&ticket.target, true);
        reign.waiting.begin(ticket.target.clone(), Wait::Turn);
        reign.slots.insert(slot, (ticket, base));
        let limit = self.shared.config.decide_timeout;
        reign.deciding.push(Box::pin(async move { (slot, within(limit, deciding).await) }));
    }

    /// Takes the end of a slow decision, and goes on with the aggregate's next commands.
    pub(super) fn decided(
        &mut self,
        reign: &mut Reign,
        slot: u64,
        verdict: Result<Verdict, Failure>,
    ) -> Result<(), End> {
        let Some((ticket, base)) = reign.slots.remove(&slot) else { return Ok(()) };
        let target = ticket.target.clone();
        self.aggregates.note_deciding(&target, false);
        self.conclude(reign, ticket, &base, verdict)?;
        self.go_on_with(reign, &target)
    }

    /// Decides what has waited for an aggregate.
    pub(super) fn go_on_with(&mut self, reign: &mut Reign, target: &Target) -> Result<(), End> {
        let mut waiting = reign.waiting.take(target);
        let mut result = Ok(());
        while let Some(next) = waiting.pop_front() {
            match result {
                Ok(()) => result = self.queue(reign, next),
                Err(_) => self.again.push_back(next),
            }
        }
        result
    }

    fn conclude(
        &mut self,
        reign: &mut Reign,
        ticket: Ticket,
        base: &Snapshot,
        verdict: Result<Verdict, Failure>,
    ) -> Result<(), End> {
        match verdict {
            Err(failure) => ticket.fail(failure),
            Ok(Verdict::Refused { refusal, error }) if ticket.repeatable => {
                return self.send(reign, ticket, base, Decision::Refused(refusal, error));
            }
            Ok(Verdict::Refused { refusal, error }) => {
                let on = self.decided_on(base);
                let answer = Err(CommandError::Refused { refusal, error, on });
                self.hold(reign, ticket, base, answer);
            }
            Ok(Verdict::Events { events, .. }) if events.is_empty() && !ticket.repeatable => {
                let done = self.done(&ticket, base, Vec::new(), self.shared.ids.now());
                self.hold(reign, ticket, base, Ok(done));
            }
            Ok(Verdict::Events { state, events }) => {
                return self.send(reign, ticket, base, Decision::Events(state, events));
            }
        }
        Ok(())
    }

    /// Holds an answer that appends nothing until it is proved.
    fn hold(&mut self, reign: &Reign, ticket: Ticket, base: &Snapshot, answer: Answer) {
        ticket.pass_turn_on();
        let is_ahead = base.version > Version::NONE && base.offset.is_none();
        self.unconfirmed.push(ticket, answer, reign.next_send, is_ahead);
    }

    /// Sends the commit with the next number, without waiting for those before it.
    fn send(
        &mut self,
        reign: &mut Reign,
        ticket: Ticket,
        base: &Snapshot,
        decision: Decision,
    ) -> Result<(), End> {
        let (state, events, refused) = match decision {
            Decision::Events(state, events) => (Some(state), events, None),
            Decision::Refused(refusal, error) => (None, Vec::new(), Some((refusal, error))),
        };
        let time = self.shared.ids.now().max(base.time);
        let done = self.done(&ticket, base, events, time);
        let (key, value) =
            self.encode(&ticket, base, &done, refused.as_ref().map(|(refusal, _)| refusal));
        let stamp = Stamp::Commit { term: reign.term, chain: reign.next_chain };
        match reign.appender.append(NewRecord { key: Some(&key), stamp, value: &value }) {
            Ok(send) => {
                ticket.pass_turn_on();
                self.shared.measures.record_bytes.size(key.len() + value.len());
                let after = Snapshot { version: done.version, state, offset: None, time };
                if !done.events.is_empty() {
                    self.aggregates.speculate(&ticket.target, after.clone());
                }
                let (term, chain, sent_at) = (reign.term, reign.next_chain, Instant::now());
                self.in_flight.push(Pending {
                    send,
                    term,
                    chain,
                    sent_at,
                    ticket,
                    after,
                    done,
                    refused,
                    key,
                    value,
                });
                reign.next_chain = chain.next();
                reign.next_send = crate::ports::SendNumber(send.0 + 1);
            }
            Err(AppendError::Full) => {
                ticket.fail(Failure::QueueFull { partition: self.partition.0 });
            }
            Err(AppendError::TooLarge { len, max }) => {
                ticket.fail(Failure::EventsTooLarge { len, max });
            }
            Err(error @ AppendError::Dead) => {
                self.again.push_back(ticket);
                return Err(End::Term(error.to_string()));
            }
        }
        Ok(())
    }

    /// The record's key and value. Many records share one allocation.
    fn encode(
        &mut self,
        ticket: &Ticket,
        base: &Snapshot,
        done: &Done,
        refused: Option<&Refusal>,
    ) -> (Bytes, Bytes) {
        if self.buffer.capacity() < RECORD_LEN {
            self.buffer.reserve(BUFFER_LEN);
        }
        let key = ticket.target.as_str().as_bytes();
        self.buffer.extend_from_slice(key);
        encode((&mut self.buffer).writer(), ticket, base, done, refused);
        let mut record = self.buffer.split().freeze();
        (record.split_to(key.len()), record)
    }

    fn done(
        &self,
        ticket: &Ticket,
        base: &Snapshot,
        events: Vec<StoredEvent<'static>>,
        time: Time,
    ) -> Done {
        Done {
            target: ticket.target.clone(),
            version: base.version.plus(events.len()),
            position: self.decided_on(base).position,
            command_id: ticket.command_id.clone(),
            time,
            events,
            replayed: false,
        }
    }

    fn decided_on(&self, base: &Snapshot) -> DecidedOn {
        // Without a commit of its own, an aggregate's state is that of the whole prefix.
        let folded = Offset(self.tracker.next().0.saturating_sub(1));
        let offset = base.offset.unwrap_or(folded);
        DecidedOn {
            version: base.version,
            position: Position { partition: self.partition, offset },
        }
    }
}

async fn within(limit: Duration, deciding: Deciding) -> Result<Verdict, Failure> {
    match timeout(limit, deciding).await {
        Ok(verdict) => verdict,
        Err(_) => Err(Failure::DecideTimeout(limit.as_millis())),
    }
}

fn encode(
    buffer: impl std::io::Write,
    ticket: &Ticket,
    base: &Snapshot,
    done: &Done,
    refused: Option<&Refusal>,
) {
    let metadata = &ticket.metadata;
    let commit = Commit {
        v: RECORD_VERSION,
        aggregate: aggregate_of(&ticket.target),
        first_version: base.version.next(),
        command: ticket.order.name().into(),
        command_id: ticket.command_id.as_str().into(),
        fingerprint: Some(ticket.order.fingerprint().to_string().into()),
        time: done.time,
        correlation_id: metadata.correlation_id.as_deref().map(Into::into),
        causation_id: metadata.causation_id.as_deref().map(Into::into),
        actor: metadata.actor.as_deref().map(Into::into),
        traceparent: metadata.traceparent.as_deref().map(Into::into),
        metadata: metadata.other.clone(),
        events: done.events.iter().map(StoredEvent::borrowed).collect(),
        refused: refused.cloned(),
    };
    serde_json::to_writer(buffer, &commit).expect("a commit has string keys only");
}

fn aggregate_of(target: &Target) -> AggregateRef<'_> {
    AggregateRef { aggregate_type: target.aggregate_type().into(), id: target.id().into() }
}
