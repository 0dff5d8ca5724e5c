//! A command whose id may come again: its first outcome is found, waited for, or it is new.
//!
//! For a new id nothing is awaited and nothing is read. What is searched is searched beside the
//! loop, while its sender may give up: nothing was done for it yet.

use std::collections::{BTreeMap, VecDeque};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use crate::contract::Time;

use super::failure::Failure;
use super::outcomes::IdHash;
use super::reign::{End, Reign};
use super::search::{Search, SearchError, Searched, Seen, Wanted};
use super::setback::Setback;
use super::ticket::{Ticket, Wait};
use super::writer::Writer;

/// How long after it was made a generated id is looked for.
const KEPT_MS: u64 = 25 * 3_600_000;
/// Searches at once: each reads the log by itself.
const SEARCHES_MAX: usize = 8;
/// How far the clock of a writer, or of who made an id, is before the log's, at most.
const SKEW_MS: i64 = 5 * 60_000;

/// Commands whose first outcome is searched.
#[derive(Default)]
pub(super) struct Searches {
    queue: VecDeque<(Ticket, Search)>,
    slots: BTreeMap<u64, Ticket>,
    next_slot: u64,
    pub(super) running: FuturesUnordered<BoxFuture<'static, Ended>>,
}

/// The end of a search.
pub(super) type Ended = (u64, Result<Searched, SearchError>);

impl Searches {
    pub(super) fn len(&self) -> usize {
        self.queue.len() + self.slots.len()
    }

    /// Takes back what was searched, as far as its sender still waits.
    pub(super) fn into_tickets(self) -> impl Iterator<Item = Ticket> {
        let queued = self.queue.into_iter().map(|(ticket, _)| ticket);
        self.slots.into_values().chain(queued).filter(|ticket| ticket.custody.take())
    }
}

impl Writer {
    /// Gives back a command that may be decided: its id does not come again, or is new.
    pub(super) fn recall(&mut self, reign: &mut Reign, ticket: Ticket) -> Option<Ticket> {
        if !ticket.repeatable || !self.shared.checks.first_outcome {
            return Some(ticket);
        }
        let (hash, ticket) = match &ticket.first {
            Some(first) => (first.hash(), ticket),
            None => {
                let hash = IdHash::of(&ticket.target, ticket.command_id.as_str());
                self.adopt_original(reign, hash, &ticket);
                (hash, self.under_way.begin(hash, ticket, self.share())?)
            }
        };
        let search = match ticket.command_id.generated_at() {
            Some(at) if self.shared.ids.now().millis_since(at) > KEPT_MS => {
                return self.new_or_nothing(reign, ticket);
            }
            Some(at) => {
                let from = Time::from_millis(at.millis() - SKEW_MS);
                Search::From(Box::new(self.waypoints.before(from)), self.tracker.next())
            }
            None => {
                self.outcomes.forget(self.earliest_now());
                let trace = self.outcomes.look(hash);
                if trace.is_new() {
                    return self.new_or_nothing(reign, ticket);
                }
                let (space, floor) = (self.saving.space.clone(), self.saving.state.clone());
                Search::At { hash, trace, space: Box::new(space), floor }
            }
        };
        if reign.searches.len() >= self.share() {
            ticket.fail(Failure::QueueFull { partition: self.partition.0 });
            return None;
        }
        ticket.custody.put_off(Wait::Search);
        reign.searches.queue.push_back((ticket, search));
        self.search(reign);
        None
    }

    /// The command whose generated id this ticket sends back may still be under way. It did not
    /// say that its id may come again; from now on it does.
    fn adopt_original(&mut self, reign: &mut Reign, hash: IdHash, again: &Ticket) {
        if again.command_id.generated_at().is_none() || self.under_way.contains(hash) {
            return;
        }
        let slots = reign.slots.values_mut().map(|(ticket, _)| ticket);
        let waiting = reign.waiting.tickets_mut(&again.target);
        let in_flight = self.in_flight.tickets_mut().chain(self.unconfirmed.tickets_mut());
        let original = in_flight
            .chain(slots)
            .chain(waiting)
            .find(|ticket| ticket.target == again.target && ticket.command_id == again.command_id);
        if let Some(original) = original {
            self.under_way.adopt(hash, original);
        }
    }

    /// Starts what may be searched at once.
    fn search(&self, reign: &mut Reign) {
        let searches = &mut reign.searches;
        while searches.slots.len() < SEARCHES_MAX
            && let Some((ticket, search)) = searches.queue.pop_front()
        {
            if ticket.custody.is_given_up() {
                continue; // its sender would not hear the answer
            }
            let wanted = Wanted {
                log: self.shared.log.clone(),
                partition: self.partition,
                target: ticket.target.clone(),
                command_id: ticket.command_id.clone(),
            };
            let slot = searches.next_slot;
            searches.next_slot += 1;
            searches.slots.insert(slot, ticket);
            searches.running.push(Box::pin(async move { (slot, wanted.find(search).await) }));
        }
    }

    /// Answers as the first time, or decides what was not found.
    pub(super) fn searched(&mut self, reign: &mut Reign, ended: Ended) -> Result<(), End> {
        let (slot, found) = ended;
        let ticket = reign.searches.slots.remove(&slot);
        self.search(reign);
        let Some(ticket) = ticket.filter(|ticket| ticket.custody.take()) else { return Ok(()) };
        let found = match found {
            Ok(Searched { found, seen }) => match self.believe(seen) {
                Ok(()) => found,
                Err(setback) => {
                    self.again.push_back(ticket);
                    return Err(self.end_by(setback));
                }
            },
            Err(SearchError::Store(error)) => {
                ticket.fail(Failure::StateUnavailable(error.to_string()));
                return Ok(());
            }
            Err(SearchError::Log(error)) => {
                ticket.fail(Failure::LogUnavailable(error.to_string()));
                return Ok(());
            }
        };
        match found {
            Some(found) => {
                let answer = found.answer(&ticket, self.partition);
                ticket.answer(answer);
                Ok(())
            }
            None => match self.new_or_nothing(reign, ticket) {
                Some(ticket) => self.queue(reign, ticket),
                None => Ok(()),
            },
        }
    }

    /// Whether what was read of the state space can be relied on.
    fn believe(&mut self, seen: Option<Seen>) -> Result<(), Setback> {
        let Some(Seen { floor, state, is_whole }) = seen else { return Ok(()) };
        if !self.is_own(&floor, &state) {
            return Err(Setback::moved());
        }
        self.must_rebuild |= !is_whole;
        if is_whole { Ok(()) } else { Err(Setback::Lost("a page of keys is missing".to_owned())) }
    }

    /// A command with a new id is decided, if its outcome can be kept. Who only asks for an outcome
    /// is told that there is none, once that is proved.
    fn new_or_nothing(&mut self, reign: &Reign, ticket: Ticket) -> Option<Ticket> {
        if ticket.recall {
            let answer = Err(Failure::NoOutcome.into());
            self.unconfirmed.push(ticket, answer, reign.next_send, false);
            return None;
        }
        if self.can_keep_outcome(&ticket) {
            return Some(ticket);
        }
        ticket.fail(Failure::KeysFull { max: self.shared.config.kept_keys_max });
        None
    }

    /// A generated id needs no room: it is found by its time.
    fn can_keep_outcome(&self, ticket: &Ticket) -> bool {
        // Each id under way may become an outcome; this one is among them.
        let coming = self.under_way.len();
        ticket.command_id.generated_at().is_some() || self.outcomes.have_room(coming)
    }

    /// The log's clock shows no less.
    fn earliest_now(&self) -> Time {
        Time::from_millis(self.shared.ids.now().millis() - SKEW_MS)
    }

    /// Goes on with the commands whose first one has ended.
    pub(super) fn go_on(&mut self, reign: &mut Reign) -> Result<(), End> {
        loop {
            let mut released = self.under_way.released().into_iter();
            if released.len() == 0 {
                return Ok(());
            }
            for ticket in released.by_ref() {
                if let Err(end) = self.begin(reign, ticket) {
                    self.again.extend(released);
                    return Err(end);
                }
            }
        }
    }
}
