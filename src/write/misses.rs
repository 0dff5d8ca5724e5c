//! Aggregates that a command needs and that are not in memory: they are read from the state space.
//!
//! All that are missed while a read is under way are read by the next one, together with the
//! space's state, so that nothing is decided on what somebody else has put back there.

use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use crate::contract::{Offset, Target};
use crate::ports::{SpaceState, StoreError};

use super::failure::Failure;
use super::reign::{End, Reign};
use super::setback::Setback;
use super::space::READ_MAX;
use super::ticket::{Ticket, Wait};
use super::writer::Writer;

/// Aggregates that are read, and those that are to be.
#[derive(Default)]
pub(super) struct Misses {
    wanted: VecDeque<Target>,
    /// Whether there was no room for them when it was last tried.
    crowded: bool,
    pub(super) running: FuturesUnordered<BoxFuture<'static, Fetched>>,
}

/// The end of a read.
pub(super) struct Fetched {
    targets: Vec<Target>,
    /// What the space held when the read began.
    floor: SpaceState,
    read: Result<(SpaceState, Vec<Option<Bytes>>), StoreError>,
}

impl Misses {
    /// Whether a read is under way.
    pub(super) fn are_read(&self) -> bool {
        !self.running.is_empty()
    }
}

impl Writer {
    /// Lets a command wait until its aggregate is read.
    pub(super) fn miss(&mut self, reign: &mut Reign, ticket: Ticket) {
        reign.misses.wanted.push_back(ticket.target.clone());
        reign.waiting.begin(ticket.target.clone(), Wait::State);
        reign.waiting.push(ticket);
    }

    /// Begins to read what is missed, if nothing is being read, as far as there is room.
    pub(super) fn fetch(&mut self, reign: &mut Reign) {
        // The commit under way makes room; before it has ended, looking for some is in vain.
        let waits = reign.misses.crowded && !self.saving.task.is_empty();
        if reign.misses.wanted.is_empty() || reign.misses.are_read() || waits {
            return;
        }
        let mut targets = Vec::new();
        while targets.len() < READ_MAX
            && !reign.misses.wanted.is_empty()
            && self.aggregates.reserve()
        {
            targets.extend(reign.misses.wanted.pop_front());
        }
        reign.misses.crowded = targets.is_empty();
        if reign.misses.crowded {
            return self.make_room(reign);
        }
        self.numbers.misses += targets.len() as u64;
        let (space, floor) = (self.saving.space.clone(), self.saving.state.clone());
        reign.misses.running.push(Box::pin(async move {
            let read = space.read(&targets).await;
            Fetched { targets, floor, read }
        }));
    }

    /// What is in memory and nowhere else may be forgotten once it is stored: so it is stored now.
    /// Where that does not help, those who wait for room are told so.
    fn make_room(&mut self, reign: &mut Reign) {
        let is_busy = !self.in_flight.is_empty() || !reign.slots.is_empty();
        let is_stored = self.saving.problem().is_none();
        if is_stored && (!self.saving.task.is_empty() || self.save() || is_busy) {
            return;
        }
        if self.aggregates.sweep() {
            return self.fetch(reign);
        }
        let max = self.shared.config.cached_aggregates_max;
        for target in std::mem::take(&mut reign.misses.wanted) {
            for ticket in reign.waiting.take(&target) {
                ticket.fail(Failure::CacheFull { max });
            }
        }
    }

    /// Goes on with the commands whose aggregates were read.
    pub(super) fn fetched(&mut self, reign: &mut Reign, fetched: Fetched) -> Result<(), End> {
        let Fetched { targets, floor, read } = fetched;
        targets.iter().for_each(|_| self.aggregates.release());
        match read {
            Ok((state, values)) => {
                if !self.is_own(&floor, &state) {
                    return Err(self.end_by(Setback::moved()));
                }
                self.load(&targets, &values).map_err(|setback| self.end_by(setback))?;
                for target in targets {
                    self.go_on_with(reign, &target)?;
                }
            }
            Err(error @ StoreError::Torn { .. }) => return Err(self.end_by(error.into())),
            Err(error) => {
                for ticket in targets.iter().flat_map(|target| reign.waiting.take(target)) {
                    ticket.fail(Failure::StateUnavailable(error.to_string()));
                }
            }
        }
        Ok(())
    }

    /// Takes values into memory. One that cannot be read is rebuilt from the log, once; if that
    /// does not help, its aggregate is held back.
    pub(super) fn load(
        &mut self,
        targets: &[Target],
        values: &[Option<Bytes>],
    ) -> Result<(), Setback> {
        for (target, value) in targets.iter().zip(values) {
            match self.saving.space.format.decode(target, value.as_deref()) {
                Ok(stand) => self.aggregates.load(target, stand),
                Err(why) if !self.was_rebuilt => {
                    self.must_rebuild = true;
                    return Err(Setback::Lost(format!("the stored state of {target}: {why}")));
                }
                Err(why) => {
                    tracing::error!(aggregate = target.as_str(), why, "a state cannot be read");
                    if self.aggregates.hold_back(target, why) {
                        self.unsaved.add(target.clone());
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a state of the space may be this writer's: not before what it held when the read
    /// began, and nothing that this writer has not folded.
    pub(super) fn is_own(&self, floor: &SpaceState, state: &SpaceState) -> bool {
        if state == floor || !self.shared.checks.own_checkpoint {
            return true;
        }
        let from = floor.checkpoint().map_or(Offset(0), |floor| floor.next);
        state.checkpoint().is_some_and(|found| {
            let is_between = from <= found.next && found.next <= self.tracker.next();
            is_between && Some(found.log) == self.tracker.log()
        })
    }
}
