//! What travels with a command into its record: its id, who sent it and what it belongs to.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use crate::contract::{Position, Time};

/// Prefixes of ids that Retell makes itself; clients may not invent them.
const OWN_PREFIXES: [&str; 5] = [GENERATED, "policy:", "timer:", "inbox:", "process:"];

/// Those of ids that are derived from what a command follows from.
const DERIVED: [&str; 3] = ["policy:", "timer:", "process:"];

/// The prefix of an id that was generated.
const GENERATED: &str = "cmd:";

/// The longest command id, in bytes: that of an Idempotency-Key.
const COMMAND_ID_LEN_MAX: usize = 255;

/// The id of a command: an Idempotency-Key verbatim, or one of ours, which has a prefix.
///
/// ```
/// use retell::events::CommandId;
///
/// let id = CommandId::from_client("order-7")?;
/// assert_eq!(id.as_str(), "order-7");
/// let event = uuid::Uuid::nil();
/// let own = CommandId::of_policy("consume-message", event, 0);
/// assert_eq!(own, CommandId::of_policy("consume-message", event, 0)); // issued once, not twice
/// assert!(own.is_derived() && !id.is_derived());
/// # Ok::<(), retell::events::InvalidCommandId>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct CommandId(Arc<str>);

/// Why a text cannot be a client's command id.
///
/// ```
/// use retell::events::{CommandId, InvalidCommandId};
///
/// assert_eq!(CommandId::from_client("order 7"), Err(InvalidCommandId::Invisible));
/// let error = CommandId::from_client("policy:mine").expect_err("no client issues for a policy");
/// assert_eq!(error.to_string(), "begins with the reserved prefix `policy:`");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidCommandId {
    /// It has no bytes, or too many.
    #[error("must have 1 to {COMMAND_ID_LEN_MAX} characters, has {0}")]
    Length(usize),
    /// It has something else than visible ASCII characters.
    #[error("must have visible ASCII characters only")]
    Invisible,
    /// It begins with a prefix of ours, and is no id that we gave.
    #[error("begins with the reserved prefix `{0}`")]
    Reserved(&'static str),
}

/// What a sender says about a command beside the command itself.
///
/// ```
/// use cqrs_es::EventStore;
/// use retell::events::Metadata;
/// use retell::write::SendOptions;
/// # use retell::{app::App, doc::{Light, LightCommand}};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let app = App::ephemeral().aggregate::<Light>(()).build().await?;
/// let metadata = Metadata { actor: Some("ann".into()), ..Metadata::default() };
/// let options = SendOptions { metadata, ..SendOptions::default() };
/// app.commands().send::<Light>("hall", LightCommand::SwitchOn {}, options).await?;
/// let events = app.event_store::<Light>().load_events("hall").await?;
/// assert_eq!(events[0].metadata["actor"], "ann");
/// # app.stop().await;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Metadata {
    /// What the command belongs to.
    pub correlation_id: Option<String>,
    /// What caused it.
    pub causation_id: Option<String>,
    /// Who sent it, when requests are authenticated.
    pub actor: Option<String>,
    /// The W3C trace context of the request.
    pub traceparent: Option<String>,
    /// What else a sender wants to be kept beside its events. Retell never reads it.
    pub other: BTreeMap<String, String>,
}

/// The first 16 bytes of SHA-256 over a command's JSON as received, in hex in the record.
///
/// ```
/// use retell::events::Fingerprint;
///
/// let first = Fingerprint::of(br#"{"type":"DepositMoney","amount":5}"#);
/// let other = Fingerprint::of(br#"{"type":"DepositMoney","amount":50}"#);
/// assert_ne!(first, other, "an Idempotency-Key was used for two commands");
/// assert_eq!(Fingerprint::of(b"{}").to_string(), "44136fa355b3678a1146ad16f7e8649e");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fingerprint([u8; 16]);

impl CommandId {
    /// The id of a command that came without one.
    #[must_use]
    pub fn generated(id: Uuid) -> Self {
        let mut text = [0; GENERATED.len() + Hyphenated::LENGTH];
        let (prefix, rest) = text.split_at_mut(GENERATED.len());
        prefix.copy_from_slice(GENERATED.as_bytes());
        id.hyphenated().encode_lower(rest);
        Self(str::from_utf8(&text).expect("an id is ASCII").into())
    }

    /// The id of a command that came without one as a message of a topic. A topic that was made
    /// again has other messages in the same places, at other times.
    #[must_use]
    pub fn of_inbox(topic: &str, place: Position, time: Time) -> Self {
        Self(format!("inbox:{topic}:{place}:{}", time.millis()).into())
    }

    /// Checks an id that a client sent; one that we once gave is welcome back.
    ///
    /// # Errors
    /// Says which rule the text breaks.
    pub fn from_client(text: &str) -> Result<Self, InvalidCommandId> {
        if text.is_empty() || text.len() > COMMAND_ID_LEN_MAX {
            return Err(InvalidCommandId::Length(text.len()));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidCommandId::Invisible);
        }
        for prefix in OWN_PREFIXES {
            let Some(rest) = text.strip_prefix(prefix) else { continue };
            let given = prefix == GENERATED && is_given(rest);
            if !given {
                return Err(InvalidCommandId::Reserved(prefix));
            }
        }
        Ok(Self(text.into()))
    }

    /// Whether a text begins as the ids do that were generated.
    #[must_use]
    pub fn is_generated(text: &str) -> bool {
        text.starts_with(GENERATED)
    }

    /// The id of the `index`th command that a policy issues on an event.
    #[must_use]
    pub fn of_policy(policy: &str, event: Uuid, index: usize) -> Self {
        Self(format!("policy:{policy}:{event}:{index}").into())
    }

    /// The id of the `index`th command that a process issues on an event; of an answer to it, the
    /// `next`th.
    #[must_use]
    pub fn of_process(process: &str, event: Uuid, index: usize, next: Option<usize>) -> Self {
        let next = next.map(|next| format!(".{next}")).unwrap_or_default();
        Self(format!("process:{process}:{event}:{index}{next}").into())
    }

    /// The id of the timer's command at this time.
    #[must_use]
    pub fn of_tick(time: Time) -> Self {
        Self(format!("timer:{time}").into())
    }

    /// Whether Retell derived it from what the command follows from: it is the same again
    /// whenever that is looked at again.
    #[must_use]
    pub fn is_derived(&self) -> bool {
        DERIVED.iter().any(|prefix| self.0.starts_with(prefix))
    }

    /// An id that was made before, from its text.
    #[must_use]
    pub(crate) fn known(text: &str) -> Self {
        Self(text.into())
    }

    /// When it was generated, if it was.
    #[must_use]
    pub fn generated_at(&self) -> Option<Time> {
        let id = Uuid::try_parse(self.0.strip_prefix(GENERATED)?).ok()?;
        let (seconds, nanos) = id.get_timestamp()?.to_unix();
        let millis = seconds.checked_mul(1_000)?.checked_add(u64::from(nanos) / 1_000_000)?;
        Some(Time::from_millis(i64::try_from(millis).ok()?))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Fingerprint {
    /// The fingerprint of a command's JSON as received.
    #[must_use]
    pub fn of(json: &[u8]) -> Self {
        Self(first_16_bytes_of_sha256(json))
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

/// The first 16 bytes of SHA-256: enough to tell records apart, short enough to store.
pub(crate) fn first_16_bytes_of_sha256(bytes: &[u8]) -> [u8; 16] {
    let digest = Sha256::digest(bytes);
    *digest.first_chunk().expect("SHA-256 has 32 bytes")
}

/// Two lower-case hex digits a byte.
pub(crate) fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    // Not digit by digit: a text that grows by single characters is moved again and again.
    bytes.chunks(16).try_for_each(|bytes| {
        let mut text = [0; 32];
        for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        f.write_str(str::from_utf8(&text[..2 * bytes.len()]).expect("digits are ASCII"))
    })
}

/// A generated id as we print it: a UUIDv7 in lower case.
fn is_given(text: &str) -> bool {
    let version_7 = |id: &Uuid| id.get_version_num() == 7 && id.to_string() == text;
    Uuid::try_parse(text).is_ok_and(|id| version_7(&id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_may_send_back_an_id_that_we_gave_but_invent_none() {
        let given =
            CommandId::generated(Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0001));
        assert_eq!(CommandId::from_client(given.as_str()), Ok(given));
        for text in ["cmd:1", "cmd:", "policy:x", "timer:2026", "inbox:a", "process:b"] {
            assert!(CommandId::from_client(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_id_is_1_to_255_visible_characters() {
        assert!(CommandId::from_client("order-7").is_ok());
        assert_eq!(CommandId::from_client(""), Err(InvalidCommandId::Length(0)));
        assert!(CommandId::from_client(&"x".repeat(255)).is_ok());
        assert_eq!(CommandId::from_client(&"x".repeat(256)), Err(InvalidCommandId::Length(256)));
        assert_eq!(CommandId::from_client("a b"), Err(InvalidCommandId::Invisible));
        assert_eq!(CommandId::from_client("zoë"), Err(InvalidCommandId::Invisible));
    }

    #[test]
    fn a_fingerprint_is_32_hex_digits() {
        let text = Fingerprint::of(b"{}").to_string();
        assert_eq!(text, "44136fa355b3678a1146ad16f7e8649e");
    }
}
