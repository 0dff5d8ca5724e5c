//! The version of an aggregate: how many events it has had.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The number of events that an aggregate has had; its first event is version 1.
///
/// ```
/// use retell::Version;
///
/// assert_eq!(Version::NONE.next(), Version(1));
/// assert_eq!(Version(4).plus(2), Version(6));
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
pub struct Version(pub u64);

impl Version {
    /// An aggregate that has no event yet.
    pub const NONE: Self = Self(0);

    /// The version `events` events later.
    #[must_use]
    pub const fn plus(self, events: usize) -> Self {
        Self(self.0 + events as u64)
    }

    /// The version of the next event.
    #[must_use]
    pub const fn next(self) -> Self {
        self.plus(1)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
