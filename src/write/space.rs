//! The state space of a partition: where its aggregates' states are, beside the log.
//!
//! Its name contains a hash of all aggregates' schemas: a binary with another schema has a space
//! of its own. What is in it is derived from the log, and is worth no more than its checkpoint.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::contract::{Offset, Partition, Target, Time, Version};
use crate::events::first_16_bytes_of_sha256;
use crate::gate::{Gate, GateState};
use crate::log::Checkpoint;
use crate::ports::{
    Change, Commit, Dropped, KEY_INDEX, Space, SpaceState, StoreError, ViewStore,
};

use super::aggregates::{Snapshot, Stand};
use super::kind::Kinds;
use super::outcomes::{HOURS_KEPT, IdHash};
use super::unsaved::NewKey;

/// Values read at once.
pub(super) const READ_MAX: usize = 1_000;

/// The name of every state space.
const NAME: &str = "state";

/// Where the states of one partition are. Cheap to clone.
#[derive(Clone)]
pub(super) struct StateSpace {
    store: Arc<dyn ViewStore>,
    gate: Gate,
    space: Space,
    kinds: Kinds,
    /// Which binary found that something cannot be read: another may be able to.
    reader: Arc<str>,
}

/// One commit, fixed: when nobody knows whether it happened, the very same is tried again.
pub(super) struct Cut {
    pub(super) until: Checkpoint,
    pub(super) states: Vec<(Target, Stand)>,
    pub(super) keys: Vec<NewKey>,
    /// What has expired by now is not stored.
    pub(super) now: Time,
}

/// A value: an aggregate's state, or why there is none.
#[derive(Deserialize, Serialize)]
struct Stored<'a> {
    version: Version,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<Offset>,
    time: Time,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    state: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<Mark>,
}

/// Why a history cannot be read, and by whom.
#[derive(Deserialize, Serialize)]
struct Mark {
    why: String,
    reader: String,
}

impl StateSpace {
    pub(super) fn new(
        store: Arc<dyn ViewStore>,
        gate: Gate,
        kinds: Kinds,
        partition: Partition,
    ) -> Self {
        let space = Space::new(NAME, generation_of(&kinds), partition);
        let reader = reader_of(&kinds).to_string().into();
        Self { store, gate, space, kinds, reader }
    }

    /// The most aggregates that fit one commit: each may need two changes, and beside them are
    /// the keys of two hours.
    pub(super) fn states_max(&self) -> usize {
        self.store.changes_max().saturating_sub(2) / 2
    }

    /// The state of the space and what it has of these aggregates, at one instant.
    pub(super) async fn read(
        &self,
        targets: &[Target],
    ) -> Result<(SpaceState, Vec<Option<Bytes>>), StoreError> {
        self.check_gate()?;
        let keys: Vec<String> = targets.iter().map(key_of).collect();
        self.store.read(&self.space, &keys).await
    }

    /// What a value says; an aggregate without one has no events.
    pub(super) fn decode(&self, target: &Target, value: Option<&[u8]>) -> Result<Stand, String> {
        let Some(value) = value else {
            let settled = Snapshot::default();
            return Ok(Stand { settled, unreadable: None, stored: false });
        };
        let stored: Stored<'_> = serde_json::from_slice(value).map_err(|e| e.to_string())?;
        let kind = self.kinds.get(target.aggregate_type()).ok_or("its type is not known")?;
        let state = stored.state.map(|state| kind.decode_state(state.get())).transpose()?;
        let unreadable = match stored.unreadable {
            Some(mark) if mark.reader != *self.reader => {
                return Err(format!("another binary found: {}", mark.why));
            }
            mark => mark.map(|mark| mark.why.into()),
        };
        let Stored { version, offset, time, .. } = stored;
        let settled = Snapshot { version, state, offset, time };
        Ok(Stand { settled, unreadable, stored: true })
    }

    /// Commits a cut. Says whether the space has it now, or what state it is in instead.
    pub(super) async fn commit(
        &self,
        expected: &SpaceState,
        cut: &Cut,
    ) -> Result<Commit, StoreError> {
        self.check_gate()?;
        let new = SpaceState::At(cut.until);
        let changes = self.changes(cut).map_err(StoreError::Unavailable)?;
        match self.store.commit(&self.space, expected, &new, &changes).await? {
            // An earlier attempt, of which nobody knew whether it happened.
            Commit::Stale(state) if state == new => Ok(Commit::Committed),
            commit => Ok(commit),
        }
    }

    /// Removes everything.
    pub(super) async fn drop_whole(&self) -> Result<(), StoreError> {
        self.check_gate()?;
        let keys_max = self.store.changes_max();
        while self.store.drop_space(&self.space, keys_max).await? != Dropped::All {}
        Ok(())
    }

    /// Where the outcomes of one hour are; the space's state at that instant.
    pub(super) async fn read_hour(
        &self,
        hour: i64,
    ) -> Result<(SpaceState, Vec<NewKey>), StoreError> {
        let (state, fields) = self.store.read_map(&self.space, &map_of(hour)).await?;
        let mut keys: Vec<NewKey> =
            fields.values().flat_map(|packed| unpack(packed, hour)).collect();
        keys.sort_by_key(|key| key.offset);
        Ok((state, keys))
    }

    fn changes(&self, cut: &Cut) -> Result<Vec<Change>, String> {
        let mut changes = Vec::with_capacity(2 * cut.states.len() + 2);
        for (target, stand) in &cut.states {
            let key = key_of(target);
            if !stand.stored {
                let (index, member) = (KEY_INDEX.to_owned(), Bytes::from(key.clone()));
                changes.push(Change::IndexPut { index, member });
            }
            let value = self.encode(target, stand)?.into();
            changes.push(Change::Put { key, value, expires_in: None });
        }
        for (hour, keys) in by_hour(&cut.keys) {
            if is_expired(hour, cut.now) {
                continue;
            }
            let (field, value) = (keys[0].offset.to_string(), pack(&keys));
            let expires_in = Some(Duration::from_hours(HOURS_KEPT.unsigned_abs()));
            changes.push(Change::PutField { map: map_of(hour), field, value, expires_in });
        }
        Ok(changes)
    }

    fn encode(&self, target: &Target, stand: &Stand) -> Result<Vec<u8>, String> {
        let Stand { settled, unreadable, .. } = stand;
        let kind = self.kinds.get(target.aggregate_type()).ok_or("its type is not known")?;
        let state = settled.state.as_ref().map(|state| kind.encode_state(state)).transpose();
        let state = state.map_err(|error| format!("the state of {target}: {error}"))?;
        let mark = unreadable.as_ref().map(|why| Mark {
            why: why.to_string(),
            reader: self.reader.to_string(),
        });
        let stored = Stored {
            version: settled.version,
            offset: settled.offset,
            time: settled.time,
            state: state.as_deref(),
            unreadable: mark,
        };
        serde_json::to_vec(&stored).map_err(|error| error.to_string())
    }

    /// A store whose settings are wrong is not believed.
    fn check_gate(&self) -> Result<(), StoreError> {
        match self.gate.state() {
            GateState::Open => Ok(()),
            GateState::Waiting(reason) | GateState::Refused(reason) => {
                Err(StoreError::Unavailable(reason))
            }
        }
    }
}

fn key_of(target: &Target) -> String {
    ["state:", target.as_str()].concat()
}

fn map_of(hour: i64) -> String {
    format!("keys:{hour}")
}

/// A hash over the names and the schemas of all aggregates.
fn generation_of(kinds: &Kinds) -> Uuid {
    let lines = kinds.iter().map(|kind| format!("{} {}\n", kind.name(), kind.state_schema()));
    Uuid::from_bytes(first_16_bytes_of_sha256(lines.collect::<String>().as_bytes()))
}

/// A hash over all events that a binary knows.
fn reader_of(kinds: &Kinds) -> Uuid {
    let schemas = kinds.iter().map(|kind| format!("{}\n", kind.event_schema()));
    let text = schemas.collect::<String>() + env!("CARGO_PKG_VERSION");
    Uuid::from_bytes(first_16_bytes_of_sha256(text.as_bytes()))
}

fn by_hour(keys: &[NewKey]) -> BTreeMap<i64, Vec<NewKey>> {
    let mut hours: BTreeMap<i64, Vec<NewKey>> = BTreeMap::new();
    keys.iter().for_each(|key| hours.entry(key.hour).or_default().push(*key));
    hours
}

fn is_expired(hour: i64, now: Time) -> bool {
    super::outcomes::hour_of(now) - hour > HOURS_KEPT
}

/// Sixteen bytes each: the hash and the offset.
fn pack(keys: &[NewKey]) -> Bytes {
    let pairs = keys.iter().map(|key| [key.hash.0.to_be_bytes(), key.offset.0.to_be_bytes()]);
    pairs.flatten().flatten().collect::<Vec<u8>>().into()
}

fn unpack(packed: &[u8], hour: i64) -> impl Iterator<Item = NewKey> {
    let number = |bytes: &[u8]| u64::from_be_bytes(*bytes.first_chunk().expect("eight bytes"));
    let (pairs, _) = packed.as_chunks::<16>();
    pairs.iter().map(move |pair| {
        let (hash, offset) = pair.split_at(8);
        NewKey { hash: IdHash(number(hash)), offset: Offset(number(offset)), hour }
    })
}
