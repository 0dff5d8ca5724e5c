//! The version that a sender expects an aggregate to have.

use std::fmt;

use crate::contract::Version;

/// What a command is decided on, or it is not decided at all.
///
/// ```
/// use retell::{Version, write::Expected};
///
/// let unchanged = Expected::Version(Version(3));
/// assert!(unchanged.is_met_by(Version(3)) && !unchanged.is_met_by(Version(4)));
/// assert!(!Expected::Exists.is_met_by(Version::NONE));
/// assert_eq!(unchanged.to_string(), "version 3");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expected {
    /// The aggregate has events.
    Exists,
    /// It has this version; 0: it has no events.
    Version(Version),
}

impl Expected {
    /// Whether an aggregate of this version is the expected one.
    #[must_use]
    pub fn is_met_by(self, current: Version) -> bool {
        match self {
            Self::Exists => current > Version::NONE,
            Self::Version(version) => current == version,
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists => f.write_str("any version from 1"),
            Self::Version(Version::NONE) => f.write_str("an aggregate without events"),
            Self::Version(version) => write!(f, "version {version}"),
        }
    }
}
