//! From records to commands: what follows from a run of records, aggregate by aggregate.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;

use crate::contract::{
    Instruction, Key, Offset, Partition, Position, Recorded, Source, Target, Time, Version,
};
use crate::events::{CommandId, Commit, Metadata, Undecodable, Unreadable};
use crate::log::{Checkpoint, Mark, Tracker};
use crate::ports::LogRecord;
use crate::read::{Poison, said};

use super::any_policy::AnyPolicy;
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

/// A command that is to be issued.
pub(super) struct Command {
    pub(super) aggregate_type: &'static str,
    pub(super) id: Key,
    pub(super) json: Bytes,
    pub(super) command_id: CommandId,
    pub(super) metadata: Metadata,
    /// The version of the event that it follows from.
    pub(super) version: Version,
    /// When the log took that.
    pub(super) since: Time,
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
    fn source_and_target(&self, record: &LogRecord) -> Option<(&Source, Target)> {
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

    fn follows(
        &self,
        source: &Source,
        target: &Target,
        record: &LogRecord,
        position: Position,
    ) -> Result<Vec<Command>, Bad> {
        let of_record = |error: String| Bad::Poison(Poison { version: None, error });
        let commit = match Commit::decode(&record.value) {
            Ok(commit) if commit.is_of(target) => commit,
            Ok(_) => return Err(of_record(Unreadable::KeyDiffers.to_string())),
            Err(error @ Unreadable::Newer(_)) => return Err(Bad::Newer(error.to_string())),
            Err(error) => return Err(of_record(error.to_string())),
        };
        let mut commands = Vec::new();
        for (i, stored) in commit.events.iter().enumerate() {
            let version = commit.version_of(i);
            let poison = |error| Bad::Poison(Poison { version: Some(version), error });
            // What a user wrote (an upcaster, the policy) may panic.
            let asked = catch_unwind(AssertUnwindSafe(|| {
                let decoded = (source.decode)(stored)?;
                let recorded = Recorded::of(target, &commit, position, i, &*decoded);
                Ok((self.policy.react(&recorded), metadata(&recorded)))
            }));
            let (instructions, metadata) = match asked {
                Ok(Ok(asked)) => asked,
                Ok(Err(error)) => return Err(Bad::of_event(&error, version)),
                Err(panic) => return Err(poison(format!("it panicked: {}", said(&*panic)))),
            };
            let max = self.commands_per_event_max;
            if instructions.len() > max {
                let many = instructions.len();
                let setting = "policies.commands_per_event_max";
                return Err(poison(format!("{many} commands follow; {setting} is {max}")));
            }
            for (index, instruction) in instructions.into_iter().enumerate() {
                let command_id =
                    CommandId::of_policy(self.policy.name().as_str(), stored.id, index);
                let command = Command::new(instruction, command_id, metadata.clone());
                let command = command.map_err(&poison)?;
                commands.push(Command { version, since: record.time, ..command });
            }
        }
        Ok(commands)
    }
}

/// Why nothing can be said to follow from a record.
enum Bad {
    /// It is newer than this binary.
    Newer(String),
    /// Its aggregate must be held back.
    Poison(Poison),
}

impl Bad {
    fn of_event(error: &Undecodable, version: Version) -> Self {
        match error.is_newer() {
            true => Self::Newer(error.to_string()),
            false => Self::Poison(Poison { version: Some(version), error: error.to_string() }),
        }
    }
}

impl Command {
    fn new(to: Instruction, command_id: CommandId, metadata: Metadata) -> Result<Self, String> {
        let Instruction { aggregate_type, id, command } = to;
        let id = Key::new(&id).map_err(|error| format!("the id `{id}` {error}"))?;
        let json = command.map_err(|error| format!("a command has no JSON: {error}"))?;
        let (version, since) = (Version::NONE, Time::default());
        Ok(Self { aggregate_type, id, json, command_id, metadata, version, since })
    }
}

/// The event is the cause; what its command belonged to, the new one belongs to. Where that was
/// not said, it is what the first command began.
fn metadata(recorded: &Recorded<'_>) -> Metadata {
    let correlation_id = recorded.correlation_id().unwrap_or_else(|| recorded.command_id());
    Metadata {
        correlation_id: Some(correlation_id.to_owned()),
        causation_id: Some(recorded.event_id().to_string()),
        ..Metadata::default()
    }
}
