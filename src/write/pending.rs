//! Commits that were sent and are not settled yet, in the order in which they were sent.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio::time::Instant;

use crate::contract::{Offset, Position, Refusal};
use crate::log::{Chain, Term};
use crate::ports::SendNumber;

use super::aggregates::Snapshot;
use super::done::Done;
use super::failure::{AnyError, CommandError, DecidedOn};
use super::ticket::Ticket;

/// A commit in flight.
pub(super) struct Pending {
    pub(super) send: SendNumber,
    pub(super) term: Term,
    pub(super) chain: Chain,
    pub(super) sent_at: Instant,
    pub(super) ticket: Ticket,
    /// The aggregate after it.
    pub(super) after: Snapshot,
    /// The answer, all but its position.
    pub(super) done: Done,
    /// The answer instead, when it was refused.
    pub(super) refused: Option<(Refusal, AnyError)>,
    /// The record's key.
    pub(super) key: Bytes,
    /// The record's value.
    pub(super) value: Bytes,
}

/// All commits in flight.
#[derive(Default)]
pub(super) struct InFlight(VecDeque<Pending>);

impl InFlight {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn push(&mut self, pending: Pending) {
        self.0.push_back(pending);
    }

    pub(super) fn front(&self) -> Option<&Pending> {
        self.0.front()
    }

    /// The oldest, if it is this send.
    pub(super) fn pop_send(&mut self, send: SendNumber) -> Option<Pending> {
        self.0.pop_front_if(|oldest| oldest.send == send)
    }

    /// The oldest commit of this term with this number, if the record that took the number is
    /// its own. Older ones of the term stay: their records did not count.
    pub(super) fn pop_counted(
        &mut self,
        term: Term,
        chain: Chain,
        command_id: &str,
    ) -> Option<Pending> {
        let at = self.0.iter().position(|p| p.term == term && p.chain == chain)?;
        (self.0[at].ticket.command_id.as_str() == command_id).then(|| self.0.remove(at)).flatten()
    }

    /// The tickets of all, in order.
    pub(super) fn tickets_mut(&mut self) -> impl Iterator<Item = &mut Ticket> {
        self.0.iter_mut().map(|pending| &mut pending.ticket)
    }

    /// Everything that is left, in order.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Pending> + '_ {
        self.0.drain(..)
    }
}

impl Pending {
    /// Answers what was decided, at this offset. Gives back the aggregate after it.
    pub(super) fn succeed(self, offset: Offset) -> Snapshot {
        let mut done = self.done;
        done.position = Position { offset, ..done.position };
        self.ticket.answer(match self.refused {
            None => Ok(done),
            Some((refusal, error)) => {
                let on = DecidedOn { version: done.version, position: done.position };
                Err(CommandError::Refused { refusal, error, on })
            }
        });
        Snapshot { offset: Some(offset), ..self.after }
    }

    /// The type of its command.
    pub(super) fn command(&self) -> &str {
        self.ticket.order.name()
    }

    /// Whether it changes nothing: the outcome alone is kept.
    pub(super) const fn is_empty(&self) -> bool {
        self.done.events.is_empty()
    }
}
