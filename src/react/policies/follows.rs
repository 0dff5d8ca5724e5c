//! From a record to commands: what a policy says that follows from its events, and what a process
//! says that follows from the answers.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;

use crate::contract::{
    Answer, Instruction, Key, Position, Recorded, Source, Target, Time, Version,
};
use crate::events::{CommandId, Commit, Metadata, Undecodable, Unreadable};
use crate::ports::LogRecord;
use crate::read::{Poison, said};

use super::chunk::{Asked, Entry};

/// A command that is to be issued.
#[derive(Clone)]
pub(super) struct Command {
    pub(super) aggregate_type: String,
    pub(super) id: Key,
    pub(super) json: Bytes,
    pub(super) command_id: CommandId,
    pub(super) metadata: Metadata,
    /// Which of the record's events it follows from, and as which of its instructions.
    pub(super) event: usize,
    pub(super) index: usize,
    /// The version of that event.
    pub(super) version: Version,
    /// When the log took that.
    pub(super) since: Time,
    /// When it is to be issued, if not at once.
    pub(super) due: Option<Time>,
}

/// Why nothing can be said to follow from a record.
pub(super) enum Bad {
    /// It is newer than this binary.
    Newer(String),
    /// Its aggregate must be held back.
    Poison(Poison),
}

impl Asked<'_> {
    /// What follows from the events of a record.
    pub(super) fn follows(
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
        for event in 0..commit.events.len() {
            let it = OfEvent { source, target, commit: &commit, position, event };
            let (instructions, metadata) = it.ask(|recorded| self.policy.react(recorded))?;
            let id = |index| self.policy.command_id(commit.events[event].id, index, None);
            let new = it.commands(self, instructions, &metadata, record.time, id)?;
            commands.extend(new);
        }
        Ok(commands)
    }

    /// What follows from the answer to a command that followed from this entry.
    pub(super) fn answered(
        &self,
        entry: &Entry,
        command: &Command,
        answer: &Answer,
    ) -> Result<Vec<Command>, String> {
        let gone = || "the record cannot be read any more".to_owned();
        let (source, target) = self.source_and_target(&entry.record).ok_or_else(gone)?;
        let commit = Commit::decode(&entry.record.value).map_err(|error| error.to_string())?;
        let (position, event, index) = (entry.position, command.event, command.index);
        let it = OfEvent { source, target: &target, commit: &commit, position, event };
        let ask = |recorded: &Recorded<'_>| self.policy.answered(recorded, index, answer);
        let (instructions, metadata) = it.ask(ask).map_err(Bad::into_text)?;
        let event_id = commit.events.get(event).ok_or_else(gone)?.id;
        let id = |next| self.policy.command_id(event_id, index, Some(next));
        let commands = it.commands(self, instructions, &metadata, entry.record.time, id);
        let commands = commands.map_err(Bad::into_text)?;
        if commands.iter().any(|command| command.due.is_some()) {
            return Err("what follows from an answer follows at once, not later".to_owned());
        }
        Ok(commands)
    }
}

/// One event of a record.
struct OfEvent<'r> {
    source: &'r Source,
    target: &'r Target,
    commit: &'r Commit<'r>,
    position: Position,
    event: usize,
}

impl OfEvent<'_> {
    /// Asks what follows. What a user wrote (an upcaster, the policy) may panic.
    fn ask(
        &self,
        ask: impl Fn(&Recorded<'_>) -> Vec<Instruction>,
    ) -> Result<(Vec<Instruction>, Metadata), Bad> {
        let Self { source, target, commit, position, event } = *self;
        let asked = catch_unwind(AssertUnwindSafe(|| {
            let decoded = (source.decode)(&commit.events[event])?;
            let recorded = Recorded::of(target, commit, position, event, &*decoded);
            Ok((ask(&recorded), metadata(&recorded, commit)))
        }));
        match asked {
            Ok(Ok(asked)) => Ok(asked),
            Ok(Err(error)) => Err(Bad::of_event(&error, commit.version_of(event))),
            Err(panic) => Err(self.poison(format!("it panicked: {}", said(&*panic)))),
        }
    }

    fn commands(
        &self,
        asked: &Asked<'_>,
        instructions: Vec<Instruction>,
        metadata: &Metadata,
        since: Time,
        id: impl Fn(usize) -> CommandId,
    ) -> Result<Vec<Command>, Bad> {
        let max = asked.commands_per_event_max;
        if instructions.len() > max {
            let many = instructions.len();
            let setting = "policies.commands_per_event_max";
            return Err(self.poison(format!("{many} commands follow; {setting} is {max}")));
        }
        let command = |(index, instruction)| {
            let Instruction { aggregate_type, id: to, command, delay } = instruction;
            let to = Key::new(&to).map_err(|error| format!("the id `{to}` {error}"))?;
            let json = command.map_err(|error| format!("a command has no JSON: {error}"))?;
            Ok(Command {
                aggregate_type: aggregate_type.to_owned(),
                id: to,
                json,
                command_id: id(index),
                metadata: metadata.clone(),
                event: self.event,
                index,
                version: self.commit.version_of(self.event),
                since,
                due: delay.map(|delay| since.after(delay)),
            })
        };
        let commands = instructions.into_iter().enumerate().map(command);
        commands.collect::<Result<_, String>>().map_err(|error| self.poison(error))
    }

    fn poison(&self, error: String) -> Bad {
        Bad::Poison(Poison { version: Some(self.commit.version_of(self.event)), error })
    }
}

impl Bad {
    fn of_event(error: &Undecodable, version: Version) -> Self {
        match error.is_newer() {
            true => Self::Newer(error.to_string()),
            false => Self::Poison(Poison { version: Some(version), error: error.to_string() }),
        }
    }

    fn into_text(self) -> String {
        match self {
            Self::Newer(error) | Self::Poison(Poison { error, .. }) => error,
        }
    }
}

/// The event is the cause; what its command belonged to, the new one belongs to. Where that was
/// not said, it is what the first command began. It goes on with its trace.
fn metadata(recorded: &Recorded<'_>, commit: &Commit<'_>) -> Metadata {
    let correlation_id = recorded.correlation_id().unwrap_or_else(|| recorded.command_id());
    Metadata {
        correlation_id: Some(correlation_id.to_owned()),
        causation_id: Some(recorded.event_id().to_string()),
        traceparent: commit.traceparent.as_deref().map(str::to_owned),
        ..Metadata::default()
    }
}
