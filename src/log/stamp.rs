//! The three headers that decide whether a record counts: `kind`, `term` and `chain`.
//!
//! They are frozen for ever. Old and new binaries must agree on every record, so this file may
//! be made faster but never be made to read differently.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The header that says what a record is: [`KIND_COMMIT`] or [`KIND_CLAIM`].
pub const HEADER_KIND: &str = "kind";
/// The header with the writer's term.
pub const HEADER_TERM: &str = "term";
/// The header with the number of a commit in its term.
pub const HEADER_CHAIN: &str = "chain";
/// The kind of a commit.
pub const KIND_COMMIT: &str = "commit";
/// The kind of a claim.
pub const KIND_CLAIM: &str = "claim";

/// The number of a writer's reign over a partition; claims start at 1.
///
/// ```
/// use retell::log::Term;
///
/// assert!(Term(3) > Term(2)); // the later one rules
/// assert_eq!(format!("term {}", Term(3)), "term 3");
/// ```
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    Deserialize,
    Eq,
    Hash,
    JsonSchema,
    Ord,
    PartialEq,
    PartialOrd,
    Serialize,
)]
#[serde(transparent)]
pub struct Term(pub u64);

/// The number of a commit within its term, from 0.
///
/// ```
/// use retell::log::{Chain, Fold, Stamp, Term};
///
/// let term = Term(3);
/// let mut fold = Fold { term, next_chain: Chain(17) };
/// fold.step(&Stamp::Commit { term, chain: Chain(17) });
/// assert_eq!(fold.next_chain, Chain(17).next());
/// ```
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    Deserialize,
    Eq,
    Hash,
    JsonSchema,
    Ord,
    PartialEq,
    PartialOrd,
    Serialize,
)]
#[serde(transparent)]
pub struct Chain(pub u64);

/// What a record's headers say.
///
/// ```
/// use retell::log::{Chain, Stamp, Term};
///
/// let stamp = Stamp::Commit { term: Term(3), chain: Chain(17) };
/// let one = |mut all: String, name: &str, value: &str| {
///     all += &format!("{name}={value} ");
///     all
/// };
/// assert_eq!(stamp.fold_headers(String::new(), one), "kind=commit term=3 chain=17 ");
/// let headers = [("kind", "commit"), ("term", "3"), ("chain", "17")];
/// let read = headers.map(|(name, value)| (name, Some(value.as_bytes())));
/// assert_eq!(Stamp::parse(read.into_iter()), stamp);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stamp {
    /// A commit of this term with this number.
    Commit {
        /// The writer's term.
        term: Term,
        /// The number within the term.
        chain: Chain,
    },
    /// A claim to this term.
    Claim {
        /// The term that is claimed.
        term: Term,
    },
    /// Not a record of ours.
    Foreign(Flaw),
}

/// What is wrong with the headers of a foreign record.
///
/// ```
/// use retell::log::{Flaw, Stamp};
///
/// let headers = [("kind", Some(&b"claim"[..])), ("term", Some(b"01"))];
/// assert_eq!(Stamp::parse(headers.into_iter()), Stamp::Foreign(Flaw::Malformed("term")));
/// assert_eq!(Flaw::Malformed("term").to_string(), "has a malformed header `term`");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flaw {
    /// There is no such header.
    Missing(&'static str),
    /// There is more than one such header.
    Doubled(&'static str),
    /// The header's value is not what it must be.
    Malformed(&'static str),
    /// A claim has no such header.
    Unexpected(&'static str),
}

impl Stamp {
    /// Reads headers in any order; headers with other names say nothing.
    pub fn parse<'a>(headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>) -> Self {
        let (mut kind, mut term, mut chain) = (None, None, None);
        for (name, value) in headers {
            let (slot, name) = match name {
                HEADER_KIND => (&mut kind, HEADER_KIND),
                HEADER_TERM => (&mut term, HEADER_TERM),
                HEADER_CHAIN => (&mut chain, HEADER_CHAIN),
                _ => continue,
            };
            if slot.replace(value.unwrap_or_default()).is_some() {
                return Self::Foreign(Flaw::Doubled(name));
            }
        }
        Self::from_values(kind, term, chain).unwrap_or_else(Self::Foreign)
    }

    /// Adds the headers of this stamp, in the order in which they are written; a foreign one has
    /// none.
    pub fn fold_headers<T>(&self, to: T, mut add: impl FnMut(T, &'static str, &str) -> T) -> T {
        let (kind, term, chain) = match *self {
            Self::Commit { term, chain } => (KIND_COMMIT, term, Some(chain)),
            Self::Claim { term } => (KIND_CLAIM, term, None),
            Self::Foreign(_) => return to,
        };
        let (to, mut digits) = (add(to, HEADER_KIND, kind), itoa::Buffer::new());
        let to = add(to, HEADER_TERM, digits.format(term.0));
        match chain {
            Some(chain) => add(to, HEADER_CHAIN, digits.format(chain.0)),
            None => to,
        }
    }

    fn from_values(
        kind: Option<&[u8]>,
        term: Option<&[u8]>,
        chain: Option<&[u8]>,
    ) -> Result<Self, Flaw> {
        let kind = kind.ok_or(Flaw::Missing(HEADER_KIND))?;
        let term = Term(number(term, HEADER_TERM)?);
        if kind == KIND_COMMIT.as_bytes() {
            Ok(Self::Commit { term, chain: Chain(number(chain, HEADER_CHAIN)?) })
        } else if kind != KIND_CLAIM.as_bytes() {
            Err(Flaw::Malformed(HEADER_KIND))
        } else if chain.is_some() {
            Err(Flaw::Unexpected(HEADER_CHAIN))
        } else {
            Ok(Self::Claim { term })
        }
    }
}

impl Chain {
    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name) => write!(f, "has no header `{name}`"),
            Self::Doubled(name) => write!(f, "has more than one header `{name}`"),
            Self::Malformed(name) => write!(f, "has a malformed header `{name}`"),
            Self::Unexpected(name) => write!(f, "is a claim with a header `{name}`"),
        }
    }
}

/// A canonical decimal u64: digits only, no leading zero, so that one number has one spelling.
fn number(value: Option<&[u8]>, name: &'static str) -> Result<u64, Flaw> {
    let digits = value.ok_or(Flaw::Missing(name))?;
    let leading_zero = digits.len() > 1 && digits[0] == b'0';
    if digits.is_empty() || leading_zero {
        return Err(Flaw::Malformed(name));
    }
    digits
        .iter()
        .try_fold(0_u64, |number, digit| {
            let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
            number.checked_mul(10)?.checked_add(digit)
        })
        .ok_or(Flaw::Malformed(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(headers: &[(&str, &str)]) -> Stamp {
        Stamp::parse(headers.iter().map(|(name, value)| (*name, Some(value.as_bytes()))))
    }

    #[test]
    fn a_stamp_reads_back_from_its_headers() {
        let stamps = [
            Stamp::Commit { term: Term(3), chain: Chain(0) },
            Stamp::Commit { term: Term(u64::MAX), chain: Chain(u64::MAX) },
            Stamp::Claim { term: Term(1) },
        ];
        for stamp in stamps {
            let headers = stamp.fold_headers(Vec::new(), |mut all, name, value| {
                all.push((name, value.to_owned()));
                all
            });
            let read = Stamp::parse(headers.iter().map(|(k, v)| (*k, Some(v.as_bytes()))));
            assert_eq!(read, stamp);
        }
    }

    #[test]
    fn other_headers_and_another_order_change_nothing() {
        let headers = [("chain", "7"), ("trace", "x"), ("term", "2"), ("kind", "commit")];
        assert_eq!(parse(&headers), Stamp::Commit { term: Term(2), chain: Chain(7) });
    }

    #[test]
    fn headers_that_are_not_exactly_right_are_foreign() {
        let commit = |term, chain| parse(&[("kind", "commit"), ("term", term), ("chain", chain)]);
        for wrong in ["", "00", "01", "+1", "-1", " 1", "1 ", "1.0", "18446744073709551616", "x"] {
            assert_eq!(commit(wrong, "0"), Stamp::Foreign(Flaw::Malformed("term")), "{wrong}");
            assert_eq!(commit("1", wrong), Stamp::Foreign(Flaw::Malformed("chain")), "{wrong}");
        }
        assert_eq!(parse(&[]), Stamp::Foreign(Flaw::Missing("kind")));
        assert_eq!(parse(&[("kind", "commit")]), Stamp::Foreign(Flaw::Missing("term")));
        let no_chain = parse(&[("kind", "commit"), ("term", "1")]);
        assert_eq!(no_chain, Stamp::Foreign(Flaw::Missing("chain")));
        let capital = parse(&[("kind", "Claim"), ("term", "1")]);
        assert_eq!(capital, Stamp::Foreign(Flaw::Malformed("kind")));
        let doubled = parse(&[("kind", "claim"), ("term", "1"), ("term", "1")]);
        assert_eq!(doubled, Stamp::Foreign(Flaw::Doubled("term")));
        let chained = parse(&[("kind", "claim"), ("term", "1"), ("chain", "0")]);
        assert_eq!(chained, Stamp::Foreign(Flaw::Unexpected("chain")));
    }
}
