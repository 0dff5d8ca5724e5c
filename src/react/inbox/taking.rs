//! From a message to a command that is under way.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

use crate::contract::Position;
use crate::events::{CommandId, Envelope};
use crate::ports::Received;
use crate::write::{CommandError, Commands, Expected, Failure, FullPartitions, SendOptions, Sent};

use super::{Outcome, Wording};

/// A message whose command is under way, or that has none.
pub(super) struct Taken {
    /// Kept, so that its command can be tried again.
    pub(super) received: Received,
    pub(super) command_id: CommandId,
    /// How often its command was tried.
    pub(super) attempts: u32,
    pub(super) fate: Fate,
}

pub(super) enum Fate {
    Sent(Box<Sent>),
    Known(Outcome),
}

/// Takes a message; waits until the writer has room for its command, which keeps the order of an
/// aggregate.
pub(super) async fn take(
    commands: &Commands,
    wording: &dyn Wording,
    topic: &str,
    received: Received,
    full: &mut FullPartitions,
) -> Taken {
    let place = received.position;
    let own = || CommandId::of_inbox(topic, place, received.time);
    let envelope = match Envelope::parse(&received.message.value) {
        Ok(envelope) => envelope,
        Err(error) => return Taken::without(own(), Outcome::BadEnvelope(error), received),
    };
    let command_id = envelope.key.unwrap_or_else(own);
    let metadata = match wording.metadata(&received.message.headers) {
        Ok(metadata) => metadata,
        Err(error) => return Taken::without(command_id, Outcome::BadHeader(error), received),
    };
    let options = SendOptions {
        command_id: Some(command_id.clone()),
        repeatable: true,
        expected: envelope.expected_version.map(Expected::Version),
        metadata,
        ..SendOptions::default()
    };
    let json = received.message.value.slice_ref(envelope.command.get().as_bytes());
    let enqueue = commands.enqueue(&envelope.aggregate_type, &envelope.id, json, options, full);
    // A command that panics while it is read is a bug of its own, and stops no other.
    let fate = match AssertUnwindSafe(enqueue).catch_unwind().await {
        Ok(Ok(sent)) => Fate::Sent(Box::new(sent)),
        Ok(Err(failure)) => Fate::Known(Outcome::Undone(failure.into())),
        Err(_) => Fate::Known(Outcome::Undone(panicked(place))),
    };
    Taken { received, command_id, attempts: 1, fate }
}

fn panicked(place: Position) -> CommandError {
    Failure::Bug(format!("reading the command of message {place} panicked")).into()
}

impl Taken {
    const fn without(command_id: CommandId, outcome: Outcome, received: Received) -> Self {
        Self { received, command_id, attempts: 1, fate: Fate::Known(outcome) }
    }

    /// Whether its outcome is there.
    pub(super) fn is_ready(&mut self) -> bool {
        match &mut self.fate {
            Fate::Sent(sent) => sent.is_ready(),
            Fate::Known(_) => true,
        }
    }

    /// Why its command was not even taken, if it was not.
    pub(super) const fn turned_away(&self) -> Option<&CommandError> {
        match &self.fate {
            Fate::Known(Outcome::Undone(error)) => Some(error),
            Fate::Known(_) | Fate::Sent(_) => None,
        }
    }
}

impl Fate {
    /// Waits for the outcome.
    pub(super) async fn outcome(self) -> Outcome {
        match self {
            Self::Known(outcome) => outcome,
            Self::Sent(sent) => match sent.outcome().await {
                Ok(done) => Outcome::Done(Box::new(done)),
                Err(error) => Outcome::Undone(error),
            },
        }
    }
}
