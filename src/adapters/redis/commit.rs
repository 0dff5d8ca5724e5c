//! The commit: changes are sorted by what Redis does with them, and sent to one script.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use redis::{Cmd, Value};

use crate::ports::{Change, Commit, Space, SpaceState, StoreError};

use super::RedisViews;
use super::fault::{fault, torn};
use super::keys::SpaceKeys;

/// The changes of a commit, each key, field and member once.
#[derive(Default)]
struct Sorted<'a> {
    puts: Vec<(&'a str, &'a [u8])>,
    deletes: Vec<&'a str>,
    expiring: Vec<(&'a str, &'a [u8], u64)>,
    indexes: BTreeMap<&'a str, Members<'a>>,
    maps: BTreeMap<&'a str, Fields<'a>>,
}

#[derive(Default)]
struct Members<'a> {
    added: Vec<&'a [u8]>,
    removed: Vec<&'a [u8]>,
}

#[derive(Default)]
struct Fields<'a> {
    /// 0 for ever; none: as it is.
    expires_in_millis: Option<u64>,
    put: Vec<(&'a str, &'a [u8])>,
    removed: Vec<&'a str>,
}

impl RedisViews {
    pub(super) async fn commit_checked(
        &self,
        space: &Space,
        expected: &SpaceState,
        new: &SpaceState,
        changes: &[Change],
    ) -> Result<Commit, StoreError> {
        let keys = self.keys.of(space);
        let sorted = Sorted::of(changes);
        let (expected, new) = (expected.to_text(), new.to_text());
        let add = |cmd: &mut Cmd| {
            sorted.add_keys(cmd, &keys);
            cmd.arg(&expected).arg(&new).arg(keys.channel());
            sorted.add_arguments(cmd);
        };
        let answer = self.scripts.commit.run(&self.writes, sorted.keys_len(), add).await;
        match answer.map_err(|error| fault(space, &error))? {
            Value::Int(1) => Ok(Commit::Committed),
            Value::BulkString(text) => SpaceState::from_text(space, Some(&text)).map(Commit::Stale),
            answer => Err(torn(space, &format!("the commit answers {answer:?}"))),
        }
    }
}

impl<'a> Sorted<'a> {
    /// The later of two changes to one key is met first and the other left out.
    fn of(changes: &'a [Change]) -> Self {
        let mut sorted = Self::default();
        let mut seen = HashSet::with_capacity(changes.len());
        for change in changes.iter().rev() {
            if seen.insert(target(change)) {
                sorted.add(change);
            } else if let Change::PutField { map, expires_in, .. } = change {
                sorted.maps.entry(map).or_default().keep(*expires_in);
            }
        }
        sorted
    }

    fn add(&mut self, change: &'a Change) {
        match change {
            Change::Put { key, value, expires_in: None } => self.puts.push((key, value)),
            Change::Put { key, value, expires_in: Some(expires_in) } => {
                self.expiring.push((key, value, millis(*expires_in)));
            }
            Change::Delete { key } => self.deletes.push(key),
            Change::PutField { map, field, value, expires_in } => {
                let fields = self.maps.entry(map).or_default();
                fields.keep(*expires_in);
                fields.put.push((field, value));
            }
            Change::DeleteField { map, field } => {
                self.maps.entry(map).or_default().removed.push(field);
            }
            Change::IndexPut { index, member } => {
                self.indexes.entry(index).or_default().added.push(member);
            }
            Change::IndexDelete { index, member } => {
                self.indexes.entry(index).or_default().removed.push(member);
            }
        }
    }

    fn keys_len(&self) -> usize {
        let values = self.puts.len() + self.deletes.len() + self.expiring.len();
        2 + values + self.indexes.len() + self.maps.len()
    }

    fn add_keys(&self, cmd: &mut Cmd, keys: &SpaceKeys) {
        cmd.arg(keys.checkpoint()).arg(keys.parts());
        let values = self.puts.iter().map(|(key, _)| key).chain(&self.deletes);
        let values = values.chain(self.expiring.iter().map(|(key, ..)| key));
        for key in values {
            cmd.arg(keys.key(key));
        }
        for index in self.indexes.keys() {
            cmd.arg(keys.index(index));
        }
        for map in self.maps.keys() {
            cmd.arg(keys.key(map));
        }
    }

    fn add_arguments(&self, cmd: &mut Cmd) {
        cmd.arg(self.puts.len()).arg(self.deletes.len()).arg(self.expiring.len());
        cmd.arg(self.indexes.len()).arg(self.maps.len());
        for (_, value) in &self.puts {
            cmd.arg(value);
        }
        for (_, value, millis) in &self.expiring {
            cmd.arg(value).arg(millis);
        }
        for members in self.indexes.values() {
            cmd.arg(members.added.len()).arg(members.removed.len());
            cmd.arg(&members.added).arg(&members.removed);
        }
        for fields in self.maps.values() {
            match fields.expires_in_millis {
                Some(millis) => cmd.arg(millis),
                None => cmd.arg(""),
            };
            cmd.arg(fields.put.len()).arg(fields.removed.len());
            cmd.arg(&fields.put).arg(&fields.removed);
        }
    }
}

impl Fields<'_> {
    /// The expiry that is met first is the last one.
    fn keep(&mut self, expires_in: Option<Duration>) {
        self.expires_in_millis.get_or_insert(expires_in.map_or(0, millis));
    }
}

/// What a change is a change of: kind, key, field or member.
fn target(change: &Change) -> (u8, &str, &[u8]) {
    match change {
        Change::Put { key, .. } | Change::Delete { key } => (0, key, &[]),
        Change::PutField { map, field, .. } | Change::DeleteField { map, field } => {
            (1, map, field.as_bytes())
        }
        Change::IndexPut { index, member } | Change::IndexDelete { index, member } => {
            (2, index, member)
        }
    }
}

/// Redis refuses 0, and what is beyond the end of its time.
fn millis(expires_in: Duration) -> u64 {
    const HUNDRED_YEARS: u64 = 100 * 365 * 24 * 60 * 60 * 1_000;
    u64::try_from(expires_in.as_millis()).unwrap_or(HUNDRED_YEARS).clamp(1, HUNDRED_YEARS)
}
