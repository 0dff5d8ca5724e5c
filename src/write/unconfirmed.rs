//! Answers that append nothing, held until the log proves that they were decided on the truth.
//!
//! A writer may have been deposed without knowing it; then a refusal was decided on an old state.
//! It is proved when everything that it was decided on has counted and either a record sent after
//! it has counted, or an end of the log that was asked for after it shows nothing that the writer
//! has not folded.

use std::collections::VecDeque;

use crate::contract::Offset;
use crate::ports::SendNumber;

use super::failure::{CommandError, Failure};
use super::ticket::{Answer, Ticket};

/// An answer to be proved.
struct Waiting {
    ticket: Ticket,
    answer: Answer,
    /// The next send when it was decided: all before it must have counted.
    decided_before: SendNumber,
    /// Whether it was decided on what is in flight: where that is, nobody knew then.
    is_ahead: bool,
    /// Its number among all.
    number: u64,
}

/// All answers to be proved, in the order in which they were decided.
#[derive(Default)]
pub(super) struct Unconfirmed {
    waiting: VecDeque<Waiting>,
    next_number: u64,
    /// The last end of the log that was learned, and the answers that it is good for.
    horizon: Option<Horizon>,
}

#[derive(Clone, Copy)]
struct Horizon {
    end: Offset,
    covers_before: u64,
}

impl Unconfirmed {
    pub(super) fn push(
        &mut self,
        ticket: Ticket,
        answer: Answer,
        decided_before: SendNumber,
        is_ahead: bool,
    ) {
        let number = self.next_number;
        self.next_number += 1;
        self.waiting.push_back(Waiting { ticket, answer, decided_before, is_ahead, number });
    }

    /// The tickets of all, in order.
    pub(super) fn tickets_mut(&mut self) -> impl Iterator<Item = &mut Ticket> {
        self.waiting.iter_mut().map(|waiting| &mut waiting.ticket)
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether the oldest answer has no end of the log yet that could prove it.
    pub(super) fn needs_horizon(&self) -> bool {
        let covered = self.horizon.map_or(0, |horizon| horizon.covers_before);
        self.waiting.front().is_some_and(|oldest| oldest.number >= covered)
    }

    /// The number that a query for the log's end, sent now, covers.
    pub(super) const fn covers(&self) -> u64 {
        self.next_number
    }

    /// Notes the answer of a query that was sent when [`Self::covers`] was `covers_before`.
    pub(super) fn learned(&mut self, end: Offset, covers_before: u64) {
        self.horizon = Some(Horizon { end, covers_before });
    }

    /// Gives the answers that are proved: all sends before `settled` have counted, and the log
    /// is folded up to `seen_to`; its last record is at `folded`.
    pub(super) fn confirm(&mut self, settled: SendNumber, seen_to: Offset, folded: Offset) {
        let horizon = self.horizon.filter(|horizon| seen_to >= horizon.end);
        while let Some(mut oldest) = self.waiting.pop_front_if(|oldest| {
            let later_record_counted = settled > oldest.decided_before;
            let nothing_unknown = horizon.is_some_and(|h| oldest.number < h.covers_before);
            settled >= oldest.decided_before && (later_record_counted || nothing_unknown)
        }) {
            if oldest.is_ahead {
                place(&mut oldest.answer, folded);
            }
            oldest.ticket.answer(oldest.answer);
        }
    }

    /// Takes back all tickets, in order, each with the next send when it was decided.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (SendNumber, Ticket)> + '_ {
        self.horizon = None;
        self.waiting.drain(..).map(|waiting| (waiting.decided_before, waiting.ticket))
    }
}

/// Says where the state is that an answer was decided on.
fn place(answer: &mut Answer, offset: Offset) {
    match answer {
        Ok(done) => done.position.offset = offset,
        Err(
            CommandError::Refused { on, .. }
            | CommandError::Failed(Failure::VersionDiffers { current: on, .. }),
        ) => on.position.offset = offset,
        Err(_) => {}
    }
}
