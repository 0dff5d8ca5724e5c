//! A view store in memory in which a flush gets stuck, as in a process that is killed there, or is
//! not answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use retell::adapters::memory::MemoryViews;
use retell::ports::{
    Change, Commit, Dropped, Listed, Pointer, RangeQuery, Space, SpaceState, StoreError, ViewStore,
    Watch,
};
use tokio::sync::Notify;

/// Clones are the same store.
#[derive(Clone)]
pub(crate) struct Stuck {
    views: MemoryViews,
    /// Commits in the middle of a flush that are still let through.
    left: Arc<AtomicU64>,
    /// What comes of those after them.
    fate: Fate,
    pub(crate) stuck: Arc<Notify>,
    /// How often a space was begun.
    pub(crate) begun: Arc<AtomicU64>,
}

/// What comes of commits in the middle of a flush.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// They are kept for ever.
    Kept,
    /// One is refused, as by a connection that breaks before it is sent.
    Lost,
    /// One is done, and nobody hears of it.
    Unheard,
}

impl Stuck {
    /// Lets so many commits in the middle of flushes through, and keeps the next for ever.
    pub(crate) fn after(views: MemoryViews, flushes: u64) -> Self {
        Self::with(views, flushes, Fate::Kept)
    }

    /// Lets so many commits in the middle of flushes through before one, or all, meet their fate.
    pub(crate) fn with(views: MemoryViews, flushes: u64, fate: Fate) -> Self {
        let left = Arc::new(AtomicU64::new(flushes));
        Self { views, left, fate, stuck: Arc::default(), begun: Arc::default() }
    }

    async fn done(
        &self,
        space: &Space,
        expected: &SpaceState,
        new: &SpaceState,
        changes: &[Change],
    ) -> Result<Commit, StoreError> {
        let done = self.views.commit(space, expected, new, changes).await?;
        if *expected == SpaceState::Empty && done == Commit::Committed {
            self.begun.fetch_add(1, Ordering::SeqCst);
        }
        Ok(done)
    }
}

#[async_trait]
impl ViewStore for Stuck {
    async fn check(&self) -> Result<(), StoreError> {
        self.views.check().await
    }

    fn changes_max(&self) -> usize {
        self.views.changes_max()
    }

    async fn commit(
        &self,
        space: &Space,
        expected: &SpaceState,
        new: &SpaceState,
        changes: &[Change],
    ) -> Result<Commit, StoreError> {
        if matches!(new, SpaceState::Flushing(_)) {
            let left = self
                .left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            match (left, self.fate) {
                (Ok(_), _) => {}
                (Err(_), Fate::Kept) => {
                    self.stuck.notify_one();
                    return std::future::pending().await;
                }
                (Err(_), fate) => {
                    self.left.store(u64::MAX, Ordering::SeqCst);
                    if let Fate::Unheard = fate {
                        self.done(space, expected, new, changes).await?;
                    }
                    return Err(StoreError::Unavailable("on purpose".to_owned()));
                }
            }
        }
        self.done(space, expected, new, changes).await
    }

    async fn read(
        &self,
        space: &Space,
        keys: &[String],
    ) -> Result<(SpaceState, Vec<Option<Bytes>>), StoreError> {
        self.views.read(space, keys).await
    }

    async fn read_map(
        &self,
        space: &Space,
        map: &str,
    ) -> Result<(SpaceState, BTreeMap<String, Bytes>), StoreError> {
        self.views.read_map(space, map).await
    }

    async fn range(
        &self,
        space: &Space,
        query: &RangeQuery,
    ) -> Result<(SpaceState, Vec<Bytes>), StoreError> {
        self.views.range(space, query).await
    }

    async fn page(
        &self,
        space: &Space,
        query: &RangeQuery,
        bytes_max: usize,
    ) -> Result<(SpaceState, Vec<Listed>), StoreError> {
        self.views.page(space, query, bytes_max).await
    }

    async fn drop_space(&self, space: &Space, keys_max: usize) -> Result<Dropped, StoreError> {
        self.views.drop_space(space, keys_max).await
    }

    async fn watch(&self, space: &Space) -> Box<dyn Watch> {
        self.views.watch(space).await
    }

    async fn pointers(&self, projection: &str) -> Result<BTreeMap<u32, Pointer>, StoreError> {
        self.views.pointers(projection).await
    }

    async fn set_pointer(
        &self,
        projection: &str,
        revision: u32,
        expected: Option<&Pointer>,
        new: &Pointer,
    ) -> Result<bool, StoreError> {
        self.views.set_pointer(projection, revision, expected, new).await
    }
}
