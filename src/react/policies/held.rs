//! What is held back: an aggregate from whose events something follows that cannot be done.
//!
//! Its records stay where they are, in the log; the space knows where they begin and end.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::PoliciesConfig;
use crate::contract::{Offset, Time};
use crate::log::Checkpoint;
use crate::ports::Ids;
use crate::read::{PARKED_MAP, Parked, Poison};

use super::chunk::Entry;

/// The map of the space with all of them.
pub(super) const MAP: &str = PARKED_MAP;

/// An aggregate that is held back.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Held {
    /// As it is listed.
    #[serde(flatten)]
    pub(super) parked: Parked,
    /// Its last record.
    pub(super) last: Offset,
    /// How often it was tried again.
    pub(super) retries: u32,
    /// When it is tried again; `None`: when a person says so.
    pub(super) retry_at: Option<Time>,
}

/// All of them, by `TYPE/ID`.
pub(super) type HeldMap = BTreeMap<String, Held>;

impl Held {
    /// Held back from this record on, up to that one.
    pub(super) fn first(entry: &Entry, poison: Poison, count: u64, last: Offset) -> Self {
        let parked = Parked::first(&entry.record, entry.position, entry.before, poison);
        Self { parked: Parked { count, ..parked }, last, retries: 0, retry_at: None }
    }

    /// The same with the time of its next retry, if there is to be one.
    pub(super) fn scheduled(self, ids: &Ids, config: &PoliciesConfig) -> Self {
        let retry_at = (self.retries < config.retries_max).then(|| {
            let doubled = config.retry_delay.saturating_mul(1 << self.retries.min(20));
            let delay = ids.spread(doubled.min(config.retry_delay_max));
            ids.now().after(delay)
        });
        Self { retry_at, ..self }
    }

    /// How long until it is tried again by itself.
    pub(super) fn due_in(&self, now: Time) -> Option<Duration> {
        Some(Duration::from_millis(self.retry_at?.millis_since(now)))
    }
}

/// How far everything is done: up to the first record that is held back.
pub(super) fn done_to(held: &HeldMap, committed: Checkpoint) -> Checkpoint {
    let begins = held.values().map(|held| held.parked.before);
    begins.chain([committed]).min_by_key(|at| at.next).unwrap_or(committed)
}
