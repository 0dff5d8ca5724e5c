//! Between a user's event enum and its stored form.
//!
//! An externally tagged enum is `{"Tag":content}` or `"Tag"` in JSON; the tag is stored as the
//! event's type and the content as its data. The tag equals `event_type()`: the encoder checks it.

use std::any::Any;
use std::borrow::Cow;

use cqrs_es::DomainEvent;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::contract::{Aggregate, EventOf, Upcaster};

use super::record::{StoredEvent, schema_of};
use super::tagged::Tagged;

/// An event of any type, decoded once for all who read it.
///
/// ```
/// use retell::events::{decode_any, encode};
/// # use retell::doc::{Light, LightEvent};
///
/// let stored = encode::<Light>(uuid::Uuid::nil(), &LightEvent::SwitchedOn {})?;
/// let decoded = decode_any::<Light>(&stored)?;
/// assert_eq!(decoded.downcast_ref(), Some(&LightEvent::SwitchedOn {}));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type Decoded = Box<dyn Any + Send + Sync>;

/// Why an event cannot be stored: a mistake in the user's event type.
///
/// ```
/// use retell::events::Unencodable;
///
/// let error = Unencodable::NotUpcast { event_type: "SwitchedOn".into(), schema: 3, known: 2 };
/// let said = "event_version() of `SwitchedOn` is 3, but its upcasters lead to 2";
/// assert_eq!(error.to_string(), said);
/// ```
#[derive(Debug, thiserror::Error)]
pub enum Unencodable {
    /// The type is no externally tagged enum, or `event_type()` is not its tag.
    #[error("event_type() is `{event_type}`, but the event's JSON is `{json}`")]
    NotTagged {
        /// What `event_type()` said.
        event_type: String,
        /// The beginning of what serde wrote.
        json: String,
    },
    /// `event_version()` is no integer from 1.
    #[error("event_version() of `{event_type}` is `{version}`, expected an integer from 1")]
    NotAVersion {
        /// What `event_type()` said.
        event_type: String,
        /// What `event_version()` said.
        version: String,
    },
    /// `event_version()` is not the number that the aggregate's upcasters lead to.
    #[error("event_version() of `{event_type}` is {schema}, but its upcasters lead to {known}")]
    NotUpcast {
        /// What `event_type()` said.
        event_type: String,
        /// What `event_version()` said.
        schema: u32,
        /// One more than the highest schema that an upcaster reads.
        known: u32,
    },
    /// serde refused the event.
    #[error("event `{event_type}` has no JSON: {error}")]
    Json {
        /// What `event_type()` said.
        event_type: String,
        /// Why.
        error: serde_json::Error,
    },
}

/// Why a stored event is none of today's events.
///
/// ```
/// use retell::events::{decode, encode};
/// # use retell::doc::{Light, LightEvent};
///
/// let mut stored = encode::<Light>(uuid::Uuid::nil(), &LightEvent::SwitchedOn {})?;
/// stored.event_type = "Dimmed".into();
/// let error = decode::<Light>(&stored).expect_err("no binary of today writes it");
/// assert!(error.is_newer());
/// assert_eq!(error.to_string(), "event type `Dimmed` is unknown to this binary");
/// # Ok::<(), retell::events::Unencodable>(())
/// ```
#[derive(Debug, thiserror::Error)]
pub enum Undecodable {
    /// Its content is not what the type expects, or there is no such type.
    #[error("event `{event_type}` of schema {schema}: {error}")]
    Malformed {
        /// The stored type.
        event_type: String,
        /// The stored schema.
        schema: u32,
        /// What serde expected.
        error: serde_json::Error,
    },
    /// This binary does not know the type: a newer one wrote it.
    #[error("event type `{0}` is unknown to this binary")]
    UnknownType(String),
    /// This binary knows the type only up to a lower schema.
    #[error("event `{event_type}` has schema {schema}, this binary knows {known}")]
    NewerSchema {
        /// The stored type.
        event_type: String,
        /// The stored schema.
        schema: u32,
        /// The highest schema that this binary writes.
        known: u32,
    },
}

impl Undecodable {
    /// Whether a newer binary wrote it: then it is right, and this binary must not go on.
    #[must_use]
    pub const fn is_newer(&self) -> bool {
        matches!(self, Self::UnknownType(_) | Self::NewerSchema { .. })
    }
}

/// The stored form of an event.
///
/// # Errors
/// The event's type breaks the rules of [`Aggregate`].
pub fn encode<A: Aggregate>(
    id: Uuid,
    event: &EventOf<A>,
) -> Result<StoredEvent<'static>, Unencodable> {
    let event_type = event.event_type();
    let version = event.event_version();
    let Some(schema) = schema_of(&version) else {
        return Err(Unencodable::NotAVersion { event_type, version });
    };
    let known = known_schema::<A>(&event_type);
    if schema != known {
        return Err(Unencodable::NotUpcast { event_type, schema, known });
    }
    match serde_json::to_string(event) {
        Ok(json) => match content(&event_type, json) {
            Ok(data) => {
                let data = Cow::Owned(data);
                Ok(StoredEvent { id, event_type: event_type.into(), schema, data })
            }
            Err(json) => Err(Unencodable::NotTagged { event_type, json }),
        },
        Err(error) => Err(Unencodable::Json { event_type, error }),
    }
}

/// The event that was stored, as today's type.
///
/// # Errors
/// It is of a newer type or schema, or its content does not fit.
pub fn decode<A: Aggregate>(stored: &StoredEvent<'_>) -> Result<EventOf<A>, Undecodable> {
    let known = known_schema::<A>(&stored.event_type);
    if stored.schema > known {
        return Err(Undecodable::NewerSchema {
            event_type: stored.event_type.clone().into_owned(),
            schema: stored.schema,
            known,
        });
    }
    match upcast::<A>(stored)? {
        None => from_parts::<A>(stored, stored.data.get()),
        Some(content) => from_parts::<A>(stored, &content.to_string()),
    }
}

/// [`decode`] for readers of more than one aggregate type.
///
/// # Errors
/// As [`decode`].
pub fn decode_any<A: Aggregate>(stored: &StoredEvent<'_>) -> Result<Decoded, Undecodable> {
    Ok(Box::new(decode::<A>(stored)?))
}

/// The schema that this binary writes: one more than the highest that an upcaster reads.
pub(crate) fn known_schema<A: Aggregate>(event_type: &str) -> u32 {
    let reads = |up: &Upcaster| (up.event_type == event_type).then_some(up.from);
    A::upcasters().iter().filter_map(reads).max().unwrap_or(0).saturating_add(1)
}

/// The content within `{"Tag":content}`; what was given, shortened, when it is not of that form.
fn content(tag: &str, json: String) -> Result<Box<RawValue>, String> {
    let inner = || {
        let rest = json.strip_prefix('{').unwrap_or(&json).strip_prefix('"')?;
        let rest = rest.strip_prefix(tag)?.strip_prefix('"')?;
        match rest {
            "" => Some("{}"), // a unit variant: no content
            _ => rest.strip_prefix(':')?.strip_suffix('}'),
        }
    };
    match inner().and_then(|text| RawValue::from_string(text.to_owned()).ok()) {
        Some(data) => Ok(data),
        None => Err(json.chars().take(100).collect()),
    }
}

/// The content after all upcasters that fit; `None` when none does.
fn upcast<A: Aggregate>(stored: &StoredEvent<'_>) -> Result<Option<Value>, Undecodable> {
    let upcasters = A::upcasters();
    let find = |schema| {
        upcasters.iter().find(|up| up.event_type == stored.event_type && up.from == schema)
    };
    let mut schema = stored.schema;
    let mut content = None;
    while let Some(upcaster) = find(schema) {
        let old = match content {
            Some(content) => content,
            None => serde_json::from_str(stored.data.get()).map_err(|e| malformed(stored, e))?,
        };
        content = Some((upcaster.upcast)(old));
        schema += 1;
    }
    Ok(content)
}

fn from_parts<A: Aggregate>(
    stored: &StoredEvent<'_>,
    content: &str,
) -> Result<EventOf<A>, Undecodable> {
    let tagged = Tagged::new(&stored.event_type, content);
    EventOf::<A>::deserialize(&tagged).map_err(|error| {
        if tagged.tag_is_unknown() {
            Undecodable::UnknownType(stored.event_type.clone().into_owned())
        } else {
            malformed(stored, error)
        }
    })
}

fn malformed(stored: &StoredEvent<'_>, error: serde_json::Error) -> Undecodable {
    Undecodable::Malformed {
        event_type: stored.event_type.clone().into_owned(),
        schema: stored.schema,
        error,
    }
}
