//! From records to work: what follows from a run of records, aggregate by aggregate.

use std::collections::{BTreeMap, HashMap};

use crate::contract::{Offset, Partition, Position, Source, Target};
use crate::log::{Checkpoint, Mark, Tracker};
use crate::ports::LogRecord;
use crate::read::Poison;

use super::any_policy::AnyPolicy;
use super::follows::{Bad, Command};
use super::held::HeldMap;

/// A policy, and what it may do.
#[derive(Clone, Copy)]
pub(super) struct Asked<'p> {
    pub(super) policy: &'p dyn AnyPolicy,
    pub(super) sources: &'p [Source],
    pub(super) partition: Partition,
    pub(super) commands_per_event_max: usize,
}

/// What a run of records asks for.
#[derive(Default)]
pub(super) struct Chunk {
    /// One for each aggregate, in the order of their first records.
    pub(super) works: Vec<Work>,
    /// Aggregates that were held back before: how many more records, and the last one.
    pub(super) grown: BTreeMap<String, (u64, Offset)>,
    /// After the last record that was taken.
    pub(super) tracker: Tracker,
    /// Why the next record was not taken: a newer binary wrote it.
    pub(super) newer: Option<String>,
}

/// What follows from the records of one aggregate, in their order.
pub(super) struct Work {
    pub(super) target: Target,
    pub(super) entries: Vec<Entry>,
}

/// A record, and what follows from it.
pub(super) struct Entry {
    pub(super) record: LogRecord,
    pub(super) position: Position,
    /// Where a reader stands before it.
    pub(super) before: Checkpoint,
    pub(super) follows: Result<Vec<Command>, Poison>,
}

impl Chunk {
    /// Reads records behind a tracker.
    pub(super) fn of(
        asked: Asked<'_>,
        tracker: &Tracker,
        held: &HeldMap,
        records: &[LogRecord],
    ) -> Self {
        let mut chunk = Self { tracker: *tracker, ..Self::default() };
        let mut known: HashMap<Target, usize> = HashMap::new();
        for record in records {
            let mut after = chunk.tracker;
            let mark = after.step(record.offset, record.time, &record.stamp, &record.value);
            if mark == Mark::Counts
                && let Some((source, target)) = asked.source_and_target(record)
            {
                if held.contains_key(target.as_str()) {
                    let grown = chunk.grown.entry(target.as_str().to_owned()).or_default();
                    *grown = (grown.0 + 1, record.offset);
                } else {
                    match asked.entry(source, &target, record, &chunk.tracker) {
                        Ok(entry) => {
                            let at = *known.entry(target.clone()).or_insert_with(|| {
                                chunk.works.push(Work { target, entries: Vec::new() });
                                chunk.works.len() - 1
                            });
                            chunk.works[at].entries.push(entry);
                        }
                        Err(newer) => {
                            chunk.newer = Some(newer);
                            return chunk;
                        }
                    }
                }
            }
            chunk.tracker = after;
        }
        chunk
    }

    /// Whether anything follows from it, or is held back with it.
    pub(super) fn is_empty(&self) -> bool {
        let is_empty =
            |entry: &Entry| matches!(&entry.follows, Ok(commands) if commands.is_empty());
        self.grown.is_empty() && self.works.iter().all(|work| work.entries.iter().all(is_empty))
    }
}

impl Asked<'_> {
    /// The aggregate that a record is of, if the policy is told of it.
    pub(super) fn source_and_target(&self, record: &LogRecord) -> Option<(&Source, Target)> {
        let key = record.key.as_deref()?;
        Some((Source::among(self.sources, key)?, Target::parse(key).ok()?))
    }

    /// A record that counts, and what follows from it; or what is newer than this binary.
    pub(super) fn entry(
        &self,
        source: &Source,
        target: &Target,
        record: &LogRecord,
        before: &Tracker,
    ) -> Result<Entry, String> {
        let position = Position { partition: self.partition, offset: record.offset };
        let before = before.checkpoint().expect("a record counts only after a claim");
        let follows = match self.follows(source, target, record, position) {
            Ok(commands) => Ok(commands),
            Err(Bad::Poison(poison)) => Err(poison),
            Err(Bad::Newer(what)) => return Err(format!("record {position}: {what}")),
        };
        Ok(Entry { record: record.clone(), position, before, follows })
    }

    /// A record of this aggregate, if it is one.
    pub(super) fn entry_of(
        &self,
        wanted: &Target,
        record: &LogRecord,
        before: &Tracker,
    ) -> Option<Result<Entry, String>> {
        let (source, target) = self.source_and_target(record)?;
        (target == *wanted).then(|| self.entry(source, &target, record, before))
    }
}
