//! What a run of records asks of a projection: the events to fold, and the aggregates to park.
//!
//! Only what counts is decoded, and only of aggregates that the projection reads: the record's
//! key says so before its JSON is touched.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::contract::{Key, Partition, Position, Recorded, Source, Target};
use crate::events::{Commit, Decoded, Unreadable};
use crate::log::{Mark, Tracker};
use crate::ports::LogRecord;

use super::any_projection::AnyProjection;
use super::status::ViewKind;
use super::whole::Whole;

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
    events: Vec<(Decoded, Option<Vec<Key>>)>,
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
    /// Something newer than this binary comes next: go no further.
    pub(super) newer: Option<String>,
}

/// How many keys a run may touch.
pub(super) struct Limits {
    pub(super) keys_max: usize,
}

impl<'r> Steps<'r> {
    /// Takes records until they touch too many keys, or something newer than this binary comes.
    pub(super) fn of(
        projection: &dyn AnyProjection,
        sources: &[Source],
        tracker: &Tracker,
        parked: &ParkedMap,
        records: &'r [LogRecord],
        position: impl Fn(&LogRecord) -> Position,
        limits: &Limits,
    ) -> Self {
        let mut steps = Self {
            steps: Vec::new(),
            tracker: *tracker,
            taken: 0,
            parked: ParkedMap::new(),
            newer: None,
        };
        let mut keys = HashSet::new();
        for record in records {
            let mut after = steps.tracker;
            let mark = after.step(record.offset, record.time, &record.stamp, &record.value);
            if mark == Mark::Counts && record.offset >= tracker.next() {
                let position = position(record);
                match steps.read(projection, sources, parked, record, position) {
                    Reading::Step(step) => {
                        let parked = steps.parked.len();
                        if limits.exceeded_by(&mut keys, &step, parked) && !steps.steps.is_empty() {
                            break;
                        }
                        steps.steps.push(*step);
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
        projection: &dyn AnyProjection,
        sources: &[Source],
        parked: &ParkedMap,
        record: &'r LogRecord,
        position: Position,
    ) -> Reading<'r> {
        let key = record.key.as_deref().unwrap_or_default();
        let source = source_of(sources, key);
        if source.is_none() && !projection.reads_records() {
            return Reading::Skip;
        }
        let Ok(target) = Target::parse(key) else { return Reading::Skip };
        let before = self.parked.get(target.as_str()).or_else(|| parked.get(target.as_str()));
        if let Some(before) = before {
            let grown = Parked { count: before.count + 1, ..before.clone() };
            self.parked.insert(target.as_str().to_owned(), grown);
            return Reading::Skip;
        }
        match decode(projection, source, &target, record, position) {
            Ok(step) => Reading::Step(Box::new(step)),
            Err(Bad::Newer(what)) if projection.knows(target.aggregate_type()) => {
                Reading::Newer(what)
            }
            Err(Bad::Newer(error) | Bad::Poison(error)) => {
                let first = Parked { position, error, count: 1 };
                self.parked.insert(target.as_str().to_owned(), first);
                Reading::Skip
            }
        }
    }
}

impl Limits {
    /// Whether the step touches too many keys together with those before it.
    fn exceeded_by(&self, keys: &mut HashSet<String>, step: &Step<'_>, parked: usize) -> bool {
        if self.keys_max == usize::MAX {
            return false;
        }
        for key in step.keys() {
            if !keys.contains(key) {
                keys.insert(key.to_owned());
            }
        }
        keys.len() + parked > self.keys_max
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
        let own = self.events.iter().any(|(_, keys)| keys.is_none());
        let own = own.then(|| self.target.id()).into_iter();
        let named = self.events.iter().filter_map(|(_, keys)| keys.as_ref());
        own.chain(named.flatten().map(Key::as_str))
    }

    /// Each event with each key that it changes, in order.
    pub(super) fn for_each(&self, mut fold: impl FnMut(&str, &Recorded<'_>)) {
        for (i, (_, keys)) in self.events.iter().enumerate() {
            let recorded = self.recorded(i);
            match keys {
                None => fold(self.target.id(), &recorded),
                Some(keys) => keys.iter().for_each(|key| fold(key.as_str(), &recorded)),
            }
        }
    }

    fn recorded(&self, event: usize) -> Recorded<'_> {
        let decoded = &*self.events[event].0;
        recorded(&self.target, &self.commit, self.position, event, decoded)
    }
}

fn recorded<'a>(
    target: &'a Target,
    commit: &'a Commit<'_>,
    position: Position,
    event: usize,
    decoded: &'a (dyn std::any::Any + Send + Sync),
) -> Recorded<'a> {
    // Who reads whole records is shown one that has no event, too.
    let stored = commit.events.get(event);
    Recorded {
        target,
        version: crate::contract::Version(commit.first_version.0.saturating_add(event as u64)),
        position,
        time: commit.time,
        event_id: stored.map_or(uuid::Uuid::nil(), |stored| stored.id),
        event_type: stored.map_or("", |stored| &stored.event_type),
        command_id: &commit.command_id,
        correlation_id: commit.correlation_id.as_deref(),
        causation_id: commit.causation_id.as_deref(),
        actor: commit.actor.as_deref(),
        event: decoded,
    }
}

fn decode<'r>(
    projection: &dyn AnyProjection,
    source: Option<&Source>,
    target: &Target,
    record: &'r LogRecord,
    position: Position,
) -> Result<Step<'r>, Bad> {
    let commit = match Commit::decode(&record.value) {
        Ok(commit) if commit.is_of(target) => commit,
        Ok(_) => return Err(Bad::Poison(Unreadable::KeyDiffers.to_string())),
        Err(error @ Unreadable::Newer(_)) => return Err(Bad::Newer(error.to_string())),
        Err(error) => return Err(Bad::Poison(error.to_string())),
    };
    let Some(source) = source else {
        let whole = Whole::of(record.stamp, &commit);
        let keys = projection.keys(&recorded(target, &commit, position, 0, &whole));
        let events: Vec<(Decoded, _)> = vec![(Box::new(whole), keys)];
        return Ok(Step { target: target.clone(), commit, position, events });
    };
    let mut events = Vec::with_capacity(commit.events.len());
    for (i, stored) in commit.events.iter().enumerate() {
        match (source.decode)(stored) {
            Ok(decoded) => {
                let keys = projection.keys(&recorded(target, &commit, position, i, &*decoded));
                events.push((decoded, keys));
            }
            Err(error) if error.is_newer() => return Err(Bad::Newer(error.to_string())),
            Err(error) => return Err(Bad::Poison(error.to_string())),
        }
    }
    Ok(Step { target: target.clone(), commit, position, events })
}

/// The keys that a record changes, if it counts. One that cannot be read changes none.
pub(super) fn keys_touched(
    projection: &dyn AnyProjection,
    sources: &[Source],
    partition: Partition,
    record: &LogRecord,
) -> Vec<Key> {
    let key = record.key.as_deref().unwrap_or_default();
    let Some(source) = source_of(sources, key) else { return Vec::new() };
    let Ok(target) = Target::parse(key) else { return Vec::new() };
    if matches!(projection.kind(), ViewKind::Aggregate(_)) {
        return vec![Key::known(target.id())];
    }
    let position = Position { partition, offset: record.offset };
    let step = decode(projection, Some(source), &target, record, position);
    step.map_or_else(|_| Vec::new(), |step| step.keys().map(Key::known).collect())
}

/// The source whose type stands before the `/` of a record's key.
fn source_of<'s>(sources: &'s [Source], key: &[u8]) -> Option<&'s Source> {
    let slash = key.iter().position(|&byte| byte == b'/')?;
    let aggregate_type: &[u8] = &key[Range { start: 0, end: slash }];
    sources.iter().find(|source| source.aggregate_type.as_bytes() == aggregate_type)
}
