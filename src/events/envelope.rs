//! A command with the name of its aggregate: one line of a batch, or one record of an inbox.
//!
//! The command stays as it was received, byte by byte: its fingerprint is of these bytes.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::contract::{Key, Version};

use super::metadata::{CommandId, InvalidCommandId};

/// One command for one aggregate.
///
/// ```
/// use retell::{Version, events::Envelope};
///
/// let line = br#"{"aggregate":{"type":"account","id":"ann"},"key":"order-7",
///     "command":{"type":"DepositMoney","amount":5},"expected_version":3}"#;
/// let envelope = Envelope::parse(line)?;
/// assert_eq!((&*envelope.aggregate_type, envelope.id.as_str()), ("account", "ann"));
/// assert_eq!(envelope.command.get(), r#"{"type":"DepositMoney","amount":5}"#);
/// assert_eq!(envelope.expected_version, Some(Version(3)));
/// # Ok::<(), retell::events::BadEnvelope>(())
/// ```
#[derive(Debug)]
pub struct Envelope<'a> {
    /// The name of the aggregate's type.
    pub aggregate_type: String,
    /// The aggregate's id.
    pub id: Key,
    /// The command: `{"type":"DepositMoney","amount":5}`.
    pub command: &'a RawValue,
    /// Makes it safe to send the envelope again.
    pub key: Option<CommandId>,
    /// The version that the aggregate must have; 0: it must not exist.
    pub expected_version: Option<Version>,
}

/// A text that is no envelope.
///
/// ```
/// use retell::events::Envelope;
///
/// let line = br#"{"aggregate":{"type":"account","id":"ann"},"comand":{}}"#;
/// let error = Envelope::parse(line).expect_err("a slip of the keyboard");
/// assert!(error.to_string().contains("unknown field `comand`"));
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadEnvelope {
    /// It is no object.
    #[error("expected {EXAMPLE}")]
    NotAnObject,
    /// It is no JSON, or a member is missing, unknown or of the wrong type.
    #[error("column {column}: {detail}; expected {EXAMPLE}")]
    Malformed {
        /// Column, from 1.
        column: usize,
        /// What was expected and what was found.
        detail: String,
    },
    /// Its key is none.
    #[error("the key {0}")]
    BadKey(#[from] InvalidCommandId),
}

const EXAMPLE: &str = r#"{"aggregate":{"type":"account","id":"ann"},"command":{"type":…}}"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<'a> {
    #[serde(borrow)]
    command: &'a RawValue,
    aggregate: Aggregate,
    key: Option<String>,
    expected_version: Option<Version>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Aggregate {
    #[serde(rename = "type")]
    kind: String,
    id: Key,
}

impl<'a> Envelope<'a> {
    /// Reads one line.
    ///
    /// # Errors
    /// Says where it goes wrong.
    pub fn parse(line: &'a [u8]) -> Result<Self, BadEnvelope> {
        // Serde takes an array for a struct, too.
        if !line.trim_ascii_start().starts_with(b"{") {
            return Err(BadEnvelope::NotAnObject);
        }
        let wire: Wire<'_> = serde_json::from_slice(line).map_err(|error| {
            let (column, detail) = (error.column(), without_place(&error));
            BadEnvelope::Malformed { column, detail }
        })?;
        let key = wire.key.map(|key| CommandId::from_client(&key)).transpose()?;
        let Aggregate { kind, id } = wire.aggregate;
        let (command, expected_version) = (wire.command, wire.expected_version);
        Ok(Self { aggregate_type: kind, id, command, key, expected_version })
    }
}

/// A line knows its number; the line within it is always the first.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rfind(" at line ").map_or(text.clone(), |at| text[..at].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_has_its_command_as_it_stands() {
        let line = r#"{"command":{"type":"Open", "by":"Zoë"},"aggregate":{"type":"a","id":"Zoë 1"},
            "key":"k-1","expected_version":0}"#;
        let read = Envelope::parse(line.as_bytes()).expect("an envelope");
        assert_eq!((read.aggregate_type.as_str(), read.id.as_str()), ("a", "Zoë 1"));
        assert_eq!(read.command.get(), r#"{"type":"Open", "by":"Zoë"}"#);
        assert_eq!(read.key.expect("key").as_str(), "k-1");
        assert_eq!(read.expected_version, Some(Version::NONE));
    }

    #[test]
    fn a_line_that_is_none_says_where() {
        let target = r#""aggregate":{"type":"a","id":"b"},"command":{}"#;
        for (line, said) in [
            ("[]".to_owned(), "expected {"),
            ("{".to_owned(), "column 1: EOF"),
            (r#"{"aggregate":{"type":"a","id":"b/c"},"command":{}}"#.to_owned(), "contain `/`"),
            (r#"{"aggregate":{"type":"a","id":"b"}}"#.to_owned(), "missing field `command`"),
            (format!("{{{target},\"kee\":1}}"), "unknown field `kee`"),
            (format!("{{{target},\"key\":\"two words\"}}"), "the key must have visible"),
            (format!("{{{target},\"key\":\"policy:x\"}}"), "reserved"),
            (format!("{{{target},\"key\":5}}"), "expected a string"),
            (format!("{{{target},\"expected_version\":-1}}"), "expected u64"),
            (format!("{{{target},\"expected_version\":\"4\"}}"), "expected u64"),
        ] {
            let refused = Envelope::parse(line.as_bytes()).expect_err(&line).to_string();
            assert!(refused.contains(said), "{line}: {refused}");
        }
    }
}
