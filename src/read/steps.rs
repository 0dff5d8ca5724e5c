//! What a run of records asks of a projection: the events to fold, and the aggregates to park.
//!
//! Only what counts is decoded, and only of aggregates that the projection reads: the record's
//! key says so before its JSON is touched.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};

use crate::contract::{Key, Position, Recorded, Source, Target};
use crate::events::{Commit, Decoded, Unreadable};
use crate::log::{Mark, Tracker};
use crate::ports::LogRecord;

use super::any_projection::{AnyProjection, LinkSlot};
use super::workspace::Workspace;

/// An aggregate that this projection holds back on this partition.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Parked {
    /// Its first event that could not be folded.
    pub(super) position: Position,
    /// Why.
    pub(super) error: String,
    /// Its records that were held back, with the first.
    pub(super) count: u64,
}

/// All aggregates that are held back, by `TYPE/ID`.
pub(super) type ParkedMap = BTreeMap<String, Parked>;

/// A commit to fold, and its events.
pub(super) struct Step<'r> {
    target: Target,
    commit: Commit<'r>,
    position: Position,
    events: Vec<Event>,
}

/// An event to fold.
struct Event {
    decoded: Decoded,
    /// The keys that it changes; `None` is the id of its aggregate.
    keys: Option<Vec<Key>>,
    /// What the projection remembers of the aggregate after it, if it remembers anything.
    link: Option<LinkSlot>,
}

/// What a run of records asks of a projection.
pub(super) struct Steps<'r> {
    pub(super) steps: Vec<Step<'r>>,
    /// The tracker after the last record that is in `steps`.
    pub(super) tracker: Tracker,
    /// How many of the records were taken.
    pub(super) taken: usize,
    /// Parked sequences that grew or began.
    pub(super) parked: ParkedMap,
    /// The links that the steps change, as they are after the last one.
    pub(super) links: HashMap<Target, LinkSlot>,
    /// Something newer than this binary comes next: go no further.
    pub(super) newer: Option<String>,
}

/// What records are read with.
pub(super) struct Reader<'a> {
    pub(super) projection: &'a dyn AnyProjection,
    pub(super) sources: &'a [Source],
    pub(super) parked: &'a ParkedMap,
    /// Has the link of every aggregate of the records, where the projection has links.
    pub(super) links: &'a Workspace<LinkSlot>,
    pub(super) limits: Limits,
}

/// How many changes a run may ask for.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) changes_max: usize,
    /// The most changes that one view needs: itself, and its places in the indexes.
    pub(super) per_view: usize,
}

impl<'r> Steps<'r> {
    /// Takes records until they ask for too many changes, or something newer than this binary
    /// comes.
    pub(super) fn of(
        reader: &Reader<'_>,
        tracker: &Tracker,
        records: &'r [LogRecord],
        position: impl Fn(&LogRecord) -> Position,
    ) -> Self {
        let mut steps = Self {
            steps: Vec::new(),
            tracker: *tracker,
            taken: 0,
            parked: ParkedMap::new(),
            links: HashMap::new(),
            newer: None,
        };
        let mut keys = HashSet::new();
        for record in records {
            let mut after = steps.tracker;
            let mark = after.step(record.offset, record.time, &record.stamp, &record.value);
            if mark == Mark::Counts && record.offset >= tracker.next() {
                let position = position(record);
                match steps.read(reader, record, position) {
                    Reading::Step(step) => {
                        if steps.exceed(&reader.limits, &mut keys, &step) {
                            break;
                        }
                        steps.take(*step, reader);
                    }
                    Reading::Skip => {}
                    Reading::Newer(what) => {
                        steps.newer = Some(format!("record {position}: {what}"));
                        break;
                    }
                }
            }
            steps.tracker = after;
            steps.taken += 1;
        }
        steps
    }

    fn read(
        &mut self,
        reader: &Reader<'_>,
        record: &'r LogRecord,
        position: Position,
    ) -> Reading<'r> {
        let Some((source, target)) = source_and_target(reader.sources, record) else {
            return Reading::Skip;
        };
        let parked = [&self.parked, reader.parked];
        let before = parked.into_iter().find_map(|parked| parked.get(target.as_str()));
        if let Some(before) = before {
            let grown = Parked { count: before.count + 1, ..before.clone() };
            self.parked.insert(target.as_str().to_owned(), grown);
            return Reading::Skip;
        }
        let held = || reader.links.get(target.as_str());
        let link = self.links.get(&target).or_else(held).cloned();
        match decode(reader.projection, source, &target, link, record, position) {
            Ok(step) => Reading::Step(Box::new(step)),
            Err(Bad::Newer(what)) => Reading::Newer(what),
            Err(Bad::Poison(error)) => {
                let first = Parked { position, error, count: 1 };
                self.parked.insert(target.as_str().to_owned(), first);
                Reading::Skip
            }
        }
    }

    /// Whether a further step would ask for too many changes. One step is always taken.
    fn exceed(&self, limits: &Limits, keys: &mut HashSet<String>, step: &Step<'_>) -> bool {
        /// A link, and its place in the index of keys.
        const PER_LINK: usize = 2;
        if limits.changes_max == usize::MAX {
            return false;
        }
        for key in step.keys() {
            if !keys.contains(key) {
                keys.insert(key.to_owned());
            }
        }
        let links = self.links.len() + usize::from(step.link().is_some());
        let changes = keys.len() * limits.per_view + links * PER_LINK + self.parked.len();
        changes > limits.changes_max && !self.steps.is_empty()
    }

    fn take(&mut self, step: Step<'r>, reader: &Reader<'_>) {
        let was = |link: &LinkSlot| {
            let before = self.links.get(&step.target);
            before
                .or_else(|| reader.links.get(step.target.as_str()))
                .is_some_and(|before| std::sync::Arc::ptr_eq(before, link))
        };
        if let Some(link) = step.link().filter(|link| !was(link)) {
            self.links.insert(step.target.clone(), link.clone());
        }
        self.steps.push(step);
    }
}

enum Reading<'r> {
    Step(Box<Step<'r>>),
    Skip,
    Newer(String),
}

enum Bad {
    Newer(String),
    Poison(String),
}

impl Step<'_> {
    pub(super) const fn target(&self) -> &Target {
        &self.target
    }

    pub(super) const fn position(&self) -> Position {
        self.position
    }

    /// All keys that its events change; one may come twice.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        let own = self.events.iter().any(|event| event.keys.is_none());
        let own = own.then(|| self.target.id()).into_iter();
        let named = self.events.iter().filter_map(|event| event.keys.as_ref());
        own.chain(named.flatten().map(Key::as_str))
    }

    /// Each event with each key that it changes and the link after it, in order.
    pub(super) fn for_each(&self, mut fold: impl FnMut(&str, Option<&LinkSlot>, &Recorded<'_>)) {
        for (i, event) in self.events.iter().enumerate() {
            let recorded = recorded(&self.target, &self.commit, self.position, i, &*event.decoded);
            let mut fold = |key: &str| fold(key, event.link.as_ref(), &recorded);
            match &event.keys {
                None => fold(self.target.id()),
                Some(keys) => keys.iter().for_each(|key| fold(key.as_str())),
            }
        }
    }

    /// The link after its last event.
    fn link(&self) -> Option<&LinkSlot> {
        self.events.last().and_then(|event| event.link.as_ref())
    }
}

fn recorded<'a>(
    target: &'a Target,
    commit: &'a Commit<'_>,
    position: Position,
    event: usize,
    decoded: &'a (dyn std::any::Any + Send + Sync),
) -> Recorded<'a> {
    let stored = &commit.events[event];
    Recorded {
        target,
        version: crate::contract::Version(commit.first_version.0.saturating_add(event as u64)),
        position,
        time: commit.time,
        event_id: stored.id,
        event_type: &stored.event_type,
        command_id: &commit.command_id,
        correlation_id: commit.correlation_id.as_deref(),
        causation_id: commit.causation_id.as_deref(),
        actor: commit.actor.as_deref(),
        event: decoded,
    }
}

fn decode<'r>(
    projection: &dyn AnyProjection,
    source: &Source,
    target: &Target,
    mut link: Option<LinkSlot>,
    record: &'r LogRecord,
    position: Position,
) -> Result<Step<'r>, Bad> {
    let commit = match Commit::decode(&record.value) {
        Ok(commit) if commit.is_of(target) => commit,
        Ok(_) => return Err(Bad::Poison(Unreadable::KeyDiffers.to_string())),
        Err(error @ Unreadable::Newer(_)) => return Err(Bad::Newer(error.to_string())),
        Err(error) => return Err(Bad::Poison(error.to_string())),
    };
    let mut events = Vec::with_capacity(commit.events.len());
    for (i, stored) in commit.events.iter().enumerate() {
        let decoded = match (source.decode)(stored) {
            Ok(decoded) => decoded,
            Err(error) if error.is_newer() => return Err(Bad::Newer(error.to_string())),
            Err(error) => return Err(Bad::Poison(error.to_string())),
        };
        let recorded = recorded(target, &commit, position, i, &*decoded);
        let ask = || {
            let before = link.as_ref().zip(projection.links());
            let after = before.and_then(|(before, links)| links.link(before, &recorded));
            let link = after.or_else(|| link.clone());
            let keys = projection.keys(link.as_ref(), &recorded);
            (link, keys)
        };
        let Ok((after, keys)) = catch_unwind(AssertUnwindSafe(ask)) else {
            return Err(Bad::Poison("the projection's link or keys panicked".to_owned()));
        };
        link.clone_from(&after);
        events.push(Event { decoded, keys, link: after });
    }
    Ok(Step { target: target.clone(), commit, position, events })
}

/// The aggregate that a record is of, if it is of one that the projection reads.
pub(super) fn source_and_target<'s>(
    sources: &'s [Source],
    record: &LogRecord,
) -> Option<(&'s Source, Target)> {
    let key = record.key.as_deref()?;
    let slash = key.iter().position(|&byte| byte == b'/')?;
    let aggregate_type: &[u8] = &key[Range { start: 0, end: slash }];
    let is_it = |source: &&Source| source.aggregate_type.as_bytes() == aggregate_type;
    Some((sources.iter().find(is_it)?, Target::parse(key).ok()?))
}
