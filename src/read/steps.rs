//! What a run of records asks of a projection: the events to fold, and the aggregates to park.
//!
//! Only what counts is decoded, and only of aggregates that the projection reads: the record's
//! key says so before its JSON is touched.

use std::any::Any;
use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::contract::{Key, Partition, Position, Recorded, Source, Target, Version};
use crate::events::{Commit, Decoded, Undecodable, Unreadable};
use crate::log::{Mark, Tracker};
use crate::ports::LogRecord;

use super::any_projection::AnyProjection;
use super::parked::{Parked, ParkedMap, Poison};
use super::status::ViewKind;
use super::whole::Whole;

/// Records at which a fold panicked, by `TYPE/ID`: there the aggregate is to be parked.
pub(super) type PoisonMap = BTreeMap<String, (Position, Poison)>;

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
    /// Go no further.
    pub(super) stop: Option<Stop>,
    /// Aggregates that are held back, with those parked here.
    held: usize,
}

/// Why the next record is not taken.
#[derive(Debug)]
pub(super) enum Stop {
    /// It is newer than this binary.
    Newer(String),
    /// Its aggregate would have to be parked, and too many are.
    Full(String),
}

/// What is known of a partition before a run of records.
pub(super) struct Before<'l> {
    pub(super) sources: &'l [Source],
    pub(super) tracker: &'l Tracker,
    pub(super) parked: &'l ParkedMap,
    pub(super) poison: &'l PoisonMap,
}

/// How far a run may go.
pub(super) struct Limits {
    /// Keys that it may touch.
    pub(super) keys_max: usize,
    /// Aggregates that may be held back.
    pub(super) parked_max: usize,
}

impl<'r> Steps<'r> {
    /// Takes records until they touch too many keys, or something newer than this binary comes.
    pub(super) fn of(
        projection: &dyn AnyProjection,
        before: &Before<'_>,
        records: &'r [LogRecord],
        position: impl Fn(&LogRecord) -> Position,
        limits: &Limits,
    ) -> Self {
        let mut steps = Self {
            steps: Vec::new(),
            tracker: *before.tracker,
            taken: 0,
            parked: ParkedMap::new(),
            stop: None,
            held: before.parked.len(),
        };
        let mut keys = HashSet::new();
        for record in records {
            // Another sequence may grow with every record.
            if steps.taken > 0 && keys.len() + steps.parked.len() >= limits.keys_max {
                break;
            }
            let mut after = steps.tracker;
            let mark = after.step(record.offset, record.time, &record.stamp, &record.value);
            if mark == Mark::Counts && record.offset >= before.tracker.next() {
                let position = position(record);
                match steps.read(projection, before, record, position, limits.parked_max) {
                    Reading::Step(step) => {
                        let parked = steps.parked.len();
                        if limits.exceeded_by(&mut keys, &step, parked) && !steps.is_empty() {
                            break;
                        }
                        steps.steps.push(*step);
                    }
                    Reading::Skip => {}
                    Reading::Stop(stop) => {
                        steps.stop = Some(stop);
                        break;
                    }
                }
            }
            steps.tracker = after;
            steps.taken += 1;
        }
        steps
    }

    fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.parked.is_empty()
    }

    fn read(
        &mut self,
        projection: &dyn AnyProjection,
        known: &Before<'_>,
        record: &'r LogRecord,
        position: Position,
        parked_max: usize,
    ) -> Reading<'r> {
        let key = record.key.as_deref().unwrap_or_default();
        let source = source_of(known.sources, key);
        if source.is_none() && !projection.reads_records() {
            return Reading::Skip;
        }
        let Ok(target) = Target::parse(key) else { return Reading::Skip };
        let name = target.as_str();
        if let Some(held) = self.parked.get(name).or_else(|| known.parked.get(name)) {
            if !held.discarded {
                let grown = Parked { count: held.count + 1, ..held.clone() };
                self.parked.insert(name.to_owned(), grown);
            }
            return Reading::Skip;
        }
        let poison = known.poison.get(name).filter(|(at, _)| *at == position);
        let step = match poison {
            Some((_, poison)) => Err(Bad::Poison(poison.clone())),
            None => decode(projection, source, &target, record, position),
        };
        let poison = match step {
            Ok(step) => return Reading::Step(Box::new(step)),
            Err(Bad::Newer(error)) if !projection.knows(target.aggregate_type()) => {
                Poison { version: None, error }
            }
            Err(Bad::Newer(what)) => {
                return Reading::Stop(Stop::Newer(format!("record {position}: {what}")));
            }
            Err(Bad::Poison(poison)) => poison,
        };
        if self.held >= parked_max {
            let Poison { error, .. } = poison;
            return Reading::Stop(Stop::Full(format!(
                "{parked_max} aggregates are parked (read.parked_aggregates_max), and {name} \
                 would be one more at {position}: {error}"
            )));
        }
        tracing::error!(aggregate = name, %position, error = poison.error, "parked");
        let before = self.tracker.checkpoint().expect("a record counts only after a claim");
        self.parked.insert(name.to_owned(), Parked::first(record, position, before, poison));
        self.held += 1;
        Reading::Skip
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
    Stop(Stop),
}

/// Why a record gives no step.
#[derive(Debug)]
pub(super) enum Bad {
    /// It is newer than this binary.
    Newer(String),
    /// Its aggregate must be parked.
    Poison(Poison),
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

    /// Folds each event into each key that it changes, in order, until a fold panics.
    pub(super) fn fold(&self, mut fold: impl FnMut(&str, &Recorded<'_>)) -> Result<(), Poison> {
        let version = Cell::new(None);
        let each = || {
            for (i, (_, keys)) in self.events.iter().enumerate() {
                let recorded = self.recorded(i);
                version.set(Some(recorded.version()));
                match keys {
                    None => fold(self.target.id(), &recorded),
                    Some(keys) => keys.iter().for_each(|key| fold(key.as_str(), &recorded)),
                }
            }
        };
        catch_unwind(AssertUnwindSafe(each)).map_err(|panic| Poison {
            version: version.get(),
            error: format!("the projection's fold panicked: {}", said(&*panic)),
        })
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
        version: version(commit, event),
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

/// Reads a record. What a user wrote (an upcaster, `keys`) may panic: that is poison, too.
pub(super) fn decode<'r>(
    projection: &dyn AnyProjection,
    source: Option<&Source>,
    target: &Target,
    record: &'r LogRecord,
    position: Position,
) -> Result<Step<'r>, Bad> {
    let of_record = |error: String| Bad::Poison(Poison { version: None, error });
    let commit = match Commit::decode(&record.value) {
        Ok(commit) if commit.is_of(target) => commit,
        Ok(_) => return Err(of_record(Unreadable::KeyDiffers.to_string())),
        Err(error @ Unreadable::Newer(_)) => return Err(Bad::Newer(error.to_string())),
        Err(error) => return Err(of_record(error.to_string())),
    };
    let Some(source) = source else {
        let whole = Whole::of(record.stamp, &commit);
        let keys = projection.keys(&recorded(target, &commit, position, 0, &whole));
        let events: Vec<(Decoded, _)> = vec![(Box::new(whole), keys)];
        return Ok(Step { target: target.clone(), commit, position, events });
    };
    let mut events = Vec::with_capacity(commit.events.len());
    for (i, stored) in commit.events.iter().enumerate() {
        let poison = |error| Bad::Poison(Poison { version: Some(version(&commit, i)), error });
        let read = || -> Result<_, Undecodable> {
            let decoded = (source.decode)(stored)?;
            let keys = projection.keys(&recorded(target, &commit, position, i, &*decoded));
            Ok((decoded, keys))
        };
        match catch_unwind(AssertUnwindSafe(read)) {
            Ok(Ok(event)) => events.push(event),
            Ok(Err(error)) if error.is_newer() => return Err(Bad::Newer(error.to_string())),
            Ok(Err(error)) => return Err(poison(error.to_string())),
            Err(panic) => return Err(poison(format!("reading it panicked: {}", said(&*panic)))),
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

/// The aggregate's version after an event of a commit.
fn version(commit: &Commit<'_>, event: usize) -> Version {
    Version(commit.first_version.0.saturating_add(event as u64))
}

/// What a panic said.
pub(super) fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("nothing")
}

/// The source whose type stands before the `/` of a record's key.
fn source_of<'s>(sources: &'s [Source], key: &[u8]) -> Option<&'s Source> {
    let slash = key.iter().position(|&byte| byte == b'/')?;
    let aggregate_type: &[u8] = &key[Range { start: 0, end: slash }];
    sources.iter().find(|source| source.aggregate_type.as_bytes() == aggregate_type)
}
