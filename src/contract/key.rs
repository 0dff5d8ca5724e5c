//! Names, ids and keys: what may be in them, checked once at the edge.
//!
//! An id is the bytes that were received: it is compared bytewise and never normalised.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, de};

/// The longest id or view key, in bytes of UTF-8.
pub const KEY_LEN_MAX: usize = 200;

/// The longest name of an aggregate type or projection, in bytes.
const NAME_LEN_MAX: usize = 63;

/// The id of an aggregate, or the key of a view: 1 to 200 bytes of UTF-8 without control
/// characters and `/`, and neither `.` nor `..`.
///
/// ```
/// use retell::Key;
///
/// let key = Key::new("ann")?;
/// assert_eq!(key.as_str(), "ann");
/// assert!(Key::new("ann/bob").is_err());
/// # Ok::<(), retell::InvalidKey>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Key(Arc<str>);

/// The name of an aggregate type or a projection: `[a-z][a-z0-9-]{0,62}`.
///
/// ```
/// use retell::Name;
///
/// assert_eq!(Name::new("account-totals")?.as_str(), "account-totals");
/// assert!(Name::new("Accounts").is_err());
/// # Ok::<(), retell::InvalidName>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Name(&'static str);

/// Which aggregate: its type and its id, `account/ann`. This text is the key of its records.
///
/// ```
/// use retell::{Key, Name, Target};
///
/// let target = Target::new(Name::new("account")?, &Key::new("ann")?);
/// assert_eq!(target.to_string(), "account/ann");
/// assert_eq!((target.aggregate_type(), target.id()), ("account", "ann"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Target(Arc<str>);

/// Why a text is no id and no view key.
///
/// ```
/// use retell::{InvalidKey, Key};
///
/// assert_eq!(Key::new(".."), Err(InvalidKey::Dots));
/// assert_eq!(InvalidKey::Slash.to_string(), "must not contain `/`");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidKey {
    /// It has no bytes.
    #[error("must not be empty")]
    Empty,
    /// It has more bytes than [`KEY_LEN_MAX`].
    #[error("must have at most {KEY_LEN_MAX} bytes, has {0}")]
    TooLong(usize),
    /// It has a control character, at this byte.
    #[error("must not contain control characters, has one at byte {0}")]
    Control(usize),
    /// It has a `/`, which separates type and id.
    #[error("must not contain `/`")]
    Slash,
    /// It is `.` or `..`, which clients and proxies resolve away.
    #[error("must not be `.` or `..`")]
    Dots,
    /// It is no UTF-8.
    #[error("must be UTF-8")]
    NotUtf8,
    /// The part before the first `/` is no name of an aggregate type.
    #[error("must be TYPE/ID")]
    NoType,
}

/// A text that is no name of an aggregate type or projection.
///
/// ```
/// use retell::{InvalidName, Name};
///
/// assert_eq!(Name::new("A"), Err(InvalidName("A".to_owned())));
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the name `{0}` must match [a-z][a-z0-9-]{{0,62}}")]
pub struct InvalidName(pub String);

impl Key {
    /// Checks a text.
    ///
    /// # Errors
    /// Says which rule the text breaks.
    pub fn new(text: &str) -> Result<Self, InvalidKey> {
        check_key(text)?;
        Ok(Self(Arc::from(text)))
    }

    /// A text that was checked before, or that Retell made for keys of its own.
    pub(crate) fn known(text: &str) -> Self {
        Self(Arc::from(text))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Name {
    /// Checks a name that stands in code.
    ///
    /// # Errors
    /// Names the text that is no name.
    pub fn new(text: &'static str) -> Result<Self, InvalidName> {
        if is_name(text) { Ok(Self(text)) } else { Err(InvalidName(text.to_owned())) }
    }

    /// Whether a text that does not stand in code is a name.
    #[must_use]
    pub fn is_one(text: &str) -> bool {
        is_name(text)
    }

    /// The text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl Target {
    /// The aggregate of this type with this id.
    #[must_use]
    pub fn new(aggregate_type: Name, id: &Key) -> Self {
        Self([aggregate_type.as_str(), "/", id.as_str()].concat().into())
    }

    /// Reads the key of a record: `account/ann`.
    ///
    /// # Errors
    /// Says which rule the text breaks.
    pub fn parse(text: &[u8]) -> Result<Self, InvalidKey> {
        let text = std::str::from_utf8(text).map_err(|_| InvalidKey::NotUtf8)?;
        let (aggregate_type, id) = text.split_once('/').ok_or(InvalidKey::NoType)?;
        if !is_name(aggregate_type) {
            return Err(InvalidKey::NoType);
        }
        check_key(id)?;
        Ok(Self(text.into()))
    }

    /// `account/ann`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The type of the aggregate.
    #[must_use]
    pub fn aggregate_type(&self) -> &str {
        self.parts().0
    }

    /// The id of the aggregate.
    #[must_use]
    pub fn id(&self) -> &str {
        self.parts().1
    }

    fn parts(&self) -> (&str, &str) {
        self.0.split_once('/').expect("a target is built with a slash")
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Target {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(de::Error::custom)
    }
}

fn check_key(text: &str) -> Result<(), InvalidKey> {
    match text {
        "" => return Err(InvalidKey::Empty),
        "." | ".." => return Err(InvalidKey::Dots),
        _ => {}
    }
    if text.len() > KEY_LEN_MAX {
        return Err(InvalidKey::TooLong(text.len()));
    }
    for (at, character) in text.char_indices() {
        match character {
            '/' => return Err(InvalidKey::Slash),
            control if control.is_control() => return Err(InvalidKey::Control(at)),
            _ => {}
        }
    }
    Ok(())
}

fn is_name(text: &str) -> bool {
    let tail = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= NAME_LEN_MAX
        && text.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
        && text.bytes().all(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_bytes_and_what_would_break_a_path_is_refused() {
        assert!(Key::new("Zoë 🦀 #1").is_ok());
        assert!(Key::new(&"x".repeat(200)).is_ok());
        assert_eq!(Key::new(&"x".repeat(201)), Err(InvalidKey::TooLong(201)));
        assert_eq!(Key::new(""), Err(InvalidKey::Empty));
        assert_eq!(Key::new(".."), Err(InvalidKey::Dots));
        assert_eq!(Key::new("a/b"), Err(InvalidKey::Slash));
        assert_eq!(Key::new("a\u{7}"), Err(InvalidKey::Control(1)));
    }

    #[test]
    fn a_target_is_the_key_of_its_records() {
        let id = Key::new("ann").expect("key");
        let target = Target::new(Name::new("account").expect("name"), &id);
        assert_eq!(target.as_str(), "account/ann");
        assert_eq!(Target::parse(b"account/ann"), Ok(target));
        assert_eq!(Target::parse(b"Account/ann"), Err(InvalidKey::NoType));
        assert_eq!(Target::parse(b"ann"), Err(InvalidKey::NoType));
        assert_eq!(Target::parse(b"account/\xff"), Err(InvalidKey::NotUtf8));
    }

    #[test]
    fn names_are_lower_case_and_short() {
        assert!(Name::new("account-totals").is_ok());
        for text in ["", "1a", "-a", "aA", "a_b"] {
            assert!(Name::new(text).is_err(), "{text}");
        }
    }
}
