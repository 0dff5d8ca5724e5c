//! The commit: compare the state, gather all writes, write them as one batch.
//!
//! The space's lock is held all the while, so the state that was compared is the one that is
//! replaced. Writes are gathered by key: fjall gives all of a batch one number, so two writes of
//! one key in a batch would have no order.

use std::collections::BTreeMap;

use bytes::Bytes;
use fjall::Snapshot;

use crate::contract::Time;
use crate::ports::{Change, Commit, Space, SpaceState, StoreError};

use super::expiry::{expires_at_bytes, is_kept, with_expires_at};
use super::fault::unavailable;
use super::keys::{Kind, SpaceKeys};
use super::{Opened, Progress};

/// What one commit writes. What was gathered later takes the place of what was before.
pub(super) struct Writes<'a> {
    pub(super) opened: &'a Opened,
    pub(super) space: &'a Space,
    pub(super) keys: SpaceKeys,
    /// What was there before the commit.
    pub(super) snapshot: Snapshot,
    pub(super) now: Time,
    /// When to look again for what has expired.
    pub(super) next_expiry: Time,
    /// When the maps that were touched expire.
    maps: BTreeMap<String, Option<Time>>,
    /// Nothing stands for a removal.
    entries: BTreeMap<Vec<u8>, Option<Bytes>>,
}

impl Opened {
    pub(super) fn commit(
        &self,
        space: &Space,
        expected: &SpaceState,
        new: &SpaceState,
        changes: &[Change],
    ) -> Result<Commit, StoreError> {
        let mut locked = self.lock(space);
        let (keys, snapshot) = (SpaceKeys::of(space), self.database.snapshot());
        let state = self.state(&snapshot, space, &keys)?;
        if state != *expected {
            return Ok(Commit::Stale(state));
        }
        let next_expiry = locked
            .get(space)
            .map_or(Progress::default().next_expiry, |progress| progress.next_expiry);
        let mut writes = Writes {
            opened: self,
            space,
            keys,
            snapshot,
            now: self.clock.now(),
            next_expiry,
            maps: BTreeMap::new(),
            entries: BTreeMap::new(),
        };
        writes.remove_expired()?;
        changes.iter().try_for_each(|change| writes.apply(change))?;
        writes.set_state(new);
        let next_expiry = writes.next_expiry;
        self.write(writes.entries)?;
        locked.insert(space.clone(), Progress { next_expiry, dropped_to: None });
        drop(locked);
        self.watchers.moved(&space.to_string());
        Ok(Commit::Committed)
    }

    /// All or nothing.
    pub(super) fn write(
        &self,
        entries: impl IntoIterator<Item = (Vec<u8>, Option<Bytes>)>,
    ) -> Result<(), StoreError> {
        let mut batch = self.database.batch();
        for (key, value) in entries {
            match value {
                Some(value) => batch.insert(&self.keyspace, key, value),
                None => batch.remove(&self.keyspace, key),
            }
        }
        batch.commit().map_err(|error| unavailable(&error))
    }
}

impl Writes<'_> {
    pub(super) fn put(&mut self, key: Vec<u8>, value: Bytes) {
        self.entries.insert(key, Some(value));
    }

    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.entries.insert(key, None);
    }

    fn set_state(&mut self, new: &SpaceState) {
        let key = self.keys.state();
        match new {
            SpaceState::Empty => self.remove(key),
            state => self.put(key, state.to_text().into()),
        }
    }

    fn apply(&mut self, change: &Change) -> Result<(), StoreError> {
        match change {
            Change::Put { key, value, expires_in } => {
                let expires_at = Change::expires_at(self.now, *expires_in);
                self.put(self.keys.value(key.as_bytes()), with_expires_at(expires_at, value));
                if let Some(expires_at) = expires_at {
                    self.look_at(expires_at, Kind::Value, key);
                }
            }
            Change::Delete { key } => self.remove(self.keys.value(key.as_bytes())),
            Change::PutField { map, field, value, expires_in } => {
                self.keep_map(map, Change::expires_at(self.now, *expires_in))?;
                self.put(self.keys.field(map, field), value.clone());
            }
            Change::DeleteField { map, field } => self.remove(self.keys.field(map, field)),
            Change::IndexPut { index, member } => {
                self.put(self.keys.member(index, member), Bytes::new());
            }
            Change::IndexDelete { index, member } => {
                self.remove(self.keys.member(index, member));
            }
        }
        Ok(())
    }

    /// Sets how long a map is kept. One that has expired is emptied first.
    fn keep_map(&mut self, map: &str, expires_at: Option<Time>) -> Result<(), StoreError> {
        let before = match self.maps.get(map) {
            Some(before) => *before,
            None => {
                let before =
                    self.opened.map_expires_at(&self.snapshot, self.space, &self.keys, map)?;
                if is_kept(before, self.now) {
                    before
                } else {
                    self.remove_map(map)?;
                    None
                }
            }
        };
        self.maps.insert(map.to_owned(), expires_at);
        let key = self.keys.map(map);
        match expires_at {
            None => self.remove(key),
            Some(at) => {
                self.put(key, expires_at_bytes(Some(at)));
                // A map that will be looked at before is looked at again when it expires: every
                // field would queue it anew otherwise.
                if before.is_none_or(|before| at < before) {
                    self.look_at(at, Kind::Map, map);
                }
            }
        }
        Ok(())
    }

    /// Queues what expires.
    pub(super) fn look_at(&mut self, time: Time, kind: Kind, key: &str) {
        self.put(self.keys.expiry(time, kind, key), Bytes::new());
        self.next_expiry = self.next_expiry.min(time);
    }
}
