//! A running digest of the records that count: two logs with the same sum hold the same commits.
//!
//! It covers keys and values in order, and nothing that a copy changes: no offset, no log time,
//! no term and no chain number.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::events::write_hex;

/// Stands for the length of a key that is not there.
const NO_KEY: u64 = u64::MAX;

/// Takes the commits of a partition one after another.
///
/// Each adds the length of its key (all ones without one), the key, the length of its value, and
/// the value; lengths are 8 bytes, the highest first. So no two lists of records feed the same.
///
/// ```
/// use retell::log::Digest;
///
/// let (mut source, mut target) = (Digest::default(), Digest::default());
/// source.add(Some(b"light/hall"), b"{}");
/// assert_ne!(source.sum(), target.sum());
/// target.add(Some(b"light/hall"), b"{}");
/// assert_eq!(source.sum(), target.sum());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Digest {
    records: u64,
    sha256: Sha256,
}

/// How many commits there were, and the SHA-256 over all of them.
///
/// ```
/// use retell::log::Digest;
///
/// // As it stands in the report of a copy.
/// let sum = serde_json::to_value(Digest::default().sum())?;
/// assert_eq!(sum["records"], 0);
/// assert!(sum["sha256"].as_str().is_some_and(|hex| hex.starts_with("e3b0c44298fc1c14")));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct Sum {
    /// How many.
    pub records: u64,
    /// In lower-case hex.
    pub sha256: String,
}

impl Digest {
    /// Takes the next commit.
    pub fn add(&mut self, key: Option<&[u8]>, value: &[u8]) {
        self.records += 1;
        self.sha256.update(key.map_or(NO_KEY, len).to_be_bytes());
        self.sha256.update(key.unwrap_or_default());
        self.sha256.update(len(value).to_be_bytes());
        self.sha256.update(value);
    }

    /// How many it has taken.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// What it has taken so far.
    #[must_use]
    pub fn sum(&self) -> Sum {
        let sha256 = self.sha256.clone().finalize();
        Sum { records: self.records, sha256: Hex(&sha256).to_string() }
    }
}

fn len(bytes: &[u8]) -> u64 {
    bytes.len() as u64
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(records: &[(Option<&str>, &str)]) -> Sum {
        let mut digest = Digest::default();
        for (key, value) in records {
            digest.add(key.map(str::as_bytes), value.as_bytes());
        }
        digest.sum()
    }

    /// The number is documented, so that others can compute it: docs/backup.md.
    #[test]
    fn the_sum_is_the_documented_one() {
        let mut sha256 = Sha256::new();
        sha256.update(b"\0\0\0\0\0\0\0\x01a\0\0\0\0\0\0\0\x02{}");
        sha256.update(b"\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\0");
        let expected = Hex(&sha256.finalize()).to_string();
        let found = sum(&[(Some("a"), "{}"), (None, "")]);
        assert_eq!(found, Sum { records: 2, sha256: expected });
    }

    #[test]
    fn lists_that_differ_anywhere_have_other_sums() {
        let lists: [&[(Option<&str>, &str)]; 8] = [
            &[],
            &[(None, "")],
            &[(Some(""), "")],
            &[(Some("a"), "b")],
            &[(Some("ab"), "")],
            &[(Some(""), "ab")],
            &[(Some("a"), "b"), (Some("c"), "d")],
            &[(Some("c"), "d"), (Some("a"), "b")],
        ];
        for (at, list) in lists.iter().enumerate() {
            assert!(lists[..at].iter().all(|other| sum(other) != sum(list)), "{list:?}");
        }
    }
}
