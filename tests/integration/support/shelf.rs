//! A view store in memory that can be made to answer nobody, and counts what it is asked.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use retell::adapters::SystemClock;
use retell::adapters::memory::MemoryViews;
use retell::ports::{
    Change, Commit, Dropped, Listed, Pointer, RangeQuery, Space, SpaceState, StoreError, ViewStore,
    Watch,
};
use tokio::sync::watch;

/// Clones are the same store.
#[derive(Clone)]
pub(crate) struct Shelf {
    views: MemoryViews,
    down: Arc<AtomicBool>,
    reads: Arc<AtomicU64>,
    /// How long a read of values takes, in milliseconds.
    slowness: Arc<AtomicU64>,
    /// Keys that begin so are lost to the next reader of one.
    lost: Arc<Mutex<Option<&'static str>>>,
    /// How often each value was read and put.
    asked: Arc<Mutex<BTreeMap<String, (usize, usize)>>>,
    hanging: Arc<watch::Sender<Hanging>>,
}

/// Of which spaces it is.
type Hanging = Box<dyn Fn(&Space) -> bool + Send + Sync>;

impl Shelf {
    pub(crate) fn new() -> Self {
        let views = MemoryViews::new(Arc::new(SystemClock));
        let (down, reads, asked) = (Arc::default(), Arc::default(), Arc::default());
        let (slowness, lost) = (Arc::default(), Arc::default());
        let hanging: Hanging = Box::new(|_| false);
        let hanging = Arc::new(watch::Sender::new(hanging));
        Self { views, down, reads, slowness, lost, asked, hanging }
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// Lets each read of values take so long.
    pub(crate) fn slow_down(&self, millis: u64) {
        self.slowness.store(millis, Ordering::SeqCst);
    }

    /// Loses values whose keys begin so, as a Redis that evicts, to the next reader of one.
    pub(crate) fn lose(&self, prefix: &'static str) {
        *self.lost.lock().expect("no panic while it is held") = Some(prefix);
    }

    /// Reads of values so far.
    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }

    /// How often the value under this key was read, in whatever space.
    pub(crate) fn reads_of(&self, key: &str) -> usize {
        self.asked(key).0
    }

    /// How often the value under this key was put, in whatever space.
    pub(crate) fn puts_of(&self, key: &str) -> usize {
        self.asked(key).1
    }

    /// Commits to these spaces, and drops of all that is in them, are not answered until others
    /// are named.
    pub(crate) fn hang(&self, which: impl Fn(&Space) -> bool + Send + Sync + 'static) {
        drop(self.hanging.send_replace(Box::new(which)));
    }

    /// Lets all go on.
    pub(crate) fn go_on(&self) {
        self.hang(|_| false);
    }

    async fn until_it_goes_on(&self, space: &Space) {
        let mut hanging = self.hanging.subscribe();
        drop(hanging.wait_for(|hangs| !hangs(space)).await.expect("the store lives"));
    }

    fn asked(&self, key: &str) -> (usize, usize) {
        self.asked.lock().expect("no panic").get(key).copied().unwrap_or_default()
    }

    fn note(&self, key: &str, reads: usize, puts: usize) {
        let mut asked = self.asked.lock().expect("no panic");
        let (read, put) = asked.entry(key.to_owned()).or_default();
        (*read, *put) = (*read + reads, *put + puts);
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
        for change in changes {
            if let Change::Put { key, .. } = change {
                self.note(key, 0, 1);
            }
        }
        self.until_it_goes_on(space).await;
        self.answers()?.commit(space, expected, new, changes).await
    }

    async fn read(
        &self,
        space: &Space,
        keys: &[String],
    ) -> Result<(SpaceState, Vec<Option<Bytes>>), StoreError> {
        self.reads.fetch_add(u64::from(!keys.is_empty()), Ordering::SeqCst);
        keys.iter().for_each(|key| self.note(key, 1, 0));
        let slowness = Duration::from_millis(self.slowness.load(Ordering::SeqCst));
        tokio::time::sleep(slowness).await;
        let (state, mut values) = self.answers()?.read(space, keys).await?;
        let mut lost = self.lost.lock().expect("no panic while it is held");
        if lost.take_if(|lost| keys.iter().any(|key| key.starts_with(*lost))).is_some() {
            values.iter_mut().for_each(|value| *value = None);
        }
        drop(lost);
        Ok((state, values))
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
        // One key is little: so a space is hidden before it is dropped.
        if keys_max > 1 {
            self.until_it_goes_on(space).await;
        }
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
