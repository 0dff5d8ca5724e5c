//! A checkpoint: how far a reader has folded a partition, and of which log.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::contract::{Offset, Time};
use crate::events::{first_16_bytes_of_sha256, write_hex};

use super::fold::Fold;
use super::stamp::{Chain, Term};

/// Which log a partition belongs to: a hash over the value of its first claim that counts.
///
/// A topic that was deleted and made again has another id, even under the same name.
///
/// ```
/// use retell::log::LogId;
///
/// let id = LogId::of_first_claim(b"{}");
/// assert_eq!(id.to_string(), "44136fa355b3678a1146ad16f7e8649e");
/// assert_eq!(id.to_string().parse(), Ok(id));
/// assert_ne!(id, LogId::of_first_claim(br#"{"v":1}"#)); // a topic that was made again
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct LogId([u8; 16]);

/// How far a reader has come. Everything below `next` is in what it has derived, nothing above.
///
/// ```
/// use retell::Offset;
/// use retell::log::{Checkpoint, Term};
///
/// let text = r#"{"log":"44136fa355b3678a1146ad16f7e8649e","next":1235,"term":3,"chain":17,
///     "time":"2026-11-22T10:00:00.000Z"}"#;
/// let checkpoint: Checkpoint = serde_json::from_str(text)?;
/// assert_eq!(checkpoint.fold().term, Term(3));
/// assert!(checkpoint.has_passed(Offset(1234)) && !checkpoint.has_passed(Offset(1235)));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct Checkpoint {
    /// The log that was read.
    pub log: LogId,
    /// The offset of the last record read, plus 1.
    pub next: Offset,
    /// The term that rules there.
    pub term: Term,
    /// The number of the next commit that counts.
    pub chain: Chain,
    /// The log time of the last record read.
    pub time: Time,
    /// Which commit left it, where several writers may come by: each leaves one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Uuid>,
}

impl LogId {
    /// The id of the log whose first counting claim has this value.
    #[must_use]
    pub fn of_first_claim(value: &[u8]) -> Self {
        Self(first_16_bytes_of_sha256(value))
    }
}

impl Checkpoint {
    /// The state of the validity fold there.
    #[must_use]
    pub const fn fold(&self) -> Fold {
        Fold { term: self.term, next_chain: self.chain }
    }

    /// Whether the record at `offset` is in what was derived.
    #[must_use]
    pub fn has_passed(&self, offset: Offset) -> bool {
        self.next > offset
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl FromStr for LogId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no log id of 32 hex digits");
        if text.len() != 32 || !text.is_ascii() {
            return Err(wrong());
        }
        let mut id = [0; 16];
        for (byte, at) in id.iter_mut().zip((0..32).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self(id))
    }
}

impl Serialize for LogId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LogId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_plain_json_that_reads_back() {
        let checkpoint = Checkpoint {
            log: LogId::of_first_claim(b"{}"),
            next: Offset(1235),
            term: Term(3),
            chain: Chain(17),
            time: Time::from_millis(0),
            commit: None,
        };
        let json = serde_json::to_string(&checkpoint).expect("json");
        assert_eq!(
            json,
            r#"{"log":"44136fa355b3678a1146ad16f7e8649e","next":1235,"term":3,"chain":17,"#
                .to_owned()
                + r#""time":"1970-01-01T00:00:00.000Z"}"#
        );
        assert_eq!(serde_json::from_str::<Checkpoint>(&json).expect("checkpoint"), checkpoint);
        assert!(checkpoint.has_passed(Offset(1234)) && !checkpoint.has_passed(Offset(1235)));
    }

    #[test]
    fn a_text_that_is_no_log_id_is_refused() {
        for text in ["", "44136fa355b3678a1146ad16f7e8649", "z4136fa355b3678a1146ad16f7e8649e"] {
            assert!(text.parse::<LogId>().is_err(), "{text}");
        }
    }
}
