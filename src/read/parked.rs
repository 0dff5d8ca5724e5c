//! Sequences that are held back: an aggregate that a projection cannot fold from some record on.
//!
//! Its records stay where they are, in the log. What is kept in the space is where they begin, so
//! that a retry can read them again, and what a person needs to know.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::contract::{Position, Time, Version};
use crate::events::{Commit, Fingerprint};
use crate::log::Checkpoint;
use crate::ports::{LogRecord, Space, StoreError};

/// The map in each space with the aggregates that are held back.
pub(crate) const PARKED_MAP: &str = "parked";

/// Bytes of an event's content that are shown; the log has all of it.
const EXCERPT_BYTES_MAX: usize = 1_000;

/// An aggregate that this projection holds back on this partition.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Parked {
    /// Its first record that could not be folded.
    pub(crate) position: Position,
    /// When that was appended.
    pub(crate) time: Time,
    /// What could not be folded.
    pub(crate) event: ParkedEvent,
    /// Why.
    pub(crate) error: String,
    /// Its records that were held back, with the first.
    pub(crate) count: u64,
    /// Where a reader stands before the first one.
    pub(crate) before: Checkpoint,
    /// Whether it was given up: its view is gone, and its later records are passed over.
    #[serde(default)]
    pub(crate) discarded: bool,
}

/// All aggregates that are held back, by `TYPE/ID`.
pub(crate) type ParkedMap = BTreeMap<String, Parked>;

/// What the map of a space says is held back.
pub(crate) fn parked_of<T: DeserializeOwned>(
    space: &Space,
    fields: &BTreeMap<String, Bytes>,
) -> Result<BTreeMap<String, T>, StoreError> {
    let torn = |error: serde_json::Error| StoreError::Torn {
        space: space.to_string(),
        detail: format!("what is parked: {error}"),
    };
    let read = |(aggregate, json): (&String, &Bytes)| {
        serde_json::from_slice(json).map(|parked| (aggregate.clone(), parked))
    };
    fields.iter().map(read).collect::<Result<_, _>>().map_err(torn)
}

/// Why a record must be parked, as a fold found out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Poison {
    /// The version of the event that it is about, if there is one.
    pub(crate) version: Option<Version>,
    pub(crate) error: String,
}

/// The event at which a sequence was parked.
///
/// ```
/// use retell::{Version, read::ParkedEvent};
/// use serde_json::json;
///
/// let (event_type, version) = (Some("Dimmed".to_owned()), Some(Version(3)));
/// let event = ParkedEvent { event_type, version, data: r#"{"to":-1}"#.to_owned() };
/// let shown = json!({"type": "Dimmed", "version": 3, "data": r#"{"to":-1}"#});
/// assert_eq!(serde_json::to_value(event)?, shown);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct ParkedEvent {
    /// Its type; none if the record itself cannot be read.
    #[serde(rename = "type")]
    pub event_type: Option<String>,
    /// The aggregate's version after it.
    pub version: Option<Version>,
    /// The beginning of its content, or else of the record, as the log has it.
    pub data: String,
}

/// An aggregate that a projection holds back.
///
/// ```
/// use retell::{Projection, Recorded, app::App, write::SendOptions};
/// # use retell::doc::{Light, LightCommand, LightEvent, LightView};
///
/// struct Broken;
///
/// impl Projection for Broken {
///     type Aggregate = Light;
///     type View = LightView;
///     const NAME: &'static str = "broken";
///     const REVISION: u32 = 1;
///
///     fn fold(&self, _: Option<LightView>, _: &LightEvent, _: &Recorded<'_>)
///         -> Option<LightView>
///     {
///         panic!("a bug")
///     }
/// }
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).projection(Broken).build().await?;
/// # app.ready().await;
/// let order = LightCommand::SwitchOn {};
/// let done = app.commands().send::<Light>("hall", order, SendOptions::default()).await?;
/// # while app.views().parked().is_empty() { tokio::task::yield_now().await }
/// let parked = app.views().parked().remove(0);
/// assert_eq!((parked.aggregate.as_str(), parked.position), ("light/hall", done.position));
/// assert!(parked.error.contains("a bug"));
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct ParkedSequence {
    /// How it is named: the same as long as it is parked, through replays and restarts.
    pub id: ParkedId,
    /// The projection, or `policy.NAME`.
    pub projection: Cow<'static, str>,
    /// The aggregate: `account/ann`.
    pub aggregate: String,
    /// Its first record that could not be folded.
    pub position: Position,
    /// When that was appended, by the log's clock.
    pub time: Time,
    /// What could not be folded.
    pub event: ParkedEvent,
    /// Why.
    pub error: String,
    /// How many of its records were held back, with the first; those of a discarded one are no
    /// longer counted.
    pub count: u64,
    /// Whether it waits for a retry, or was given up.
    pub state: ParkedState,
}

/// What becomes of a sequence.
///
/// ```
/// use retell::read::ParkedState;
///
/// assert_eq!(serde_json::to_value(ParkedState::Discarded)?, "discarded");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ParkedState {
    /// Its records are held back until a retry or a replay.
    Parked,
    /// Its records are passed over until a replay.
    Discarded,
}

/// The name of a sequence in a URL: 32 hex digits over the projection and the aggregate.
///
/// ```
/// use retell::read::ParkedId;
///
/// let id: ParkedId = "00112233445566778899AABBCCDDEEFF".parse()?;
/// assert_eq!(id.to_string(), "00112233445566778899aabbccddeeff");
/// # Ok::<(), retell::read::InvalidParkedId>(())
/// ```
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ParkedId(String);

/// A text that names no sequence.
///
/// ```
/// use retell::read::{InvalidParkedId, ParkedId};
///
/// assert_eq!("account/ann".parse::<ParkedId>(), Err(InvalidParkedId));
/// assert!(InvalidParkedId.to_string().contains("32 hex digits"));
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the id of a parked sequence is 32 hex digits, as GET /admin/parked lists them")]
pub struct InvalidParkedId;

impl Parked {
    /// A sequence that begins with this record.
    pub(crate) fn first(
        record: &LogRecord,
        position: Position,
        before: Checkpoint,
        poison: Poison,
    ) -> Self {
        Self {
            position,
            time: record.time,
            event: ParkedEvent::of(&record.value, poison.version),
            error: poison.error,
            count: 1,
            before,
            discarded: false,
        }
    }

    /// As it is listed.
    pub(crate) fn shown(
        &self,
        projection: impl Into<Cow<'static, str>>,
        aggregate: &str,
    ) -> ParkedSequence {
        let projection = projection.into();
        let state = if self.discarded { ParkedState::Discarded } else { ParkedState::Parked };
        ParkedSequence {
            id: ParkedId::of(&projection, aggregate),
            projection,
            aggregate: aggregate.to_owned(),
            position: self.position,
            time: self.time,
            event: self.event.clone(),
            error: self.error.clone(),
            count: self.count,
            state,
        }
    }
}

impl ParkedEvent {
    /// The event of this version in a record, or the record if that is not to be found.
    fn of(value: &[u8], version: Option<Version>) -> Self {
        let of_version = || {
            let (commit, version) = (Commit::decode(value).ok()?, version?);
            let at = version.0.checked_sub(commit.first_version.0)?;
            let event = commit.events.get(usize::try_from(at).ok()?)?;
            let data = excerpt(event.data.get().as_bytes());
            let event_type = Some(event.event_type.to_string());
            Some(Self { event_type, version: Some(version), data })
        };
        let whole = || Self { event_type: None, version: None, data: excerpt(value) };
        of_version().unwrap_or_else(whole)
    }
}

impl ParkedId {
    /// The id of a projection's sequence of this aggregate. Neither has a space in its name.
    pub(crate) fn of(projection: &str, aggregate: &str) -> Self {
        Self(Fingerprint::of(format!("{projection} {aggregate}").as_bytes()).to_string())
    }
}

impl FromStr for ParkedId {
    type Err = InvalidParkedId;

    fn from_str(text: &str) -> Result<Self, InvalidParkedId> {
        let is_id = text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_id.then(|| Self(text.to_ascii_lowercase())).ok_or(InvalidParkedId)
    }
}

impl fmt::Display for ParkedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The beginning of a text, or of what may be none.
fn excerpt(bytes: &[u8]) -> String {
    let (first, is_all) = match bytes.get(..EXCERPT_BYTES_MAX) {
        Some(first) => (first, bytes.len() == EXCERPT_BYTES_MAX),
        None => (bytes, true),
    };
    let mut text = String::from_utf8_lossy(first).into_owned();
    if !is_all {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_same_for_ever_and_safe_in_a_url() {
        let id = ParkedId::of("accounts", "account/Zoë #1");
        assert_eq!(id.to_string().len(), 32);
        assert!(id.to_string().bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(id.to_string().parse(), Ok(id.clone()));
        assert_eq!(id, ParkedId::of("accounts", "account/Zoë #1"));
        assert_ne!(id, ParkedId::of("account", "saccount/Zoë #1"));
        for none in ["", "one", &"4".repeat(31), &"g".repeat(32)] {
            assert_eq!(none.parse::<ParkedId>(), Err(InvalidParkedId), "{none}");
        }
    }

    #[test]
    fn the_event_is_shown_that_could_not_be_folded() {
        let record = br#"{"v":1,"aggregate":{"type":"account","id":"ann"},"first_version":4,
            "command":"C","command_id":"c","time":"2026-11-22T10:00:00.000Z","events":[
            {"id":"019b7715-e400-7000-8000-000000000001","type":"A","schema":"1","data":{"a":1}},
            {"id":"019b7715-e400-7000-8000-000000000002","type":"B","schema":"1","data":{"b":2}}
            ]}"#;
        let shown = ParkedEvent::of(record, Some(Version(5)));
        assert_eq!((shown.event_type.as_deref(), shown.data.as_str()), (Some("B"), r#"{"b":2}"#));
        for version in [None, Some(Version(3)), Some(Version(6))] {
            let shown = ParkedEvent::of(record, version);
            assert_eq!(shown.event_type, None);
            assert!(shown.data.starts_with(r#"{"v":1"#), "{}", shown.data);
        }
    }

    #[test]
    fn what_is_no_record_is_shown_as_far_as_it_is_text() {
        assert_eq!(ParkedEvent::of(b"gar\xffbage", Some(Version(1))).data, "gar\u{fffd}bage");
        let long = "x".repeat(5_000);
        assert_eq!(ParkedEvent::of(long.as_bytes(), None).data, "x".repeat(1_000) + "…");
        assert_eq!(ParkedEvent::of(&long.as_bytes()[..1_000], None).data, "x".repeat(1_000));
    }
}
