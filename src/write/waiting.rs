//! Commands that wait for their aggregate: for its state, or for the decisions before them.
//!
//! Nothing was done for them, so their senders may give them up.

use std::collections::{BTreeMap, VecDeque};

use crate::contract::Target;

use super::ticket::{Ticket, Wait};

/// All of a reign, by aggregate, each in the order in which they came.
#[derive(Default)]
pub(super) struct Waiting {
    aggregates: BTreeMap<Target, (Wait, VecDeque<Ticket>)>,
    len: usize,
}

impl Waiting {
    /// Lets the commands of an aggregate wait from now on.
    pub(super) fn begin(&mut self, target: Target, wait: Wait) {
        self.aggregates.entry(target).or_insert((wait, VecDeque::new()));
    }

    /// How many wait for an aggregate, if its commands have to.
    pub(super) fn len_of(&self, target: &Target) -> Option<usize> {
        self.aggregates.get(target).map(|(_, tickets)| tickets.len())
    }

    /// Lets a command wait behind the others of its aggregate.
    pub(super) fn push(&mut self, ticket: Ticket) {
        let (wait, tickets) =
            self.aggregates.get_mut(&ticket.target).expect("its aggregate's commands have to wait");
        ticket.custody.put_off(*wait);
        tickets.push_back(ticket);
        self.len += 1;
    }

    /// Takes what has waited for an aggregate, as far as its senders still wait.
    pub(super) fn take(&mut self, target: &Target) -> VecDeque<Ticket> {
        let Some((_, mut tickets)) = self.aggregates.remove(target) else { return VecDeque::new() };
        self.len -= tickets.len();
        tickets.retain(|ticket| ticket.custody.take());
        tickets
    }

    /// The same for all aggregates.
    pub(super) fn into_tickets(self) -> impl Iterator<Item = Ticket> {
        let tickets = self.aggregates.into_values().flat_map(|(_, tickets)| tickets);
        tickets.filter(|ticket| ticket.custody.take())
    }

    /// What waits for an aggregate.
    pub(super) fn tickets_mut(&mut self, target: &Target) -> impl Iterator<Item = &mut Ticket> {
        self.aggregates.get_mut(target).into_iter().flat_map(|(_, tickets)| tickets)
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Whether no aggregate has to be waited for.
    pub(super) fn is_empty(&self) -> bool {
        self.aggregates.is_empty()
    }
}
