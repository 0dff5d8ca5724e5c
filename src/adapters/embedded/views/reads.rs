//! Reading: every read is of one snapshot, so that it sees all of a commit or nothing.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use fjall::{Readable, Snapshot};

use crate::contract::Time;
use crate::ports::{Listed, RangeQuery, Space, SpaceState, StoreError};

use super::Opened;
use super::expiry::{is_kept, parse_expires_at, split_expires_at};
use super::fault::{torn, unavailable};
use super::keys::{SpaceKeys, end_of};

impl Opened {
    pub(super) fn read(
        &self,
        space: &Space,
        keys: &[String],
    ) -> Result<(SpaceState, Vec<Option<Bytes>>), StoreError> {
        let (space_keys, now) = (SpaceKeys::of(space), self.clock.now());
        let snapshot = self.database.snapshot();
        let values = keys
            .iter()
            .map(|key| self.value(&snapshot, space, &space_keys.value(key.as_bytes()), now));
        let values = values.collect::<Result<_, StoreError>>()?;
        Ok((self.state(&snapshot, space, &space_keys)?, values))
    }

    pub(super) fn read_map(
        &self,
        space: &Space,
        map: &str,
    ) -> Result<(SpaceState, BTreeMap<String, Bytes>), StoreError> {
        let (keys, now) = (SpaceKeys::of(space), self.clock.now());
        let snapshot = self.database.snapshot();
        let state = self.state(&snapshot, space, &keys)?;
        if !is_kept(self.map_expires_at(&snapshot, space, &keys, map)?, now) {
            return Ok((state, BTreeMap::new()));
        }
        let prefix = keys.fields(map);
        let fields = snapshot.prefix(&self.keyspace, &prefix).map(|entry| {
            let (key, value) = entry.into_inner().map_err(|error| unavailable(&error))?;
            let field = std::str::from_utf8(&key[prefix.len()..])
                .map_err(|_| torn(space, "a field's name is no text"))?;
            Ok((field.to_owned(), Bytes::from(value)))
        });
        Ok((state, fields.collect::<Result<_, StoreError>>()?))
    }

    pub(super) fn range(
        &self,
        space: &Space,
        query: &RangeQuery,
    ) -> Result<(SpaceState, Vec<Bytes>), StoreError> {
        let (keys, snapshot) = (SpaceKeys::of(space), self.database.snapshot());
        let state = self.state(&snapshot, space, &keys)?;
        Ok((state, self.members(&snapshot, &keys, query).collect::<Result<_, _>>()?))
    }

    pub(super) fn page(
        &self,
        space: &Space,
        query: &RangeQuery,
        bytes_max: usize,
    ) -> Result<(SpaceState, Vec<Listed>), StoreError> {
        let (keys, now) = (SpaceKeys::of(space), self.clock.now());
        let snapshot = self.database.snapshot();
        let (mut page, mut bytes) = (Vec::new(), 0);
        for member in self.members(&snapshot, &keys, query) {
            if bytes > bytes_max {
                break;
            }
            let member = member?;
            let key = keys.value(Listed::key_of(&member));
            let value = self.value(&snapshot, space, &key, now)?;
            bytes += value.as_ref().map_or(0, Bytes::len);
            page.push(Listed { member, value });
        }
        Ok((self.state(&snapshot, space, &keys)?, page))
    }

    /// The members of a range, as they are asked for.
    fn members(
        &self,
        snapshot: &Snapshot,
        keys: &SpaceKeys,
        query: &RangeQuery,
    ) -> impl Iterator<Item = Result<Bytes, StoreError>> {
        let prefix = keys.members(&query.index);
        let within = |member: &Bytes| keys.member(&query.index, member);
        let from = match query.from.as_ref().map(within) {
            Bound::Unbounded => Bound::Included(prefix.clone()),
            bound => bound,
        };
        let to = match query.to.as_ref().map(within) {
            Bound::Unbounded => Bound::Excluded(end_of(prefix.clone())),
            bound => bound,
        };
        let entries = (!query.is_empty()).then(|| snapshot.range(&self.keyspace, (from, to)));
        let (mut entries, descending) = (entries.into_iter().flatten(), query.descending);
        let next = move || if descending { entries.next_back() } else { entries.next() };
        std::iter::from_fn(next).take(query.limit).map(move |entry| {
            let key = Bytes::from(entry.key().map_err(|error| unavailable(&error))?);
            Ok(key.slice(prefix.len()..))
        })
    }

    /// The value under a whole key, unless it has expired.
    fn value(
        &self,
        snapshot: &Snapshot,
        space: &Space,
        key: &[u8],
        now: Time,
    ) -> Result<Option<Bytes>, StoreError> {
        let Some(stored) = self.get(snapshot, key)? else { return Ok(None) };
        let (expires_at, value) =
            split_expires_at(&stored).ok_or_else(|| torn(space, "a value has no expiry"))?;
        Ok(is_kept(expires_at, now).then_some(value))
    }

    pub(super) fn state(
        &self,
        snapshot: &Snapshot,
        space: &Space,
        keys: &SpaceKeys,
    ) -> Result<SpaceState, StoreError> {
        SpaceState::from_text(space, self.get(snapshot, &keys.state())?.as_deref())
    }

    pub(super) fn map_expires_at(
        &self,
        snapshot: &Snapshot,
        space: &Space,
        keys: &SpaceKeys,
        map: &str,
    ) -> Result<Option<Time>, StoreError> {
        let Some(stored) = self.get(snapshot, &keys.map(map))? else { return Ok(None) };
        let expires_at = parse_expires_at(&stored);
        expires_at.map(Some).ok_or_else(|| torn(space, "a map's expiry is unreadable"))
    }

    pub(super) fn get(&self, snapshot: &Snapshot, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let stored = snapshot.get(&self.keyspace, key).map_err(|error| unavailable(&error))?;
        Ok(stored.map(Bytes::from))
    }
}
