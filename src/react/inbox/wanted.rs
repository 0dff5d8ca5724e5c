//! A message's command: read, and sent as often as it takes.

use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use futures_util::FutureExt;

use crate::contract::{Key, Position};
use crate::events::{CommandId, Envelope};
use crate::ports::Received;
use crate::write::{
    CommandError, Commands, Expected, Failure, FullPartitions, SendOptions, Sent, Turn,
};

use super::{Outcome, Wording};

/// What a message wants to be done.
pub(super) struct Wanted {
    pub(super) place: Position,
    pub(super) command_id: CommandId,
    /// `TYPE/ID`.
    pub(super) aggregate: String,
    aggregate_type: String,
    id: Key,
    json: Bytes,
    options: SendOptions,
}

/// What became of a message.
pub(super) struct Settled {
    pub(super) place: Position,
    pub(super) command_id: CommandId,
    pub(super) outcome: Outcome,
}

impl Wanted {
    /// Reads a message of this topic; one without a command is settled.
    pub(super) fn read(
        wording: &dyn Wording,
        topic: &str,
        received: &Received,
    ) -> Result<Box<Self>, Box<Settled>> {
        let (place, message) = (received.position, &received.message);
        let own = || CommandId::of_inbox(topic, place, received.time);
        let envelope = Envelope::parse(&message.value).map_err(|error| {
            Box::new(Settled { place, command_id: own(), outcome: Outcome::BadEnvelope(error) })
        })?;
        let json = message.value.slice_ref(envelope.command.get().as_bytes());
        let command_id = envelope.key.unwrap_or_else(own);
        let metadata = wording.metadata(&message.headers).map_err(|error| {
            let command_id = command_id.clone();
            Box::new(Settled { place, command_id, outcome: Outcome::BadHeader(error) })
        })?;
        let options = SendOptions {
            command_id: Some(command_id.clone()),
            repeatable: true,
            expected: envelope.expected_version.map(Expected::Version),
            metadata,
            ..SendOptions::default()
        };
        let (aggregate_type, id) = (envelope.aggregate_type, envelope.id);
        let aggregate = format!("{aggregate_type}/{id}");
        Ok(Box::new(Self { place, command_id, aggregate, aggregate_type, id, json, options }))
    }

    /// Waits until the writer has room for it.
    pub(super) async fn send(
        &self,
        commands: &Commands,
        turn: Option<Turn>,
        full: &mut FullPartitions,
    ) -> Result<Sent, CommandError> {
        let (json, options) = (self.json.clone(), SendOptions { turn, ..self.options.clone() });
        let enqueue = commands.enqueue(&self.aggregate_type, &self.id, json, options, full);
        // A command that panics while it is read is a bug of its own, and stops no other.
        match AssertUnwindSafe(enqueue).catch_unwind().await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(panicked(self.place)),
        }
    }
}

fn panicked(place: Position) -> CommandError {
    Failure::Bug(format!("reading the command of message {place} panicked")).into()
}
