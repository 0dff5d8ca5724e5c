//! The value of a record: a commit or a claim, as JSON, version 1.
//!
//! This is a storage format: a field's name and meaning never change, unknown fields are ignored,
//! and a sample of every version ever written is decoded in the tests. Whether a record counts is
//! not decided here but by its headers alone; see [`crate::log`].

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::contract::{Refusal, Target, Text, Time, Version};

/// The version of the value that this binary writes, and the highest that it reads.
pub const RECORD_VERSION: u32 = 1;

/// One command and all that it decided.
///
/// ```
/// use retell::events::Commit;
/// use retell::{Key, Name, Target, Version};
///
/// let value = br#"{"v":1,"aggregate":{"type":"account","id":"ann"},"first_version":4,
///     "command":"DepositMoney","command_id":"order-7","time":"2026-11-22T10:00:00.000Z",
///     "events":[{"id":"019a0000-0000-7000-8000-000000000001","type":"MoneyDeposited",
///         "schema":"1","data":{"amount":5,"balance":12}}]}"#;
/// let commit = Commit::decode(value)?;
/// assert!(commit.is_of(&Target::new(Name::new("account")?, &Key::new("ann")?)));
/// assert_eq!(commit.events[0].event_type, "MoneyDeposited");
/// assert_eq!(commit.last_version(), Version(4));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Commit<'a> {
    /// The version of this format.
    pub v: u32,
    /// The aggregate that decided.
    #[serde(borrow)]
    pub aggregate: AggregateRef<'a>,
    /// The version of the first event; the current version + 1 when there is none.
    pub first_version: Version,
    /// The type of the command.
    #[serde(borrow)]
    pub command: Cow<'a, str>,
    /// The Idempotency-Key verbatim, or an id of our own with its prefix.
    #[serde(borrow)]
    pub command_id: Cow<'a, str>,
    /// Hex of the first 16 bytes of SHA-256 over the command's JSON as received.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "borrow_text")]
    pub fingerprint: Option<Cow<'a, str>>,
    /// The writer's clock, never going back within an aggregate.
    pub time: Time,
    /// What the command belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "borrow_text")]
    pub correlation_id: Option<Cow<'a, str>>,
    /// What caused the command.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "borrow_text")]
    pub causation_id: Option<Cow<'a, str>>,
    /// Who sent the command.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "borrow_text")]
    pub actor: Option<Cow<'a, str>>,
    /// The W3C trace context of the request.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "borrow_text")]
    pub traceparent: Option<Cow<'a, str>>,
    /// What else the sender wanted to be kept.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// What happened, in order; may be empty.
    #[serde(borrow)]
    pub events: Vec<StoredEvent<'a>>,
    /// The refusal of a command with a repeatable id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refusal>,
}

/// An aggregate in a record.
///
/// ```
/// use retell::events::AggregateRef;
///
/// let ann = AggregateRef { aggregate_type: "account".into(), id: "ann".into() };
/// assert_eq!(serde_json::to_string(&ann)?, r#"{"type":"account","id":"ann"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct AggregateRef<'a> {
    /// The name of its type.
    #[serde(borrow, rename = "type")]
    pub aggregate_type: Cow<'a, str>,
    /// Its id.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
}

/// One event as it is stored.
///
/// ```
/// use retell::events::{decode, encode};
/// # use retell::doc::{Light, LightEvent};
///
/// let stored = encode::<Light>(uuid::Uuid::nil(), &LightEvent::SwitchedOn {})?;
/// assert_eq!((&*stored.event_type, stored.schema), ("SwitchedOn", 1));
/// assert_eq!(stored.data.get(), "{}");
/// assert_eq!(decode::<Light>(&stored)?, LightEvent::SwitchedOn {});
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct StoredEvent<'a> {
    /// A UUIDv7.
    pub id: Uuid,
    /// The tag of the event's enum, equal to `event_type()`.
    #[serde(borrow, rename = "type")]
    pub event_type: Cow<'a, str>,
    /// The `event_version()`, written as a string of decimal digits.
    #[serde(serialize_with = "write_schema", deserialize_with = "read_schema")]
    pub schema: u32,
    /// The content of the event's enum.
    #[serde(borrow, deserialize_with = "borrow_raw")]
    pub data: Cow<'a, RawValue>,
}

/// A writer's claim to a partition.
///
/// ```
/// use retell::events::Claim;
///
/// let value = br#"{"v":1,"claim_id":"019a0000-0000-7000-8000-000000000001","node":"n1",
///     "instance":"019a0000-0000-7000-8000-000000000002","address":"http://n1:8080",
///     "partitions":16,"hash":"murmur2","time":"2026-11-22T10:00:00.000Z"}"#;
/// let claim = Claim::decode(value)?;
/// assert_eq!((&*claim.node, claim.partitions), ("n1", 16));
/// assert_eq!(Claim::decode(&claim.encode())?, claim);
/// # Ok::<(), retell::events::Unreadable>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Claim {
    /// The version of this format.
    pub v: u32,
    /// New for every attempt, so that a writer knows its own.
    pub claim_id: Uuid,
    /// The node's name.
    pub node: String,
    /// New for every process, so that two with one name know each other apart.
    pub instance: Uuid,
    /// Where other nodes reach it.
    pub address: String,
    /// The partition count that this log was made with.
    pub partitions: u32,
    /// The hash that spreads aggregates over partitions.
    pub hash: String,
    /// The writer's clock.
    pub time: Time,
    /// The policies that the process runs: the first claim that names one is where it begins,
    /// unless it is told otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
}

/// Why the value of a record that counts cannot be read.
///
/// ```
/// use retell::events::{Commit, Unreadable};
///
/// let error = Commit::decode(br#"{"v":2}"#).expect_err("a newer binary wrote it");
/// assert!(matches!(error, Unreadable::Newer(2)));
/// assert_eq!(error.to_string(), "record version 2, this binary reads up to 1");
/// ```
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is not the JSON of a record.
    #[error("not a record: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It was written by a newer binary.
    #[error("record version {0}, this binary reads up to {RECORD_VERSION}")]
    Newer(u32),
    /// Its key names another aggregate than its value.
    #[error("the key names another aggregate than the value")]
    KeyDiffers,
}

impl<'a> Commit<'a> {
    /// Reads a value, after its version.
    ///
    /// # Errors
    /// The value is no commit, or of a newer version.
    pub fn decode(value: &'a [u8]) -> Result<Self, Unreadable> {
        let read = match str::from_utf8(value) {
            // One look at the whole is faster than one at each text in it.
            Ok(text) => serde_json::from_str::<Self>(text),
            // It says where.
            Err(_) => serde_json::from_slice::<Self>(value),
        };
        match read {
            Ok(commit) if commit.v <= RECORD_VERSION => Ok(commit),
            Ok(commit) => Err(Unreadable::Newer(commit.v)),
            Err(error) => Err(newer_or(value, error)),
        }
    }

    /// Whether it is a commit of this aggregate.
    #[must_use]
    pub fn is_of(&self, target: &Target) -> bool {
        let AggregateRef { aggregate_type, id } = &self.aggregate;
        target.aggregate_type() == aggregate_type && target.id() == id
    }

    /// The value to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(512);
        serde_json::to_writer(&mut value, self).expect("a commit has string keys only");
        value
    }

    /// The aggregate's version after one of its events, counted from 0.
    #[must_use]
    pub const fn version_of(&self, event: usize) -> Version {
        Version(self.first_version.0.saturating_add(event as u64))
    }

    /// The aggregate's version after this commit.
    #[must_use]
    pub fn last_version(&self) -> Version {
        Version(self.first_version.0.saturating_sub(1)).plus(self.events.len())
    }
}

impl StoredEvent<'_> {
    /// The same, without a copy of its texts.
    pub(crate) fn borrowed(&self) -> StoredEvent<'_> {
        let Self { id, event_type, schema, data } = self;
        let (event_type, data) = (Cow::Borrowed(&**event_type), Cow::Borrowed(&**data));
        StoredEvent { id: *id, event_type, schema: *schema, data }
    }

    /// The same, without the record that it was read from.
    #[must_use]
    pub fn into_owned(self) -> StoredEvent<'static> {
        let Self { id, event_type, schema, data } = self;
        let event_type = Cow::Owned(event_type.into_owned());
        StoredEvent { id, event_type, schema, data: Cow::Owned(data.into_owned()) }
    }
}

impl Claim {
    /// Reads a value.
    ///
    /// # Errors
    /// The value is no claim, or of a newer version.
    pub fn decode(value: &[u8]) -> Result<Self, Unreadable> {
        match serde_json::from_slice::<Self>(value) {
            Ok(claim) if claim.v <= RECORD_VERSION => Ok(claim),
            Ok(claim) => Err(Unreadable::Newer(claim.v)),
            Err(error) => Err(newer_or(value, error)),
        }
    }

    /// The value to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a claim has string keys only")
    }
}

/// A newer version may have another shape; its number is what the reader must hear about.
fn newer_or(value: &[u8], error: serde_json::Error) -> Unreadable {
    #[derive(Deserialize)]
    struct Head {
        v: u32,
    }
    match serde_json::from_slice::<Head>(value) {
        Ok(head) if head.v > RECORD_VERSION => Unreadable::Newer(head.v),
        _ => Unreadable::Malformed(error),
    }
}

/// serde borrows a text that may be missing only if it is told how.
fn borrow_text<'de: 'a, 'a, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Cow<'a, str>>, D::Error> {
    #[derive(Deserialize)]
    struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);
    Ok(Option::<Borrowed<'a>>::deserialize(deserializer)?.map(|Borrowed(text)| text))
}

fn borrow_raw<'de: 'a, 'a, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Cow<'a, RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Cow::Borrowed)
}

/// A schema number is a string in JSON because `event_version()` is one.
fn write_schema<S: Serializer>(schema: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(schema)
}

fn read_schema<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let read = |text: &str| schema_of(text).ok_or("schema is no integer from 1");
    deserializer.deserialize_str(Text(read))
}

/// The number in an `event_version()`: a decimal integer from 1.
#[must_use]
pub(crate) fn schema_of(text: &str) -> Option<u32> {
    let is_plain = text.starts_with(|first: char| first.is_ascii_digit() && first != '0');
    is_plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_a_record_are_not_copied() {
        let value = br#"{"v":1,"aggregate":{"type":"account","id":"ann"},"first_version":1,
            "command":"DepositMoney","command_id":"order-7","time":"2026-11-22T10:00:00.000Z",
            "fingerprint":"f","correlation_id":"c","causation_id":"a","actor":"bob",
            "traceparent":"t","events":[]}"#;
        let commit = Commit::decode(value).expect("a commit");
        let Commit { fingerprint, correlation_id, causation_id, actor, traceparent, .. } = commit;
        for text in [fingerprint, correlation_id, causation_id, actor, traceparent] {
            assert!(matches!(text, Some(Cow::Borrowed(_))), "{text:?}");
        }
        for text in [commit.command, commit.command_id, commit.aggregate.id] {
            assert!(matches!(text, Cow::Borrowed(_)), "{text:?}");
        }
    }
}
