//! What a command that was done gives back.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::contract::{Position, Target, Time, Version};
use crate::events::{CommandId, StoredEvent};

/// The outcome of a command that was done: what it decided, and where that is in the log.
///
/// ```
/// use retell::{Version, app::App, write::SendOptions};
/// # use retell::doc::{Light, LightCommand};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).build().await?;
/// app.ready().await;
/// let order = LightCommand::SwitchOn {};
/// let done = app.commands().send::<Light>("hall", order, SendOptions::default()).await?;
/// assert_eq!((done.target.as_str(), done.version), ("light/hall", Version(1)));
/// assert_eq!(done.events[0].event_type, "SwitchedOn");
/// assert!(!done.replayed);
/// # app.stop().await; Ok(()) }
/// ```
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
///
/// ```
/// use retell::{Version, app::App, write::SendOptions};
/// # use retell::doc::{Light, LightCommand};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).build().await?;
/// app.ready().await;
/// let order = LightCommand::SwitchOn {};
/// let done = app.commands().send::<Light>("hall", order, SendOptions::default()).await?;
/// let event = done.events().next().expect("it was off");
/// assert_eq!((event.event_type, event.version), ("SwitchedOn", Version(1)));
/// assert_eq!(event.time, done.time);
/// # app.stop().await; Ok(()) }
/// ```
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
