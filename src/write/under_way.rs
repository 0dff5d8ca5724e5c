//! The ids that are under way, and who waits for their outcome.
//!
//! The first ticket with an id carries a token; whichever way it ends, the token drops and tells,
//! and those that waited are looked after: they find the outcome, or one of them is the next first.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use super::failure::Failure;
use super::outcomes::IdHash;
use super::ticket::{Ticket, Wait};

/// All ids under way.
#[derive(Default)]
pub(super) struct UnderWay {
    /// In order, so that the same history is lived through in the same way.
    ids: BTreeMap<IdHash, Vec<Ticket>>,
    waiting: usize,
    ended: Arc<Mutex<Vec<IdHash>>>,
}

/// Held by the first ticket with an id, until it ends.
pub(super) struct First {
    hash: IdHash,
    ended: Arc<Mutex<Vec<IdHash>>>,
}

impl First {
    /// The id's.
    pub(super) const fn hash(&self) -> IdHash {
        self.hash
    }
}

impl Drop for First {
    fn drop(&mut self) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).push(self.hash);
    }
}

impl UnderWay {
    /// Ids under way.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Tickets that wait for another.
    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn contains(&self, hash: IdHash) -> bool {
        self.ids.contains_key(&hash)
    }

    /// Makes the ticket the first with its id; when there is one, it waits, unless as many as may
    /// do so already.
    pub(super) fn begin(
        &mut self,
        hash: IdHash,
        mut ticket: Ticket,
        waiting_max: usize,
    ) -> Option<Ticket> {
        match self.ids.entry(hash) {
            Entry::Occupied(_) if self.waiting >= waiting_max => {
                ticket.fail(Failure::InFlight);
                None
            }
            Entry::Occupied(mut first) => {
                ticket.custody.put_off(Wait::First);
                first.get_mut().push(ticket);
                self.waiting += 1;
                None
            }
            Entry::Vacant(vacant) => {
                vacant.insert(Vec::new());
                ticket.first = Some(First { hash, ended: self.ended.clone() });
                Some(ticket)
            }
        }
    }

    /// Makes a ticket the first that came without an id that may come again; now it has.
    pub(super) fn adopt(&mut self, hash: IdHash, ticket: &mut Ticket) {
        self.ids.insert(hash, Vec::new());
        ticket.repeatable = true;
        ticket.first = Some(First { hash, ended: self.ended.clone() });
    }

    /// Tickets whose first one has ended, and whose senders still wait.
    pub(super) fn released(&mut self) -> Vec<Ticket> {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = std::mem::take(&mut *ended);
        let mut released: Vec<Ticket> =
            ended.into_iter().filter_map(|hash| self.ids.remove(&hash)).flatten().collect();
        self.waiting -= released.len();
        released.retain(|ticket| ticket.custody.take());
        released
    }

    /// Gives up all tickets that wait, when none of the firsts is left.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Ticket> + use<> {
        self.waiting = 0;
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).clear();
        std::mem::take(&mut self.ids).into_values().flatten().filter(|ticket| ticket.custody.take())
    }
}
