//! The states that a writer holds in memory.
//!
//! Each aggregate has two: what the log has proved (`settled`), and what that becomes when all
//! that is in flight counts (`tip`). Commands are decided on the tip; when a term ends, the tips
//! fall back to what is settled.

use std::collections::HashMap;

use crate::contract::{Offset, Target, Time, Version};

use super::kind::State;
use super::pending::Pending;

/// An aggregate at one version.
#[derive(Clone, Default)]
pub(super) struct Snapshot {
    pub(super) version: Version,
    /// `None` before the first event.
    pub(super) state: Option<State>,
    /// The last commit of the aggregate; `None` before the first.
    pub(super) offset: Option<Offset>,
    /// The time of the last commit, which the next one's may not precede.
    pub(super) time: Time,
}

/// What the writer knows of one aggregate.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) settled: Snapshot,
    /// What in-flight records make of it; `None` while nothing is in flight.
    pub(super) tip: Option<Snapshot>,
    /// Why its history cannot be read, if it cannot. Once set it stays.
    pub(super) unreadable: Option<Box<str>>,
}

/// All aggregates of one partition, at most as many as there is room for.
pub(super) struct Aggregates {
    entries: HashMap<Target, Entry>,
    len_max: usize,
    /// Whether an aggregate in the log found no room: then an unknown one may have a history.
    overflowed: bool,
    unreadable: usize,
}

/// Why a command on an aggregate cannot be decided.
pub(super) enum NoState {
    /// There is no room for it.
    CacheFull(usize),
    /// Its history cannot be read.
    Unreadable(String),
}

impl Aggregates {
    pub(super) fn new(len_max: usize) -> Self {
        Self { entries: HashMap::new(), len_max, overflowed: false, unreadable: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) const fn unreadable(&self) -> usize {
        self.unreadable
    }

    /// What the next command is decided on.
    pub(super) fn tip(&self, target: &Target) -> Result<Snapshot, NoState> {
        match self.entries.get(target) {
            Some(Entry { unreadable: Some(why), .. }) => Err(NoState::Unreadable(why.to_string())),
            Some(entry) => Ok(entry.tip.as_ref().unwrap_or(&entry.settled).clone()),
            None if self.overflowed || self.entries.len() >= self.len_max => {
                Err(NoState::CacheFull(self.len_max))
            }
            None => Ok(Snapshot::default()),
        }
    }

    /// Notes what the aggregate becomes when the record just sent counts.
    pub(super) fn speculate(&mut self, target: &Target, tip: Snapshot) {
        if let Some(entry) = self.entries.get_mut(target) {
            entry.tip = Some(tip);
        } else {
            self.entries.insert(target.clone(), Entry { tip: Some(tip), ..Entry::default() });
        }
    }

    /// Whether this commit is the next of its aggregate.
    pub(super) fn follows(&self, target: &Target, pending: &Pending) -> bool {
        let Some(entry) = self.entries.get(target) else { return false };
        let decided_on = entry.settled.version.plus(pending.done.events.len());
        entry.unreadable.is_none() && decided_on == pending.after.version
    }

    /// Notes what the log has proved.
    pub(super) fn settle(&mut self, target: &Target, settled: Snapshot) {
        let Some(entry) = self.entries.get_mut(target) else { return };
        if entry.tip.as_ref().is_some_and(|tip| tip.version == settled.version) {
            entry.tip = None; // nothing of it is in flight any more
        }
        entry.settled = settled;
    }

    /// Forgets everything that was in flight.
    pub(super) fn drop_tips(&mut self) {
        self.entries.retain(|_, entry| {
            entry.tip = None;
            entry.settled.state.is_some() || entry.unreadable.is_some()
        });
    }

    /// The settled state of an aggregate in the log, to fold an event into; `None` when there
    /// is no room for it. Takes the state out, so that folding can work in place: the caller
    /// gives it back by [`Self::put`].
    pub(super) fn take_settled(&mut self, target: &Target) -> Option<Snapshot> {
        if let Some(entry) = self.entries.get_mut(target) {
            return Some(std::mem::take(&mut entry.settled));
        }
        if self.entries.len() >= self.len_max {
            self.overflowed = true;
            return None;
        }
        Some(Snapshot::default())
    }

    /// Sets the settled state after a record of somebody else.
    pub(super) fn put(&mut self, target: Target, settled: Snapshot) {
        self.entries.entry(target).or_default().settled = settled;
    }

    /// Holds an aggregate back for good: commands on it are answered 503.
    pub(super) fn hold_back(&mut self, target: Target, why: String) {
        let entry = self.entries.entry(target).or_default();
        if entry.unreadable.replace(why.into()).is_none() {
            self.unreadable += 1;
        }
    }

    /// Whether the aggregate is held back.
    pub(super) fn is_held_back(&self, target: &Target) -> bool {
        self.entries.get(target).is_some_and(|entry| entry.unreadable.is_some())
    }
}
