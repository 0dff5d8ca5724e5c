//! What a command that was done gives back.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::contract::{Position, Target, Time, Version};
use crate::events::{CommandId, StoredEvent};

/// The outcome of a command that was done: what it decided, and where that is in the log.
#[derive(Clone, Debug)]
pub struct Done {
    /// The aggregate.
    pub target: Target,
    /// Its version after the command.
    pub version: Version,
    /// Where the commit is; without one, where the state is that was decided on.
    pub position: Position,
    /// The command's id.
    pub command_id: CommandId,
    /// When it was decided, by the writer's clock.
    pub time: Time,
    /// What happened, in order; may be empty.
    pub events: Vec<StoredEvent<'static>>,
    /// Whether it was done before, under the same id, and this is the same answer again.
    pub replayed: bool,
}

/// One event of an answer.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct DoneEvent<'a> {
    /// The event's id.
    pub id: Uuid,
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: &'a str,
    /// The aggregate's version after it.
    pub version: Version,
    /// When it was decided.
    pub time: Time,
    /// Its content.
    #[schemars(with = "RawValue")]
    pub data: &'a Cow<'a, RawValue>,
}

impl Done {
    /// The events with their versions.
    pub fn events(&self) -> impl Iterator<Item = DoneEvent<'_>> {
        let before = Version(self.version.0 - self.events.len() as u64);
        self.events.iter().enumerate().map(move |(i, event)| DoneEvent {
            id: event.id,
            event_type: &event.event_type,
            version: before.plus(i + 1),
            time: self.time,
            data: &event.data,
        })
    }
}
