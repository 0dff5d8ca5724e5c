//! Dropping a space, in steps: each removes the state, if there is one again, and some keys.

use std::ops::Bound;

use fjall::Readable;

use crate::ports::{Dropped, Space, StoreError};

use super::Opened;
use super::fault::unavailable;
use super::keys::{SpaceKeys, end_of};

impl Opened {
    pub(super) fn drop_space(&self, space: &Space, keys_max: usize) -> Result<Dropped, StoreError> {
        let mut locked = self.lock(space);
        let keys = SpaceKeys::of(space);
        let snapshot = self.database.snapshot();
        let state_key = keys.state();
        let had_state = self.get(&snapshot, &state_key)?.is_some();
        // What has been removed is still searched through until the disk is tidied up, so a step
        // begins where the last one ended.
        let from = match locked.get_mut(space).and_then(|progress| progress.dropped_to.take()) {
            Some(dropped_to) => Bound::Excluded(dropped_to),
            None => Bound::Included(keys.all()),
        };
        let range = (from, Bound::Excluded(end_of(keys.all())));
        let mut removed = Vec::new();
        let mut dropped = Dropped::All;
        for entry in snapshot.range(&self.keyspace, range) {
            if removed.len() >= keys_max.max(1) {
                dropped = Dropped::More;
                break;
            }
            let key = entry.key().map_err(|error| unavailable(&error))?.to_vec();
            if key != state_key {
                removed.push(key);
            }
        }
        let last = removed.last().cloned();
        let state = had_state.then_some(state_key);
        self.write(state.into_iter().chain(removed).map(|key| (key, None)))?;
        match dropped {
            Dropped::All => drop(locked.remove(space)),
            Dropped::More => locked.entry(space.clone()).or_default().dropped_to = last,
        }
        drop(locked);
        if had_state {
            self.watchers.moved(&space.to_string());
        }
        Ok(dropped)
    }
}
