//! What a commit changes, and what no store takes.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;

use crate::contract::Time;

/// The index that lists the keys of a space's values, in full: `doc:ann`. Whoever puts a value
/// that does not expire also puts its key into this index, or a drop will not find the value.
pub const KEY_INDEX: &str = "key";

/// The longest key, field, name or member, in bytes: two of them and a space's name fit into the
/// keys of the embedded store, which end at 65,535.
pub const CHANGE_KEY_LEN_MAX: usize = 30_000;

/// One change to a space. Keys are free of the space's name: `doc:ann`. A key is that of a value
/// or of a map, not of both; `checkpoint`, `parts` and what begins with `index:` are taken.
///
/// ```
/// use retell::ports::{Change, InvalidCommit, KEY_INDEX};
///
/// // A value that does not expire, and its key in the index of keys.
/// let put = Change::Put { key: "doc:ann".into(), value: "{}".into(), expires_in: None };
/// let listed = Change::IndexPut { index: KEY_INDEX.into(), member: "doc:ann".into() };
/// assert_eq!((put.key(), listed.key()), (Some("doc:ann"), None));
/// assert_eq!(InvalidCommit::check(&[put, listed], 500), Ok(()));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// Sets a value, for a time or for ever.
    Put {
        /// The key.
        key: String,
        /// The value.
        value: Bytes,
        /// How long it is kept, if not for ever.
        expires_in: Option<Duration>,
    },
    /// Removes a value.
    Delete {
        /// The key.
        key: String,
    },
    /// Sets a field of a map; the whole map is kept for a time or for ever.
    PutField {
        /// The map's key.
        map: String,
        /// The field.
        field: String,
        /// The value.
        value: Bytes,
        /// How long the map is kept from now on, if not for ever.
        expires_in: Option<Duration>,
    },
    /// Removes a field of a map.
    DeleteField {
        /// The map's key.
        map: String,
        /// The field.
        field: String,
    },
    /// Adds a member to an index. Members are ordered bytewise.
    IndexPut {
        /// The index's name.
        index: String,
        /// The member.
        member: Bytes,
    },
    /// Removes a member from an index.
    IndexDelete {
        /// The index's name.
        index: String,
        /// The member.
        member: Bytes,
    },
}

/// Why no store takes a commit.
///
/// ```
/// use retell::ports::{Change, InvalidCommit};
///
/// let own = Change::Delete { key: "checkpoint".into() };
/// let error = InvalidCommit::check(&[own], 500).expect_err("the store keeps it itself");
/// assert_eq!(error.to_string(), "the key `checkpoint` is taken by the view store");
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidCommit {
    /// Split it.
    #[error("a commit of {len} changes; the view store takes {max} at once")]
    TooManyChanges {
        /// Changes in the commit.
        len: usize,
        /// See [`super::ViewStore::changes_max`].
        max: usize,
    },
    /// A key, a field, the name of a map or an index, or a member is too long.
    #[error("a key, field or member of {len} bytes; the view store takes {CHANGE_KEY_LEN_MAX}")]
    KeyTooLong {
        /// Its bytes.
        len: usize,
    },
    /// A key is one that stores use themselves.
    #[error("the key `{0}` is taken by the view store")]
    KeyTaken(String),
    /// A key is put as a value and as a map.
    #[error("the key `{0}` is that of a value and of a map")]
    KeyOfTwoKinds(String),
}

impl InvalidCommit {
    /// What every store refuses before it looks at anything else.
    ///
    /// # Errors
    /// The first mistake that was found.
    pub fn check(changes: &[Change], changes_max: usize) -> Result<(), Self> {
        if changes.len() > changes_max {
            return Err(Self::TooManyChanges { len: changes.len(), max: changes_max });
        }
        let maps: BTreeSet<&str> = changes.iter().filter_map(Change::map).collect();
        changes.iter().try_for_each(|change| {
            let len = change.longest_part().len();
            if len > CHANGE_KEY_LEN_MAX {
                return Err(Self::KeyTooLong { len });
            }
            match change.key() {
                Some(key) if is_taken(key) => Err(Self::KeyTaken(key.to_owned())),
                Some(key) if change.map().is_none() && maps.contains(key) => {
                    Err(Self::KeyOfTwoKinds(key.to_owned()))
                }
                _ => Ok(()),
            }
        })
    }
}

impl Change {
    /// The key of the value or map that it changes.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => Some(key),
            Self::PutField { .. } | Self::DeleteField { .. } => self.map(),
            Self::IndexPut { .. } | Self::IndexDelete { .. } => None,
        }
    }

    fn map(&self) -> Option<&str> {
        match self {
            Self::PutField { map, .. } | Self::DeleteField { map, .. } => Some(map),
            _ => None,
        }
    }

    fn longest_part(&self) -> &[u8] {
        let (one, other): (&[u8], &[u8]) = match self {
            Self::Put { key, .. } | Self::Delete { key } => (key.as_bytes(), &[]),
            Self::PutField { map, field, .. } | Self::DeleteField { map, field } => {
                (map.as_bytes(), field.as_bytes())
            }
            Self::IndexPut { index, member } | Self::IndexDelete { index, member } => {
                (index.as_bytes(), member)
            }
        };
        if one.len() > other.len() { one } else { other }
    }

    /// The moment at which something put `now` expires; at least a millisecond later.
    #[must_use]
    pub fn expires_at(now: Time, expires_in: Option<Duration>) -> Option<Time> {
        let millis = i64::try_from(expires_in?.as_millis()).unwrap_or(i64::MAX).max(1);
        Some(Time::from_millis(now.millis().saturating_add(millis)))
    }
}

/// The store's own keys beside those of values and maps.
fn is_taken(key: &str) -> bool {
    matches!(key, "checkpoint" | "parts") || key.starts_with("index:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_within_the_limits_is_taken() {
        let longest = "k".repeat(CHANGE_KEY_LEN_MAX);
        let changes = [put("doc:ann"), put(&longest), put_field("parked", &longest)];
        assert_eq!(InvalidCommit::check(&changes, 3), Ok(()));
    }

    #[test]
    fn a_commit_with_too_many_changes_is_refused() {
        let refused = InvalidCommit::TooManyChanges { len: 2, max: 1 };
        assert_eq!(InvalidCommit::check(&[put("a"), put("b")], 1), Err(refused));
    }

    #[test]
    fn a_key_that_no_store_can_hold_is_refused() {
        let long = "k".repeat(CHANGE_KEY_LEN_MAX + 1);
        let member = Bytes::from(long.clone());
        let index_put = Change::IndexPut { index: "key".to_owned(), member };
        for change in [put(&long), put_field(&long, "f"), put_field("m", &long), index_put] {
            let refused = InvalidCommit::KeyTooLong { len: long.len() };
            assert_eq!(InvalidCommit::check(&[change], 1), Err(refused));
        }
    }

    #[test]
    fn a_key_that_stores_use_themselves_is_refused() {
        for key in ["checkpoint", "parts", "index:key"] {
            let refused = InvalidCommit::KeyTaken(key.to_owned());
            assert_eq!(InvalidCommit::check(&[put(key)], 1), Err(refused.clone()));
            assert_eq!(InvalidCommit::check(&[put_field(key, "f")], 1), Err(refused));
        }
    }

    #[test]
    fn a_key_of_a_value_and_of_a_map_is_refused() {
        let refused = InvalidCommit::KeyOfTwoKinds("a".to_owned());
        let changes = [put("a"), put_field("a", "f")];
        assert_eq!(InvalidCommit::check(&changes, 2), Err(refused));
    }

    fn put(key: &str) -> Change {
        Change::Put { key: key.to_owned(), value: Bytes::new(), expires_in: None }
    }

    fn put_field(map: &str, field: &str) -> Change {
        let (map, field) = (map.to_owned(), field.to_owned());
        Change::PutField { map, field, value: Bytes::new(), expires_in: None }
    }
}
