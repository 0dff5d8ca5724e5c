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
//! 9. A commit that breaks a limit ([`InvalidCommit`]) is refused and changes nothing.
//! 10. The changes of a commit are applied in order: of two to one key, the later one holds.
//! 11. What has expired is as if it had never been put.
//! 12. When a drop says that nothing is left, nothing is, except what will expire: provided that
//!     the key of every value that does not expire is a member of the index [`super::KEY_INDEX`].
//! 13. A page has, in the index's order, its members and the values that they name, all of the
//!     instant of its state. A member names the value whose key stands after its last zero byte.

use std::collections::BTreeMap;
use std::ops::Bound;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Change, InvalidCommit, Pointer, Space, SpaceState, Statistic};

/// A store of everything that is derived from the log.
///
/// ```
/// use std::sync::Arc;
///
/// use retell::adapters::{SystemClock, memory::MemoryViews};
/// use retell::ports::{Change, Commit, Space, SpaceState, ViewStore};
/// # use retell::Partition;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let at = SpaceState::At(serde_json::from_str(r#"{"log":"44136fa355b3678a1146ad16f7e8649e",
/// #     "next":1235,"term":3,"chain":17,"time":"2026-11-22T10:00:00.000Z"}"#)?);
/// let views: Arc<dyn ViewStore> = Arc::new(MemoryViews::new(Arc::new(SystemClock)));
/// let space = Space::new("accounts", uuid::Uuid::nil(), Partition(5));
/// let put = Change::Put { key: "doc:ann".into(), value: "{}".into(), expires_in: None };
/// let done = views.commit(&space, &SpaceState::Empty, &at, &[put]).await?;
/// assert_eq!(done, Commit::Committed);
/// let values = views.read(&space, &["doc:ann".into(), "doc:bob".into()]).await?;
/// assert_eq!(values, (at, vec![Some("{}".into()), None]));
/// # Ok(()) }
/// ```
#[async_trait]
pub trait ViewStore: Send + Sync + 'static {
    /// Checks that the store is one that can be trusted.
    ///
    /// # Errors
    /// [`StoreError::Settings`] lists what is wrong; waiting does not help.
    async fn check(&self) -> Result<(), StoreError>;

    /// The most changes that a commit may have. What must become visible together must fit; a
    /// generation that nobody reads yet is flushed by several commits, see
    /// [`SpaceState::Flushing`].
    fn changes_max(&self) -> usize;

    /// The only write: applies all changes and sets the state to `new`, if it is `expected`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: whether it happened is unknown, and it may still happen; read
    /// the state. Any other error: it did not happen.
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

    /// The state, and a page of one index with the values that its members name, at one instant.
    /// It has fewer members than there are only at its limit, or when its values have more than
    /// `bytes_max` bytes: then the one that went beyond is the last. See law 13.
    ///
    /// # Errors
    /// The store does not answer.
    async fn page(
        &self,
        space: &Space,
        query: &RangeQuery,
        bytes_max: usize,
    ) -> Result<(SpaceState, Vec<Listed>), StoreError>;

    /// Removes the space's state, then at most about `keys_max` of its keys. Call it again until
    /// it says [`Dropped::All`]. See law 12.
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

    /// What the clients tell of themselves, where there are any.
    fn statistics(&self) -> Vec<Statistic> {
        Vec::new()
    }
}

/// Waits for a space's state to move.
///
/// ```
/// use retell::ports::{SpaceState, ViewStore};
/// # use std::sync::Arc;
/// # use retell::{Partition, adapters::{SystemClock, memory::MemoryViews}, ports::Space};
/// # use uuid::Uuid;
///
/// # #[tokio::main] async fn main() -> Result<(), retell::ports::StoreError> {
/// # let views = MemoryViews::new(Arc::new(SystemClock));
/// # let space = Space::new("accounts", Uuid::nil(), Partition(5));
/// let mut watch = views.watch(&space).await;
/// let flushing = SpaceState::Flushing(Uuid::from_u128(1));
/// views.commit(&space, &SpaceState::Empty, &flushing, &[]).await?;
/// watch.moved().await;
/// assert_eq!(views.read(&space, &[]).await?.0, flushing);
/// # Ok(()) }
/// ```
#[async_trait]
pub trait Watch: Send {
    /// Returns after the state moved since the last call; sometimes without a reason.
    async fn moved(&mut self);
}

/// Whether a commit happened.
///
/// ```
/// use retell::ports::{Commit, SpaceState, ViewStore};
/// # use std::sync::Arc;
/// # use retell::{Partition, adapters::{SystemClock, memory::MemoryViews}, ports::Space};
/// # use uuid::Uuid;
///
/// # #[tokio::main] async fn main() -> Result<(), retell::ports::StoreError> {
/// # let views = MemoryViews::new(Arc::new(SystemClock));
/// # let space = Space::new("accounts", Uuid::nil(), Partition(5));
/// let expected = SpaceState::Flushing(Uuid::from_u128(1));
/// let late = views.commit(&space, &expected, &SpaceState::Empty, &[]).await?;
/// assert_eq!(late, Commit::Stale(SpaceState::Empty)); // the store was emptied meanwhile
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Commit {
    /// It did.
    Committed,
    /// It did not: the state is another one.
    Stale(SpaceState),
}

/// A page of an index.
///
/// ```
/// use std::ops::Bound::{Excluded, Included, Unbounded};
///
/// use retell::ports::RangeQuery;
///
/// let index = "owner".to_owned();
/// let (from, to) = (Included("ann".into()), Excluded("bob".into()));
/// let query = RangeQuery { index, from, to, limit: 50, descending: false };
/// assert!(!query.is_empty());
/// assert!(RangeQuery { from: Included("bob".into()), ..query.clone() }.is_empty());
/// assert!(!RangeQuery { to: Unbounded, ..query }.is_empty());
/// ```
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

/// A member of an index, and the value that it names.
///
/// ```
/// use retell::ports::Listed;
///
/// // An index by owner: the owner, then the key of the owner's account.
/// let listed = Listed { member: "ann\0doc:a-7".into(), value: Some("{}".into()) };
/// assert_eq!(Listed::key_of(&listed.member), b"doc:a-7");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    /// The member.
    pub member: Bytes,
    /// The value, if there is one.
    pub value: Option<Bytes>,
}

/// How far a drop has come.
///
/// ```
/// use retell::ports::{Change, Dropped, SpaceState, ViewStore};
/// # use std::sync::Arc;
/// # use retell::{Partition, adapters::{SystemClock, memory::MemoryViews}, ports::Space};
///
/// # #[tokio::main] async fn main() -> Result<(), retell::ports::StoreError> {
/// # let views = MemoryViews::new(Arc::new(SystemClock));
/// # let space = Space::new("accounts", uuid::Uuid::nil(), Partition(5));
/// # let put = |key: &str| Change::PutField { map: key.into(), field: "f".into(),
/// #     value: "{}".into(), expires_in: None };
/// # let flushing = SpaceState::Flushing(uuid::Uuid::nil());
/// # let changes = [put("parked"), put("others")];
/// # views.commit(&space, &SpaceState::Empty, &flushing, &changes).await?;
/// // The state goes first, then the rest, a part at a time.
/// assert_eq!(views.drop_space(&space, 1).await?, Dropped::More);
/// assert_eq!(views.read(&space, &[]).await?.0, SpaceState::Empty);
/// while views.drop_space(&space, 1).await? == Dropped::More {}
/// assert!(views.read_map(&space, "parked").await?.1.is_empty());
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dropped {
    /// Nothing is left.
    All,
    /// Call again.
    More,
}

/// What went wrong with the store.
///
/// ```
/// use retell::ports::{Change, InvalidCommit, StoreError};
///
/// let full = StoreError::Full("maxmemory is reached".into());
/// assert_eq!(full.to_string(), "the view store is full: maxmemory is reached");
/// let changes = [Change::Delete { key: "parts".into() }];
/// let refused = InvalidCommit::check(&changes, 500).map_err(StoreError::from);
/// assert!(matches!(refused, Err(StoreError::Invalid(InvalidCommit::KeyTaken(_)))));
/// ```
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The store does not answer. Retry later.
    #[error("the view store is unavailable: {0}")]
    Unavailable(String),
    /// The store has no room. A person must make some; nothing was changed.
    #[error("the view store is full: {0}")]
    Full(String),
    /// The commit is one that no store takes: a mistake of the caller. Nothing was changed.
    #[error(transparent)]
    Invalid(#[from] InvalidCommit),
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

impl Listed {
    /// The key of the value that a member names: what stands after its last zero byte.
    #[must_use]
    pub fn key_of(member: &[u8]) -> &[u8] {
        member.rsplit(|&byte| byte == 0).next().unwrap_or_default()
    }
}

impl RangeQuery {
    /// Whether no member can be in it: its bounds cross, or its limit is 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        use Bound::{Excluded, Included, Unbounded};
        let crosses = match (&self.from, &self.to) {
            (Unbounded, _) | (_, Unbounded) => false,
            (Included(from), Included(to)) => from > to,
            (Included(from) | Excluded(from), Included(to) | Excluded(to)) => from >= to,
        };
        crosses || self.limit == 0
    }
}
