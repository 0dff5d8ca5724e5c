//! The states that a writer holds in memory: those that were used lately.
//!
//! Each aggregate has two: what the log has proved (`settled`), and what that becomes when all
//! that is in flight counts (`tip`). Commands are decided on the tip; when a term ends, the tips
//! fall back to what is settled.
//!
//! When there is no room, an aggregate that was not used since the hand of the clock passed it is
//! forgotten: but only when its last commit is before the confirmed checkpoint of the state
//! space, so that a later read finds all of it there.

use std::collections::{HashMap, VecDeque};

use crate::contract::{Offset, Target, Time, Version};

use super::kind::State;
use super::pending::Pending;

/// Aggregates that the hand of the clock passes at once, at most.
const PASSED_MAX: usize = 2_000;

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
struct Entry {
    settled: Snapshot,
    /// What in-flight records make of it; `None` while nothing is in flight.
    tip: Option<Snapshot>,
    /// Why its history cannot be read, if it cannot. Once set it stays.
    unreadable: Option<Box<str>>,
    /// Whether a decision on it is under way.
    deciding: bool,
    /// Whether the state space lacks what is settled.
    dirty: bool,
    /// Whether the state space has something of it.
    stored: bool,
    /// Whether it was used since the hand of the clock passed.
    used: bool,
}

/// The aggregates of one partition, at most as many as there is room for.
pub(super) struct Aggregates {
    entries: HashMap<Target, Entry>,
    /// In the order in which the clock's hand passes.
    ring: VecDeque<Target>,
    len_max: usize,
    /// Room that is kept for aggregates that are being read.
    reserved: usize,
    /// Whether every aggregate of the partition is here: then an unknown one never existed.
    complete: bool,
    /// Everything before it is in the state space.
    confirmed: Offset,
    dirty: usize,
    unreadable: usize,
    /// Whether the rule of eviction is kept.
    checks_eviction: bool,
}

/// Why a command on an aggregate cannot be decided now.
pub(super) enum NoState {
    /// It is not in memory: the state space may have it, or it is new and there is no room.
    Missing,
    /// Its history cannot be read.
    Unreadable(String),
}

/// What of an aggregate goes into the state space.
pub(super) struct Stand {
    pub(super) settled: Snapshot,
    pub(super) unreadable: Option<Box<str>>,
    /// Whether the space has something of it already.
    pub(super) stored: bool,
}

/// What a commit that counts is to its aggregate.
pub(super) enum Place {
    /// The next one.
    Next,
    /// The state has it already: it was read from the state space.
    Known,
    /// The aggregate is not in memory.
    Unknown,
    /// Something came between that nobody of ours can have written.
    Wrong,
}

impl Aggregates {
    pub(super) fn new(len_max: usize, checks_eviction: bool) -> Self {
        Self {
            entries: HashMap::new(),
            ring: VecDeque::new(),
            len_max: len_max.max(1),
            reserved: 0,
            complete: false,
            confirmed: Offset(0),
            dirty: 0,
            unreadable: 0,
            checks_eviction,
        }
    }

    /// Forgets everything. What is known from now on is everything only if the log is read from
    /// its beginning.
    pub(super) fn begin(&mut self, confirmed: Offset, complete: bool) {
        *self = Self { complete, confirmed, ..Self::new(self.len_max, self.checks_eviction) };
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) const fn len_max(&self) -> usize {
        self.len_max
    }

    pub(super) const fn unreadable(&self) -> usize {
        self.unreadable
    }

    pub(super) const fn is_complete(&self) -> bool {
        self.complete
    }

    /// What the next command is decided on.
    pub(super) fn tip(&mut self, target: &Target) -> Result<Snapshot, NoState> {
        let Some(entry) = self.entries.get_mut(target) else {
            let is_new = self.complete && self.make_room();
            return if is_new { Ok(Snapshot::default()) } else { Err(NoState::Missing) };
        };
        entry.used = true;
        match &entry.unreadable {
            Some(why) => Err(NoState::Unreadable(why.to_string())),
            None => Ok(entry.tip.as_ref().unwrap_or(&entry.settled).clone()),
        }
    }

    /// Notes whether a decision on the aggregate goes on: its state stays meanwhile.
    pub(super) fn note_deciding(&mut self, target: &Target, deciding: bool) {
        if let Some(entry) = self.entries.get_mut(target) {
            entry.deciding = deciding;
        }
    }

    /// Notes what the aggregate becomes when the record just sent counts.
    pub(super) fn speculate(&mut self, target: &Target, tip: Snapshot) {
        match self.entries.get_mut(target) {
            Some(entry) => entry.tip = Some(tip),
            None => self.entry(target).tip = Some(tip),
        }
    }

    /// What a commit of this writer that counts is to its aggregate.
    pub(super) fn place(&self, target: &Target, offset: Offset, pending: &Pending) -> Place {
        let new = Entry::default();
        let Entry { settled, unreadable, .. } = match self.entries.get(target) {
            Some(entry) => entry,
            None if self.complete => &new,
            None => return Place::Unknown,
        };
        let decided_on = settled.version.plus(pending.done.events.len());
        if unreadable.is_none() && decided_on == pending.after.version {
            Place::Next
        } else if settled.offset.is_some_and(|last| last >= offset) {
            Place::Known
        } else {
            Place::Wrong
        }
    }

    /// Notes what the log has proved. Says whether the state space has to be told.
    pub(super) fn settle(&mut self, target: &Target, settled: Snapshot) -> bool {
        let entry = match self.entries.get_mut(target) {
            Some(entry) => entry,
            None => self.insert(target),
        };
        if entry.tip.as_ref().is_some_and(|tip| tip.version == settled.version) {
            entry.tip = None; // nothing of it is in flight any more
        }
        entry.settled = settled;
        let is_dirty = std::mem::replace(&mut entry.dirty, true);
        self.dirty += usize::from(!is_dirty);
        !is_dirty
    }

    /// Forgets everything that was in flight or being decided.
    pub(super) fn drop_tips(&mut self) {
        self.reserved = 0;
        for entry in self.entries.values_mut() {
            (entry.tip, entry.deciding) = (None, false);
        }
    }

    /// The settled state of an aggregate in the log, to fold an event into; `None` when it is
    /// neither here nor known to be new. Takes the state out, so that folding can work in place:
    /// the caller gives it back by [`Self::settle`] or [`Self::give_back`].
    pub(super) fn take_settled(&mut self, target: &Target) -> Option<Snapshot> {
        if !self.entries.contains_key(target) && !self.complete {
            return None;
        }
        Some(std::mem::take(&mut self.entry(target).settled))
    }

    /// Gives back what was taken and is not changed.
    pub(super) fn give_back(&mut self, target: &Target, settled: Snapshot) {
        self.entry(target).settled = settled;
    }

    /// Holds an aggregate back: commands on it are answered 503. Says whether the state space has
    /// to be told.
    pub(super) fn hold_back(&mut self, target: &Target, why: String) -> bool {
        let entry = self.entry(target);
        let is_new = entry.unreadable.replace(why.into()).is_none();
        self.unreadable += usize::from(is_new);
        self.note_unsaved(target)
    }

    /// Whether something of the aggregate is in flight or being decided.
    pub(super) fn is_busy(&self, target: &Target) -> bool {
        self.entries.get(target).is_some_and(|entry| entry.tip.is_some() || entry.deciding)
    }

    /// Notes that the state space lacks an aggregate. Says whether it has to be told.
    pub(super) fn note_unsaved(&mut self, target: &Target) -> bool {
        let is_dirty = std::mem::replace(&mut self.entry(target).dirty, true);
        self.dirty += usize::from(!is_dirty);
        !is_dirty
    }

    /// Whether the aggregate is held back.
    pub(super) fn is_held_back(&self, target: &Target) -> bool {
        self.entries.get(target).is_some_and(|entry| entry.unreadable.is_some())
    }

    /// Whether the aggregate is here; it counts as used.
    pub(super) fn touch(&mut self, target: &Target) -> bool {
        let entry = self.entries.get_mut(target);
        entry.map(|entry| entry.used = true).is_some()
    }

    /// How many more aggregates there is room for.
    pub(super) fn room(&self) -> usize {
        self.len_max.saturating_sub(self.entries.len() + self.reserved)
    }

    /// Keeps room for an aggregate that will be read; false when there is none.
    pub(super) fn reserve(&mut self) -> bool {
        let is_room = self.make_room();
        self.reserved += usize::from(is_room);
        is_room
    }

    /// Gives up room that was kept.
    pub(super) fn release(&mut self) {
        self.reserved = self.reserved.saturating_sub(1);
    }

    /// Takes what the state space has of an aggregate; the empty snapshot if nothing.
    pub(super) fn load(&mut self, target: &Target, stand: Stand) {
        self.unreadable += usize::from(stand.unreadable.is_some());
        let Stand { settled, unreadable, stored } = stand;
        *self.entry(target) = Entry { settled, unreadable, stored, used: true, ..Entry::default() };
    }

    /// What has to go into the state space of an aggregate; `None` when it is there already.
    pub(super) fn cut(&mut self, target: &Target) -> Option<Stand> {
        let entry = self.entries.get_mut(target).filter(|entry| entry.dirty)?;
        entry.dirty = false;
        self.dirty -= 1;
        let (settled, unreadable) = (entry.settled.clone(), entry.unreadable.clone());
        Some(Stand { settled, unreadable, stored: entry.stored })
    }

    /// Notes that the state space has something of an aggregate.
    pub(super) fn note_stored(&mut self, target: &Target) {
        if let Some(entry) = self.entries.get_mut(target) {
            entry.stored = true;
        }
    }

    /// Notes that everything before this offset is in the state space.
    pub(super) fn confirm(&mut self, next: Offset) {
        self.confirmed = next;
    }

    /// Forgets an aggregate if that is needed to have room for another one.
    fn make_room(&mut self) -> bool {
        self.room() > 0 || self.evict()
    }

    fn entry(&mut self, target: &Target) -> &mut Entry {
        if self.entries.contains_key(target) {
            return self.entries.get_mut(target).expect("it is there");
        }
        self.insert(target)
    }

    fn insert(&mut self, target: &Target) -> &mut Entry {
        self.ring.push_back(target.clone());
        self.entries.entry(target.clone()).or_default()
    }

    /// Lets the hand of the clock go round until there is room; false when nothing may go.
    pub(super) fn sweep(&mut self) -> bool {
        (0..=2 * self.ring.len() / PASSED_MAX).any(|_| self.make_room())
    }

    /// Forgets one aggregate, if one may be found soon.
    pub(super) fn evict(&mut self) -> bool {
        if self.dirty >= self.entries.len() && self.checks_eviction {
            return false;
        }
        for _ in 0..PASSED_MAX.min(2 * self.ring.len()) {
            let Some(target) = self.ring.pop_front() else { return false };
            let Some(entry) = self.entries.get_mut(&target) else { continue };
            let is_pinned = entry.is_pinned(self.confirmed, self.checks_eviction);
            if is_pinned || std::mem::take(&mut entry.used) {
                self.ring.push_back(target);
                continue;
            }
            self.dirty -= usize::from(entry.dirty);
            self.entries.remove(&target);
            self.complete = false;
            return true;
        }
        false
    }
}

impl Entry {
    /// The rule of eviction: whether something would be lost with it.
    fn is_pinned(&self, confirmed: Offset, checked: bool) -> bool {
        let is_stored = !self.dirty && self.settled.offset.is_none_or(|last| last < confirmed);
        let is_busy = self.tip.is_some() || self.deciding || self.unreadable.is_some();
        is_busy || (checked && !is_stored)
    }
}
