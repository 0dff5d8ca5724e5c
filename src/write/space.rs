//! The state space of a partition: where its aggregates' states are, beside the log.
//!
//! Its name contains a hash of all aggregates' schemas: a binary with another schema has a space
//! of its own. What is in it is derived from the log, and is worth no more than its checkpoint.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use crate::contract::{Partition, Target, Time};
use crate::events::first_16_bytes_of_sha256;
use crate::gate::{Gate, GateState};
use crate::log::Checkpoint;
use crate::ports::{Change, Commit, Dropped, KEY_INDEX, Space, SpaceState, StoreError, ViewStore};

use super::aggregates::Stand;
use super::kind::Kinds;
use super::outcomes::{HOURS_KEPT, hour_of};
use super::stored::{Format, pack, unpack};
use super::unsaved::NewKey;

/// Values read at once.
pub(super) const READ_MAX: usize = 1_000;

/// The name of every state space.
const NAME: &str = "state";
/// Between two checkpoints that are kept for whoever looks for a moment.
const WAYPOINT_MS: i64 = 600_000;
/// How many of them are kept: longer than an outcome.
const WAYPOINTS_KEPT: i64 = 26 * 6;

/// Where the states of one partition are. Cheap to clone.
#[derive(Clone)]
pub(super) struct StateSpace {
    store: Arc<dyn ViewStore>,
    gate: Gate,
    space: Space,
    pub(super) format: Format,
}

/// One commit, fixed: when nobody knows whether it happened, the very same is tried again.
pub(super) struct Cut {
    pub(super) until: Checkpoint,
    pub(super) states: Vec<(Target, Stand)>,
    pub(super) keys: Vec<NewKey>,
    /// Whether the checkpoint is kept for whoever looks for its moment.
    pub(super) is_waypoint: bool,
    /// What has expired by now is not stored.
    pub(super) now: Time,
}

impl StateSpace {
    pub(super) fn new(
        store: Arc<dyn ViewStore>,
        gate: Gate,
        kinds: Kinds,
        partition: Partition,
    ) -> Self {
        let space = Space::new(NAME, generation_of(&kinds), partition);
        Self { store, gate, space, format: Format::new(kinds) }
    }

    /// The most aggregates that fit one commit: each may need two changes, and beside them are
    /// the keys of two hours and a waypoint.
    pub(super) fn states_max(&self) -> usize {
        self.store.changes_max().saturating_sub(3) / 2
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

    /// Earlier checkpoints, the oldest first; the space's state at that instant.
    pub(super) async fn read_waypoints(
        &self,
        latest: Time,
    ) -> Result<(SpaceState, Vec<Checkpoint>), StoreError> {
        let last = slot_of(latest);
        let keys: Vec<String> = (last - WAYPOINTS_KEPT..=last).map(waypoint_key).collect();
        let (state, values) = self.store.read(&self.space, &keys).await?;
        let read = |value: Bytes| serde_json::from_slice(&value).ok();
        Ok((state, values.into_iter().flatten().filter_map(read).collect()))
    }

    fn changes(&self, cut: &Cut) -> Result<Vec<Change>, String> {
        let mut changes = Vec::with_capacity(2 * cut.states.len() + 2);
        for (target, stand) in &cut.states {
            let key = key_of(target);
            if !stand.stored {
                let (index, member) = (KEY_INDEX.to_owned(), Bytes::from(key.clone()));
                changes.push(Change::IndexPut { index, member });
            }
            let value = self.format.encode(target, stand)?.into();
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
        if cut.is_waypoint {
            let key = waypoint_key(slot_of(cut.until.time));
            let value = serde_json::to_vec(&cut.until).map_err(|error| error.to_string())?.into();
            let expires_in =
                Some(Duration::from_millis((WAYPOINTS_KEPT * WAYPOINT_MS).unsigned_abs()));
            changes.push(Change::Put { key, value, expires_in });
        }
        Ok(changes)
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

fn waypoint_key(slot: i64) -> String {
    format!("waypoint:{slot}")
}

/// Ten minutes, numbered.
pub(super) const fn slot_of(time: Time) -> i64 {
    time.millis().div_euclid(WAYPOINT_MS)
}

fn map_of(hour: i64) -> String {
    format!("keys:{hour}")
}

/// A hash over the names and the schemas of all aggregates.
fn generation_of(kinds: &Kinds) -> Uuid {
    let lines = kinds.iter().map(|kind| format!("{} {}\n", kind.name(), kind.state_schema()));
    Uuid::from_bytes(first_16_bytes_of_sha256(lines.collect::<String>().as_bytes()))
}

fn by_hour(keys: &[NewKey]) -> BTreeMap<i64, Vec<NewKey>> {
    let mut hours: BTreeMap<i64, Vec<NewKey>> = BTreeMap::new();
    keys.iter().for_each(|key| hours.entry(key.hour).or_default().push(*key));
    hours
}

fn is_expired(hour: i64, now: Time) -> bool {
    hour_of(now) - hour > HOURS_KEPT
}
