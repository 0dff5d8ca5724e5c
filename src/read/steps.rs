//! What a run of records asks of a projection: the events to fold, and the aggregates to park.
//!
//! Only what counts is decoded, and only of aggregates that the projection reads: the record's
//! key says so before its JSON is touched.

use std::any::Any;
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::contract::{Key, Position, Recorded, Source, Target};
use crate::events::{Commit, Decoded, Undecodable, Unreadable};
use crate::log::{Mark, Tracker};
use crate::ports::LogRecord;

use super::any_projection::{AnyProjection, LinkSlot};
use super::parked::{Parked, ParkedMap, Poison};
use super::whole::Whole;
use super::workspace::Workspace;

/// Records at which a fold panicked, by `TYPE/ID`: there the aggregate is to be parked.
pub(super) type PoisonMap = BTreeMap<String, (Position, Poison)>;

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
    /// Has the link of every aggregate of the records, where the projection has links.
    pub(super) links: &'l Workspace<LinkSlot>,
}

/// A link, and its place in the index of keys.
const CHANGES_PER_LINK: usize = 2;

/// How far a run may go.
pub(super) struct Limits {
    /// Changes that it may ask for.
    pub(super) changes_max: usize,
    /// The most changes that one view needs: itself, and its places in the indexes.
    pub(super) per_view: usize,
    /// Aggregates that may be held back.
    pub(super) parked_max: usize,
}

impl<'r> Steps<'r> {
    /// Takes records until they ask for too many changes, or one comes that cannot be taken.
    pub(super) fn of(
        projection: &dyn AnyProjection,
        before: &Before<'_>,
        records: &'r [LogRecord],
        position: impl Fn(&LogRecord) -> Position,
        limits: &Limits,
    ) -> Self {
        let mut steps = Self {
            steps: Vec::with_capacity(records.len().min(limits.changes_max)),
            tracker: *before.tracker,
            taken: 0,
            parked: ParkedMap::new(),
            links: HashMap::new(),
            stop: None,
            held: before.parked.len(),
        };
        let mut keys = HashSet::new();
        for record in records {
            // Another sequence may grow with every record.
            if steps.taken > 0 && steps.changes(limits, &keys) >= limits.changes_max {
                break;
            }
            let mut after = steps.tracker;
            let mark = after.step(record.offset, record.time, &record.stamp, &record.value);
            if mark == Mark::Counts && record.offset >= before.tracker.next() {
                let position = position(record);
                match steps.read(projection, before, record, position, limits.parked_max) {
                    Ok(Some(step)) => {
                        if steps.exceed(limits, &mut keys, &step) {
                            break;
                        }
                        steps.take(step, before);
                    }
                    Ok(None) => {}
                    Err(stop) => {
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

    /// The changes that the steps ask for, at most.
    fn changes(&self, limits: &Limits, keys: &HashSet<String>) -> usize {
        let links = self.links.len() * CHANGES_PER_LINK;
        keys.len() * limits.per_view + links + self.parked.len()
    }

    /// Whether a further step would ask for too many changes. The first is always taken.
    fn exceed(&self, limits: &Limits, keys: &mut HashSet<String>, step: &Step<'_>) -> bool {
        if limits.changes_max == usize::MAX {
            return false;
        }
        for key in step.keys() {
            if !keys.contains(key) {
                keys.insert(key.to_owned());
            }
        }
        let link = step.link().map_or(0, |_| CHANGES_PER_LINK);
        let is_first = self.steps.is_empty() && self.parked.is_empty();
        self.changes(limits, keys) + link > limits.changes_max && !is_first
    }

    fn take(&mut self, step: Step<'r>, known: &Before<'_>) {
        if let Some(link) = step.link() {
            let held = known.links.get(step.target.as_str());
            let before = self.links.get(&step.target).or(held);
            if !before.is_some_and(|before| Arc::ptr_eq(before, link)) {
                self.links.insert(step.target.clone(), link.clone());
            }
        }
        self.steps.push(step);
    }

    /// The step of a record, if it gives one.
    fn read(
        &mut self,
        projection: &dyn AnyProjection,
        known: &Before<'_>,
        record: &'r LogRecord,
        position: Position,
        parked_max: usize,
    ) -> Result<Option<Step<'r>>, Stop> {
        let key = record.key.as_deref().unwrap_or_default();
        let source = Source::among(known.sources, key);
        if source.is_none() && !projection.reads_records() {
            return Ok(None);
        }
        let Ok(target) = Target::parse(key) else { return Ok(None) };
        let name = target.as_str();
        if let Some(held) = self.parked.get(name).or_else(|| known.parked.get(name)) {
            if !held.discarded {
                let grown = Parked { count: held.count + 1, ..held.clone() };
                self.parked.insert(name.to_owned(), grown);
            }
            return Ok(None);
        }
        let poison = known.poison.get(name).filter(|(at, _)| *at == position);
        let step = match poison {
            Some((_, poison)) => Err(Bad::Poison(poison.clone())),
            None => {
                let link = self.links.get(&target).or_else(|| known.links.get(name)).cloned();
                decode(projection, source, &target, link, record, position)
            }
        };
        let poison = match step {
            Ok(step) => return Ok(Some(step)),
            Err(Bad::Newer(error)) if !projection.knows(target.aggregate_type()) => {
                Poison { version: None, error }
            }
            Err(Bad::Newer(what)) => {
                return Err(Stop::Newer(format!("record {position}: {what}")));
            }
            Err(Bad::Poison(poison)) => poison,
        };
        if self.held >= parked_max {
            let Poison { error, .. } = poison;
            return Err(Stop::Full(format!(
                "{parked_max} aggregates are parked (read.parked_aggregates_max), and {name} \
                 would be one more at {position}: {error}"
            )));
        }
        tracing::error!(aggregate = name, %position, error = poison.error, "parked");
        let before = self.tracker.checkpoint().expect("a record counts only after a claim");
        self.parked.insert(name.to_owned(), Parked::first(record, position, before, poison));
        self.held += 1;
        Ok(None)
    }
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

    /// The trace context of its command.
    pub(super) fn traceparent(&self) -> Option<&str> {
        self.commit.traceparent.as_deref()
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

    /// Folds each event into each key that it changes, with the link after it, in order, until a
    /// fold panics.
    pub(super) fn fold(
        &self,
        mut fold: impl FnMut(&str, Option<&LinkSlot>, &Recorded<'_>),
    ) -> Result<(), Poison> {
        let at = Cell::new(None);
        let each = || {
            for (i, event) in self.events.iter().enumerate() {
                let Self { target, commit, position, .. } = self;
                let recorded = Recorded::of(target, commit, *position, i, &*event.decoded);
                at.set(Some(recorded.version()));
                let mut fold = |key: &str| fold(key, event.link.as_ref(), &recorded);
                match &event.keys {
                    None => fold(self.target.id()),
                    Some(keys) => keys.iter().for_each(|key| fold(key.as_str())),
                }
            }
        };
        catch_unwind(AssertUnwindSafe(each)).map_err(|panic| Poison {
            version: at.get(),
            error: format!("the projection's fold panicked: {}", said(&*panic)),
        })
    }

    /// The link after its last event.
    pub(super) fn link(&self) -> Option<&LinkSlot> {
        self.events.last().and_then(|event| event.link.as_ref())
    }
}

/// Reads a record; `link` is what is remembered of its aggregate before it. What a user wrote (an
/// upcaster, `link`, `keys`) may panic: that is poison, too.
pub(super) fn decode<'r>(
    projection: &dyn AnyProjection,
    source: Option<&Source>,
    target: &Target,
    mut link: Option<LinkSlot>,
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
        let keys = projection.keys(None, &Recorded::of(target, &commit, position, 0, &whole));
        let events = vec![Event { decoded: Box::new(whole), keys, link: None }];
        return Ok(Step { target: target.clone(), commit, position, events });
    };
    let mut events = Vec::with_capacity(commit.events.len());
    for (i, stored) in commit.events.iter().enumerate() {
        let poison = |error| Bad::Poison(Poison { version: Some(commit.version_of(i)), error });
        let read = || -> Result<_, Undecodable> {
            let decoded = (source.decode)(stored)?;
            let recorded = Recorded::of(target, &commit, position, i, &*decoded);
            let before = link.as_ref().zip(projection.links());
            let changed = before.and_then(|(before, links)| links.link(before, &recorded));
            let link = changed.or_else(|| link.clone());
            let keys = projection.keys(link.as_ref(), &recorded);
            Ok(Event { decoded, keys, link })
        };
        match catch_unwind(AssertUnwindSafe(read)) {
            Ok(Ok(event)) => {
                link.clone_from(&event.link);
                events.push(event);
            }
            Ok(Err(error)) if error.is_newer() => return Err(Bad::Newer(error.to_string())),
            Ok(Err(error)) => return Err(poison(error.to_string())),
            Err(panic) => return Err(poison(format!("reading it panicked: {}", said(&*panic)))),
        }
    }
    Ok(Step { target: target.clone(), commit, position, events })
}

/// What a panic said.
pub(crate) fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("nothing")
}

/// The aggregate that a record is of, if it is of one that the projection reads.
pub(super) fn source_and_target<'s>(
    sources: &'s [Source],
    record: &LogRecord,
) -> Option<(&'s Source, Target)> {
    let key = record.key.as_deref()?;
    Some((Source::among(sources, key)?, Target::parse(key).ok()?))
}
