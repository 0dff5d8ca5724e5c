//! A space: the name under which keys are committed together, and how far they have come.
//!
//! The text of a state is what is stored: two states are the same if their texts are.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use crate::contract::Partition;
use crate::log::Checkpoint;

use super::StoreError;

/// What the text of [`SpaceState::Flushing`] begins with.
const FLUSHING: &str = "flushing:";

/// A named set of keys with one state: `accounts:<generation>:p5`.
///
/// ```
/// use retell::{Partition, ports::Space};
///
/// let space = Space::new("accounts", uuid::Uuid::nil(), Partition(5));
/// assert_eq!(space.to_string(), "accounts:00000000-0000-0000-0000-000000000000:p5");
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Space {
    /// The projection, or `state`, or `policy.NAME`.
    pub name: Arc<str>,
    /// The generation.
    pub generation: Arc<str>,
    /// The partition of the log that it is derived from.
    pub partition: Partition,
}

/// How far a space has come.
///
/// ```
/// use retell::{Offset, Partition};
/// use retell::ports::{Space, SpaceState};
///
/// let space = Space::new("accounts", uuid::Uuid::nil(), Partition(5));
/// let text = br#"{"log":"44136fa355b3678a1146ad16f7e8649e","next":1235,"term":3,"chain":17,
///     "time":"2026-11-22T10:00:00.000Z"}"#;
/// let state = SpaceState::from_text(&space, Some(text))?;
/// assert_eq!(state.checkpoint().map(|checkpoint| checkpoint.next), Some(Offset(1235)));
/// assert_eq!(SpaceState::from_text(&space, None)?, SpaceState::Empty);
/// # Ok::<(), retell::ports::StoreError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum SpaceState {
    /// Nothing was ever committed, or everything was lost.
    #[default]
    Empty,
    /// A flush of several commits is under way; if nobody is at it, the space is torn. Every
    /// flush has an id of its own, so that one which was given up cannot write into the next.
    Flushing(Uuid),
    /// All records before this checkpoint are in it.
    At(Checkpoint),
}

impl Space {
    /// A projection's space.
    #[must_use]
    pub fn new(name: &str, generation: Uuid, partition: Partition) -> Self {
        Self { name: name.into(), generation: generation.to_string().into(), partition }
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:p{}", self.name, self.generation, self.partition)
    }
}

impl SpaceState {
    /// The checkpoint, if there is one.
    #[must_use]
    pub const fn checkpoint(&self) -> Option<&Checkpoint> {
        match self {
            Self::At(checkpoint) => Some(checkpoint),
            Self::Empty | Self::Flushing(_) => None,
        }
    }

    /// The text that is stored; an empty space stores none.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Flushing(id) => format!("{FLUSHING}{id}"),
            Self::At(checkpoint) => {
                serde_json::to_string(checkpoint).expect("a checkpoint has string keys only")
            }
        }
    }

    /// Reads what was stored.
    ///
    /// # Errors
    /// It is no state; whoever wrote it was not Retell.
    pub fn from_text(space: &Space, text: Option<&[u8]>) -> Result<Self, StoreError> {
        let torn = |error: &dyn fmt::Display| StoreError::Torn {
            space: space.to_string(),
            detail: format!("checkpoint: {error}"),
        };
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return Ok(Self::Empty);
        };
        match text.strip_prefix(FLUSHING.as_bytes()) {
            Some(id) => Uuid::try_parse_ascii(id).map(Self::Flushing).map_err(|e| torn(&e)),
            None => serde_json::from_slice(text).map(Self::At).map_err(|e| torn(&e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_back_from_its_text() {
        let space = Space::new("accounts", Uuid::nil(), Partition(5));
        assert_eq!(space.to_string(), "accounts:00000000-0000-0000-0000-000000000000:p5");
        for state in [SpaceState::Empty, SpaceState::Flushing(Uuid::from_u128(7))] {
            let text = state.to_text();
            assert_eq!(SpaceState::from_text(&space, Some(text.as_bytes())).expect("state"), state);
        }
        assert_eq!(SpaceState::from_text(&space, None).expect("state"), SpaceState::Empty);
    }

    #[test]
    fn a_text_that_is_no_state_is_torn() {
        let space = Space::new("accounts", Uuid::nil(), Partition(5));
        for text in ["flushing", "flushing:", "flushing:x", "torn", "{}", "\u{0}"] {
            let state = SpaceState::from_text(&space, Some(text.as_bytes()));
            assert!(matches!(state, Err(StoreError::Torn { .. })), "{text}: {state:?}");
        }
    }
}
