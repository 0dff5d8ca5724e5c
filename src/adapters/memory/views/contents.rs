//! What is in one space. Values and maps that expire stand in a queue by time, each once.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::contract::Time;
use crate::ports::{Change, Dropped, Listed, RangeQuery, SpaceState};

#[derive(Clone, Default)]
pub(super) struct Contents {
    pub(super) state: SpaceState,
    values: BTreeMap<String, Value>,
    maps: BTreeMap<String, Map>,
    indexes: BTreeMap<String, BTreeSet<Bytes>>,
    expiring: BTreeSet<(Time, Kind, String)>,
}

#[derive(Clone)]
struct Value {
    bytes: Bytes,
    expires_at: Option<Time>,
}

#[derive(Clone, Default)]
struct Map {
    fields: BTreeMap<String, Bytes>,
    expires_at: Option<Time>,
}

#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum Kind {
    Value,
    Map,
}

impl Contents {
    pub(super) fn value(&self, key: &str, now: Time) -> Option<Bytes> {
        let value = self.values.get(key).filter(|value| is_kept(value.expires_at, now));
        value.map(|value| value.bytes.clone())
    }

    pub(super) fn map(&self, map: &str, now: Time) -> BTreeMap<String, Bytes> {
        let map = self.maps.get(map).filter(|map| is_kept(map.expires_at, now));
        map.map(|map| map.fields.clone()).unwrap_or_default()
    }

    pub(super) fn range(&self, query: &RangeQuery) -> Vec<Bytes> {
        let Some(members) = self.indexes.get(&query.index).filter(|_| !query.is_empty()) else {
            return Vec::new();
        };
        let members = members.range((query.from.clone(), query.to.clone())).cloned();
        if query.descending {
            members.rev().take(query.limit).collect()
        } else {
            members.take(query.limit).collect()
        }
    }

    pub(super) fn page(&self, query: &RangeQuery, bytes_max: usize, now: Time) -> Vec<Listed> {
        let (mut page, mut bytes) = (Vec::new(), 0);
        for member in self.range(query) {
            if bytes > bytes_max {
                break;
            }
            let key = std::str::from_utf8(Listed::key_of(&member)).ok();
            let value = key.and_then(|key| self.value(key, now));
            bytes += value.as_ref().map_or(0, Bytes::len);
            page.push(Listed { member, value });
        }
        page
    }

    /// What has expired is removed before changes are applied, so that a field put into an
    /// expired map is put into a new one.
    pub(super) fn remove_expired(&mut self, now: Time) {
        while let Some((time, kind, key)) = self.expiring.pop_first() {
            if time > now {
                self.expiring.insert((time, kind, key));
                return;
            }
            match kind {
                Kind::Value => drop(self.values.remove(&key)),
                Kind::Map => drop(self.maps.remove(&key)),
            }
        }
    }

    pub(super) fn apply(&mut self, change: &Change, now: Time) {
        match change {
            Change::Put { key, value, expires_in } => {
                let expires_at = Change::expires_at(now, *expires_in);
                let value = Value { bytes: value.clone(), expires_at };
                let old = self.values.insert(key.clone(), value);
                self.requeue(Kind::Value, key, old.and_then(|old| old.expires_at), expires_at);
            }
            Change::Delete { key } => {
                let old = self.values.remove(key);
                self.requeue(Kind::Value, key, old.and_then(|old| old.expires_at), None);
            }
            Change::PutField { map: key, field, value, expires_in } => {
                let map = self.maps.entry(key.clone()).or_default();
                map.fields.insert(field.clone(), value.clone());
                let old = map.expires_at;
                map.expires_at = Change::expires_at(now, *expires_in);
                let new = map.expires_at;
                self.requeue(Kind::Map, key, old, new);
            }
            Change::DeleteField { map: key, field } => self.delete_field(key, field),
            Change::IndexPut { index, member } => {
                self.indexes.entry(index.clone()).or_default().insert(member.clone());
            }
            Change::IndexDelete { index, member } => {
                if let Some(members) = self.indexes.get_mut(index) {
                    members.remove(member);
                }
            }
        }
    }

    /// Removes at most `keys_max` values, fields and members.
    pub(super) fn remove_some(&mut self, keys_max: usize) -> Dropped {
        for _ in 0..keys_max {
            if !self.remove_one() {
                return Dropped::All;
            }
        }
        Dropped::More
    }

    fn remove_one(&mut self) -> bool {
        if self.values.pop_first().is_some() {
            return true;
        }
        if let Some(mut map) = self.maps.first_entry() {
            map.get_mut().fields.pop_first();
            if map.get().fields.is_empty() {
                map.remove();
            }
            return true;
        }
        if let Some(mut index) = self.indexes.first_entry() {
            index.get_mut().pop_first();
            if index.get().is_empty() {
                index.remove();
            }
            return true;
        }
        false
    }

    fn delete_field(&mut self, key: &str, field: &str) {
        let Some(map) = self.maps.get_mut(key) else { return };
        map.fields.remove(field);
        if map.fields.is_empty() {
            let old = map.expires_at;
            self.maps.remove(key);
            self.requeue(Kind::Map, key, old, None);
        }
    }

    fn requeue(&mut self, kind: Kind, key: &str, old: Option<Time>, new: Option<Time>) {
        if old == new {
            return;
        }
        if let Some(old) = old {
            self.expiring.remove(&(old, kind, key.to_owned()));
        }
        if let Some(new) = new {
            self.expiring.insert((new, kind, key.to_owned()));
        }
    }
}

fn is_kept(expires_at: Option<Time>, now: Time) -> bool {
    expires_at.is_none_or(|expires_at| now < expires_at)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_has_expired_is_removed_and_nothing_else() {
        let (mut contents, now) = (Contents::default(), Time::from_millis(1_000));
        let (second, minute) = (Some(Duration::from_secs(1)), Some(Duration::from_secs(60)));
        for (key, expires_in) in [("a", second), ("b", minute), ("c", None), ("d", second)] {
            contents.apply(&put(key, expires_in), now);
            contents.apply(&put_field(key, expires_in), now);
        }
        for (key, expires_in) in [("b", second), ("d", None)] {
            contents.apply(&put(key, expires_in), now);
            contents.apply(&put_field(key, expires_in), now);
        }
        contents.remove_expired(Time::from_millis(2_000));
        assert!(contents.values.keys().eq(["c", "d"]));
        assert!(contents.maps.keys().eq(["c", "d"]));
        assert!(contents.expiring.is_empty());
    }

    fn put(key: &str, expires_in: Option<Duration>) -> Change {
        Change::Put { key: key.to_owned(), value: Bytes::new(), expires_in }
    }

    fn put_field(map: &str, expires_in: Option<Duration>) -> Change {
        let (map, field) = (map.to_owned(), "field".to_owned());
        Change::PutField { map, field, value: Bytes::new(), expires_in }
    }
}
