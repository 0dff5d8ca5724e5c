//! The view store: spaces of keys, each with one checkpoint, changed by one fenced commit.
//!
//! Laws, each a test of `tests/integration/conformance/view_store.rs`:
//!
//! 1. A commit is all or nothing, also through a crash.
//! 2. A commit happens only when the space's state is the expected one; otherwise it changes
//!    nothing and tells the state.
//! 3. A read never mixes two commits: values and state are of one instant.
//! 4. A state never changes without the changes that belong to it.
//! 5. A dropped space loses its state first: whoever still writes to it is refused.
//! 6. Two spaces have nothing in common.
//! 7. A pointer is set only when it is the expected one.
//! 8. Who watches a space is woken after its state moved, also by another process. A wake-up may
//!    be lost when a connection is: whoever waits must also look from time to time.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::contract::{Offset, Partition};
use crate::log::Checkpoint;

/// A store of everything that is derived from the log.
#[async_trait]
pub trait ViewStore: Send + Sync + 'static {
    /// Checks that the store is one that can be trusted.
    ///
    /// # Errors
    /// [`StoreError::Settings`] lists what is wrong; waiting does not help.
    async fn check(&self) -> Result<(), StoreError>;

    /// The most keys that the changes of one commit may touch. A space that somebody reads is
    /// changed by one commit at a time, so whoever has more must fold less at once.
    fn keys_max(&self) -> usize;

    /// The only write: applies all changes and sets the state to `new`, if it is `expected`.
    ///
    /// # Errors
    /// Whether it happened is unknown; read the state.
    async fn commit(
        &self,
        space: &Space,
        expected: &SpaceState,
        new: &SpaceState,
        changes: &[Change],
    ) -> Result<Commit, StoreError>;

    /// The state and the values of these keys, at one instant.
    ///
    /// # Errors
    /// The store does not answer.
    async fn read(
        &self,
        space: &Space,
        keys: &[String],
    ) -> Result<(SpaceState, Vec<Option<Bytes>>), StoreError>;

    /// The state and all fields of one map, at one instant.
    ///
    /// # Errors
    /// The store does not answer.
    async fn read_map(
        &self,
        space: &Space,
        map: &str,
    ) -> Result<(SpaceState, BTreeMap<String, Bytes>), StoreError>;

    /// The state and a page of one index, at one instant.
    ///
    /// # Errors
    /// The store does not answer.
    async fn range(
        &self,
        space: &Space,
        query: &RangeQuery,
    ) -> Result<(SpaceState, Vec<Bytes>), StoreError>;

    /// Removes the space's state, then at most about `keys_max` of its keys. Call it again until
    /// it says [`Dropped::All`]. It finds the space's keys by its index `key`.
    ///
    /// # Errors
    /// The store does not answer; call again.
    async fn drop_space(&self, space: &Space, keys_max: usize) -> Result<Dropped, StoreError>;

    /// Watches a space's state. See law 8.
    async fn watch(&self, space: &Space) -> Box<dyn Watch>;

    /// The generations of a projection, by revision.
    ///
    /// # Errors
    /// The store does not answer.
    async fn pointers(&self, projection: &str) -> Result<BTreeMap<u32, Pointer>, StoreError>;

    /// Sets the generations of one revision, if they are the expected ones; says whether it did.
    ///
    /// # Errors
    /// Whether it happened is unknown; read the pointers.
    async fn set_pointer(
        &self,
        projection: &str,
        revision: u32,
        expected: Option<&Pointer>,
        new: &Pointer,
    ) -> Result<bool, StoreError>;
}

/// Waits for a space's state to move.
#[async_trait]
pub trait Watch: Send {
    /// Returns after the state moved since the last call; sometimes without a reason.
    async fn moved(&mut self);
}

/// A named set of keys with one state: `accounts:<generation>:p5`.
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
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum SpaceState {
    /// Nothing was ever committed, or everything was lost.
    #[default]
    Empty,
    /// A flush of several commits is under way; if nobody is at it, the space is torn.
    Flushing,
    /// All records before this checkpoint are in it.
    At(Checkpoint),
}

/// One change to a space. Keys are free of the space's name: `doc:ann`.
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

/// Whether a commit happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Commit {
    /// It did.
    Committed,
    /// It did not: the state is another one.
    Stale(SpaceState),
}

/// A page of an index.
#[derive(Clone, Debug)]
pub struct RangeQuery {
    /// The index's name.
    pub index: String,
    /// The lowest member.
    pub from: Bound<Bytes>,
    /// The highest member.
    pub to: Bound<Bytes>,
    /// The most members to return.
    pub limit: usize,
    /// From the highest down.
    pub descending: bool,
}

/// How far a drop has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dropped {
    /// Nothing is left.
    All,
    /// Call again.
    More,
}

/// The generations of one revision of a projection.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
pub struct Pointer {
    /// The generation that queries read.
    pub live: Option<Uuid>,
    /// The generation before it, kept for a while.
    pub previous: Option<Uuid>,
    /// The generation that a replay is building.
    pub building: Option<Uuid>,
    /// How far the live generation had come, at least, when it went live.
    #[serde(default)]
    pub floor: BTreeMap<Partition, Offset>,
}

/// What went wrong with the store.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The store does not answer. Retry later.
    #[error("the view store is unavailable: {0}")]
    Unavailable(String),
    /// The store has no room. A person must make some; nothing was changed.
    #[error("the view store is full: {0}")]
    Full(String),
    /// The store is not one that can be trusted. A person must mend it.
    #[error("the view store's settings are wrong:\n{}", .0.join("\n"))]
    Settings(Vec<String>),
    /// What is stored is not what was written. Rebuild the space.
    #[error("the space {space} is torn: {detail}")]
    Torn {
        /// Which.
        space: String,
        /// What was found.
        detail: String,
    },
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
            Self::Empty | Self::Flushing => None,
        }
    }

    /// The text that is stored; an empty space stores none.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Flushing => "flushing".to_owned(),
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
        match text {
            None | Some(b"") => Ok(Self::Empty),
            Some(b"flushing") => Ok(Self::Flushing),
            Some(json) => {
                serde_json::from_slice(json).map(Self::At).map_err(|error| StoreError::Torn {
                    space: space.to_string(),
                    detail: format!("checkpoint: {error}"),
                })
            }
        }
    }
}
