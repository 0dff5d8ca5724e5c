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
use super::key_space;
use super::kind::Kinds;
use super::outcomes::SegmentNumber;
use super::stored::Format;
use super::unsaved::NewKey;

/// Pages of keys in one commit: the store does nothing else meanwhile.
const PAGES_MAX: usize = 128;
/// Values read at once.
pub(super) const READ_MAX: usize = 1_000;

/// The name of every state space.
pub(super) const NAME: &str = "state";
/// Between two checkpoints that are kept for whoever looks for a moment.
const WAYPOINT_MS: i64 = 600_000;
/// How many of them are kept: longer than an outcome.
const WAYPOINTS_KEPT: i64 = 26 * 6;

/// The form of what is stored; a binary that reads another one has a space of its own.
const FORM: &str = "keys in segments";

/// Where the states of one partition are. Cheap to clone.
#[derive(Clone)]
pub(super) struct StateSpace {
    pub(super) store: Arc<dyn ViewStore>,
    gate: Gate,
    pub(super) space: Space,
    generation: Uuid,
    pub(super) format: Format,
}

/// One commit, fixed: when nobody knows whether it happened, the very same is tried again.
pub(super) struct Cut {
    pub(super) until: Checkpoint,
    pub(super) states: Vec<(Target, Stand)>,
    /// New places, of two segments at most.
    pub(super) keys: Vec<NewKey>,
    /// What else is stored with them.
    pub(super) changes: Vec<Change>,
    /// The segment that is sealed when it has happened.
    pub(super) seals: Option<SegmentNumber>,
    /// Whether the checkpoint is kept for whoever looks for its moment.
    pub(super) is_waypoint: bool,
}

/// An aggregate whose state cannot be stored.
pub(super) struct Flaw {
    pub(super) target: Target,
    pub(super) why: String,
}

impl StateSpace {
    pub(super) fn new(
        store: Arc<dyn ViewStore>,
        gate: Gate,
        kinds: Kinds,
        partition: Partition,
    ) -> Self {
        let generation = generation_of(&kinds);
        let space = Space::new(NAME, generation, partition);
        Self { store, gate, space, generation, format: Format::new(kinds) }
    }

    /// What tells states of one schema from those of another.
    pub(super) const fn generation(&self) -> Uuid {
        self.generation
    }

    /// The most aggregates that fit one commit: each may need two changes, and beside them are
    /// the keys of two segments, the list of segments and a waypoint.
    pub(super) fn states_max(&self) -> usize {
        self.store.changes_max().saturating_sub(4) / 2
    }

    /// The most pages of keys that fit one commit, beside what seals a segment.
    pub(super) fn pages_max(&self) -> usize {
        self.store.changes_max().saturating_sub(4).clamp(1, PAGES_MAX)
    }

    /// The state of the space and what it has of these aggregates, at one instant.
    pub(super) async fn read(
        &self,
        targets: &[Target],
    ) -> Result<(SpaceState, Vec<Option<Bytes>>), StoreError> {
        let keys: Vec<String> = targets.iter().map(key_of).collect();
        self.read_values(&keys).await
    }

    /// The state of the space and the values of these keys, at one instant.
    pub(super) async fn read_values(
        &self,
        keys: &[String],
    ) -> Result<(SpaceState, Vec<Option<Bytes>>), StoreError> {
        self.check_gate()?;
        self.store.read(&self.space, keys).await
    }

    /// The state of the space and the fields of a map, at one instant.
    pub(super) async fn read_map(
        &self,
        map: &str,
    ) -> Result<(SpaceState, BTreeMap<String, Bytes>), StoreError> {
        self.check_gate()?;
        self.store.read_map(&self.space, map).await
    }

    /// Commits a cut. Says whether the space has it now, or what state it is in instead; and whose
    /// states have no JSON.
    pub(super) async fn commit(
        &self,
        expected: &SpaceState,
        cut: &Cut,
    ) -> Result<(Commit, Vec<Flaw>), StoreError> {
        self.check_gate()?;
        let new = SpaceState::At(cut.until);
        let (changes, flaws) = self.changes(cut);
        let commit = match self.store.commit(&self.space, expected, &new, &changes).await? {
            // An earlier attempt, of which nobody knew whether it happened.
            Commit::Stale(state) if state == new => Commit::Committed,
            commit => commit,
        };
        Ok((commit, flaws))
    }

    /// Removes everything.
    pub(super) async fn drop_whole(&self) -> Result<(), StoreError> {
        self.drop_generation(self.generation).await
    }

    /// Removes everything of another schema in this partition, the checkpoint first.
    pub(super) async fn drop_generation(&self, generation: Uuid) -> Result<(), StoreError> {
        self.check_gate()?;
        let space = Space::new(NAME, generation, self.space.partition);
        let keys_max = self.store.changes_max();
        while self.store.drop_space(&space, keys_max).await? != Dropped::All {}
        Ok(())
    }

    /// Earlier checkpoints, the oldest first; the space's state at that instant.
    pub(super) async fn read_waypoints(
        &self,
        latest: Time,
    ) -> Result<(SpaceState, Vec<Checkpoint>), StoreError> {
        let last = slot_of(latest);
        let keys: Vec<String> = (last - WAYPOINTS_KEPT..=last).map(waypoint_key).collect();
        let (state, values) = self.read_values(&keys).await?;
        let read = |value: Bytes| serde_json::from_slice(&value).ok();
        Ok((state, values.into_iter().flatten().filter_map(read).collect()))
    }

    fn changes(&self, cut: &Cut) -> (Vec<Change>, Vec<Flaw>) {
        let mut flaws = Vec::new();
        let mut changes = Vec::with_capacity(2 * cut.states.len() + 2);
        for (target, stand) in &cut.states {
            let key = key_of(target);
            if !stand.stored {
                let (index, member) = (KEY_INDEX.to_owned(), Bytes::from(key.clone()));
                changes.push(Change::IndexPut { index, member });
            }
            let (value, flaw) = self.format.encode(target, stand);
            flaws.extend(flaw.map(|why| Flaw { target: target.clone(), why }));
            changes.push(Change::Put { key, value: value.into(), expires_in: None });
        }
        changes.extend(key_space::add(&cut.keys));
        changes.extend(cut.changes.iter().cloned());
        if cut.is_waypoint {
            let key = waypoint_key(slot_of(cut.until.time));
            let value = SpaceState::At(cut.until).to_text().into();
            let expires_in =
                Some(Duration::from_millis((WAYPOINTS_KEPT * WAYPOINT_MS).unsigned_abs()));
            changes.push(Change::Put { key, value, expires_in });
        }
        (changes, flaws)
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

/// A hash over the names and the schemas of all aggregates, and the form of what is stored.
fn generation_of(kinds: &Kinds) -> Uuid {
    let lines = kinds.iter().map(|kind| format!("{} {}\n", kind.name(), kind.state_schema()));
    let text = lines.collect::<String>() + FORM;
    Uuid::from_bytes(first_16_bytes_of_sha256(text.as_bytes()))
}
