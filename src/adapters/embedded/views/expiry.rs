//! What expires: how it is written, and how it is removed.
//!
//! Nothing that has expired is ever read, so removing it only frees the disk. No timer does: each
//! commit removes some of what has expired in its space, from a queue ordered by time. An entry
//! of the queue says when to look, not what to remove: a value may have been put again since.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use fjall::Readable;

use crate::contract::Time;
use crate::ports::StoreError;

use super::commit::Writes;
use super::fault::{torn, unavailable};
use super::keys::{Kind, end_of};

/// Entries of the queue that a commit looks at, at most: more than it adds in the long run.
const LOOKS_MAX: usize = 1_000;

impl Writes<'_> {
    /// Removes some of what has expired.
    pub(super) fn remove_expired(&mut self) -> Result<(), StoreError> {
        if self.now < self.next_expiry {
            return Ok(());
        }
        let range = self.keys.expiries_from(self.next_expiry)..end_of(self.keys.expiries());
        self.next_expiry = Time::from_millis(i64::MAX);
        let entries = self.snapshot.range(&self.opened.keyspace, range);
        for (looked, entry) in entries.enumerate() {
            let entry = entry.key().map_err(|error| unavailable(&error))?;
            let (time, kind, key) = self
                .keys
                .parse_expiry(&entry)
                .ok_or_else(|| torn(self.space, "an expiry is unreadable"))?;
            if time > self.now || looked == LOOKS_MAX {
                self.next_expiry = time.min(self.next_expiry);
                break;
            }
            self.remove(entry.to_vec());
            match kind {
                Kind::Value => self.remove_expired_value(key)?,
                Kind::Map => self.remove_expired_map(key)?,
            }
        }
        Ok(())
    }

    /// A map is small enough to be read at once, so it is small enough to be removed at once.
    pub(super) fn remove_map(&mut self, map: &str) -> Result<(), StoreError> {
        self.remove(self.keys.map(map));
        for field in self.snapshot.prefix(&self.opened.keyspace, self.keys.fields(map)) {
            self.remove(field.key().map_err(|error| unavailable(&error))?.to_vec());
        }
        Ok(())
    }

    fn remove_expired_value(&mut self, key: &str) -> Result<(), StoreError> {
        let key = self.keys.value(key.as_bytes());
        let stored = self.opened.get(&self.snapshot, &key)?;
        let expires_at = stored.as_ref().and_then(split_expires_at).and_then(|(at, _)| at);
        if !is_kept(expires_at, self.now) {
            self.remove(key);
        }
        Ok(())
    }

    fn remove_expired_map(&mut self, map: &str) -> Result<(), StoreError> {
        match self.opened.map_expires_at(&self.snapshot, self.space, &self.keys, map)? {
            Some(at) if at > self.now => self.look_at(at, Kind::Map, map),
            Some(_) => self.remove_map(map)?,
            None => {}
        }
        Ok(())
    }
}

pub(super) fn is_kept(expires_at: Option<Time>, now: Time) -> bool {
    expires_at.is_none_or(|expires_at| now < expires_at)
}

/// A value as it is stored.
pub(super) fn with_expires_at(expires_at: Option<Time>, value: &[u8]) -> Bytes {
    let mut stored = BytesMut::with_capacity(8 + value.len());
    stored.put_i64(millis(expires_at));
    stored.put_slice(value);
    stored.freeze()
}

/// What [`with_expires_at`] was made of.
pub(super) fn split_expires_at(stored: &Bytes) -> Option<(Option<Time>, Bytes)> {
    let millis = stored.clone().try_get_i64().ok()?;
    Some(((millis != i64::MAX).then_some(Time::from_millis(millis)), stored.slice(8..)))
}

/// A map's expiry as it is stored.
pub(super) fn expires_at_bytes(expires_at: Option<Time>) -> Bytes {
    with_expires_at(expires_at, &[])
}

/// What [`expires_at_bytes`] was made of, for a map that expires.
pub(super) fn parse_expires_at(stored: &Bytes) -> Option<Time> {
    split_expires_at(stored).and_then(|(expires_at, _)| expires_at)
}

/// What is kept for ever expires at the end of time.
fn millis(expires_at: Option<Time>) -> i64 {
    expires_at.map_or(i64::MAX, Time::millis)
}
