//! A view store in memory that can be made to answer nobody, and counts what it is asked.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use retell::adapters::SystemClock;
use retell::adapters::memory::MemoryViews;
use retell::ports::{
    Change, Commit, Dropped, Listed, Pointer, RangeQuery, Space, SpaceState, StoreError, ViewStore,
    Watch,
};

/// Clones are the same store.
#[derive(Clone)]
pub(crate) struct Shelf {
    views: MemoryViews,
    down: Arc<AtomicBool>,
    reads: Arc<AtomicU64>,
}

impl Shelf {
    pub(crate) fn new() -> Self {
        let views = MemoryViews::new(Arc::new(SystemClock));
        Self { views, down: Arc::default(), reads: Arc::default() }
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// Reads of values so far.
    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }

    fn answers(&self) -> Result<&MemoryViews, StoreError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("redis-3.internal is down".to_owned()));
        }
        Ok(&self.views)
    }
}

/// What only a store in memory can do.
impl Deref for Shelf {
    type Target = MemoryViews;

    fn deref(&self) -> &MemoryViews {
        &self.views
    }
}

#[async_trait]
impl ViewStore for Shelf {
    async fn check(&self) -> Result<(), StoreError> {
        self.answers()?.check().await
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
        self.answers()?.commit(space, expected, new, changes).await
    }

    async fn read(
        &self,
        space: &Space,
        keys: &[String],
    ) -> Result<(SpaceState, Vec<Option<Bytes>>), StoreError> {
        self.reads.fetch_add(u64::from(!keys.is_empty()), Ordering::SeqCst);
        self.answers()?.read(space, keys).await
    }

    async fn read_map(
        &self,
        space: &Space,
        map: &str,
    ) -> Result<(SpaceState, BTreeMap<String, Bytes>), StoreError> {
        self.answers()?.read_map(space, map).await
    }

    async fn range(
        &self,
        space: &Space,
        query: &RangeQuery,
    ) -> Result<(SpaceState, Vec<Bytes>), StoreError> {
        self.answers()?.range(space, query).await
    }

    async fn page(
        &self,
        space: &Space,
        query: &RangeQuery,
        bytes_max: usize,
    ) -> Result<(SpaceState, Vec<Listed>), StoreError> {
        self.answers()?.page(space, query, bytes_max).await
    }

    async fn drop_space(&self, space: &Space, keys_max: usize) -> Result<Dropped, StoreError> {
        self.answers()?.drop_space(space, keys_max).await
    }

    async fn watch(&self, space: &Space) -> Box<dyn Watch> {
        self.views.watch(space).await
    }

    async fn pointers(&self, projection: &str) -> Result<BTreeMap<u32, Pointer>, StoreError> {
        self.answers()?.pointers(projection).await
    }

    async fn set_pointer(
        &self,
        projection: &str,
        revision: u32,
        expected: Option<&Pointer>,
        new: &Pointer,
    ) -> Result<bool, StoreError> {
        self.answers()?.set_pointer(projection, revision, expected, new).await
    }
}
