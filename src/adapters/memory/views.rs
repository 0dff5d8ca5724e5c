//! Views in memory: what is committed is gone with the process.
//!
//! One lock holds everything and nothing waits, so the same calls in the same order give the same
//! answers and the same wake-ups. What has expired is removed by the next commit to its space.

mod contents;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;

use crate::ports::{
    Change, Clock, Commit, Dropped, InvalidCommit, Listed, Pointer, RangeQuery, Space, SpaceState,
    StoreError, ViewStore, Watch, Watchers,
};

use contents::Contents;

/// As many as Redis takes by default, so that what fits here fits there.
const CHANGES_MAX: usize = 500;

/// Views that end with the process. Clones are the same views.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use retell::adapters::memory::{ManualClock, MemoryViews};
/// use retell::ports::{Change, SpaceState, ViewStore};
/// # use retell::{Partition, ports::Space};
///
/// # #[tokio::main] async fn main() -> Result<(), retell::ports::StoreError> {
/// # let space = Space::new("accounts", uuid::Uuid::nil(), Partition(5));
/// # let (empty, key) = (SpaceState::Empty, "doc:ann".to_owned());
/// let clock = ManualClock::default();
/// let views = MemoryViews::new(Arc::new(clock.clone()));
/// let expires_in = Some(Duration::from_secs(60));
/// let put = Change::Put { key: key.clone(), value: "{}".into(), expires_in };
/// views.commit(&space, &empty, &empty, &[put]).await?;
/// assert_eq!(views.read(&space, &[key.clone()]).await?.1, [Some("{}".into())]);
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(views.read(&space, &[key]).await?.1, [None]);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct MemoryViews {
    stored: Arc<Mutex<Stored>>,
    watchers: Watchers,
    clock: Arc<dyn Clock>,
    changes_max: usize,
}

/// Everything that was in a store at one moment.
///
/// ```
/// use retell::ports::{SpaceState, ViewStore};
/// # use std::sync::Arc;
/// # use retell::{Partition, adapters::{SystemClock, memory::MemoryViews}, ports::Space};
///
/// # #[tokio::main] async fn main() -> Result<(), retell::ports::StoreError> {
/// # let views = MemoryViews::new(Arc::new(SystemClock));
/// # let space = Space::new("accounts", uuid::Uuid::nil(), Partition(5));
/// let snapshot = views.snapshot();
/// let flushing = SpaceState::Flushing(uuid::Uuid::from_u128(1));
/// views.commit(&space, &SpaceState::Empty, &flushing, &[]).await?;
/// views.restore(&snapshot); // somebody has set the store back
/// assert_eq!(views.read(&space, &[]).await?.0, SpaceState::Empty);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ViewsSnapshot(Stored);

#[derive(Clone, Default)]
struct Stored {
    /// A space without an entry is empty.
    spaces: BTreeMap<Space, Contents>,
    pointers: BTreeMap<String, BTreeMap<u32, Pointer>>,
}

impl MemoryViews {
    /// No views; `clock` says what has expired.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            stored: Arc::default(),
            watchers: Watchers::default(),
            clock,
            changes_max: CHANGES_MAX,
        }
    }

    /// These views, for whoever holds this handle, with another limit to a commit, in changes.
    #[must_use]
    pub fn with_changes_max(self, changes_max: usize) -> Self {
        Self { changes_max, ..self }
    }

    /// Loses everything at once, as an emptied Redis does.
    pub fn clear(&self) {
        *self.stored() = Stored::default();
    }

    /// What is in it now.
    #[must_use]
    pub fn snapshot(&self) -> ViewsSnapshot {
        ViewsSnapshot(self.stored().clone())
    }

    /// Holds what another moment or another store held, as a Redis does that was started from an
    /// older file. Whoever watches is not woken.
    pub fn restore(&self, snapshot: &ViewsSnapshot) {
        *self.stored() = snapshot.0.clone();
    }

    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().expect("no panic while it is held")
    }

    /// What `look` sees in a space; an empty space if there is none.
    fn look<T>(&self, space: &Space, look: impl FnOnce(&Contents) -> T) -> T {
        match self.stored().spaces.get(space) {
            Some(contents) => look(contents),
            None => look(&Contents::default()),
        }
    }
}

#[async_trait]
impl ViewStore for MemoryViews {
    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn changes_max(&self) -> usize {
        self.changes_max
    }

    async fn commit(
        &self,
        space: &Space,
        expected: &SpaceState,
        new: &SpaceState,
        changes: &[Change],
    ) -> Result<Commit, StoreError> {
        InvalidCommit::check(changes, self.changes_max)?;
        let mut stored = self.stored();
        let state = stored.spaces.get(space).map_or(&SpaceState::Empty, |contents| &contents.state);
        if state != expected {
            return Ok(Commit::Stale(state.clone()));
        }
        let contents = stored.spaces.entry(space.clone()).or_default();
        let now = self.clock.now();
        contents.remove_expired(now);
        changes.iter().for_each(|change| contents.apply(change, now));
        contents.state = new.clone();
        drop(stored);
        self.watchers.moved(&space.to_string());
        Ok(Commit::Committed)
    }

    async fn read(
        &self,
        space: &Space,
        keys: &[String],
    ) -> Result<(SpaceState, Vec<Option<Bytes>>), StoreError> {
        let now = self.clock.now();
        Ok(self.look(space, |contents| {
            let values = keys.iter().map(|key| contents.value(key, now)).collect();
            (contents.state.clone(), values)
        }))
    }

    async fn read_map(
        &self,
        space: &Space,
        map: &str,
    ) -> Result<(SpaceState, BTreeMap<String, Bytes>), StoreError> {
        let now = self.clock.now();
        Ok(self.look(space, |contents| (contents.state.clone(), contents.map(map, now))))
    }

    async fn range(
        &self,
        space: &Space,
        query: &RangeQuery,
    ) -> Result<(SpaceState, Vec<Bytes>), StoreError> {
        Ok(self.look(space, |contents| (contents.state.clone(), contents.range(query))))
    }

    async fn page(
        &self,
        space: &Space,
        query: &RangeQuery,
        bytes_max: usize,
    ) -> Result<(SpaceState, Vec<Listed>), StoreError> {
        let now = self.clock.now();
        Ok(self
            .look(space, |contents| (contents.state.clone(), contents.page(query, bytes_max, now))))
    }

    async fn drop_space(&self, space: &Space, keys_max: usize) -> Result<Dropped, StoreError> {
        let mut stored = self.stored();
        let Some(contents) = stored.spaces.get_mut(space) else {
            return Ok(Dropped::All);
        };
        let had_state = std::mem::take(&mut contents.state) != SpaceState::Empty;
        let dropped = contents.remove_some(keys_max);
        if dropped == Dropped::All {
            stored.spaces.remove(space);
        }
        drop(stored);
        if had_state {
            self.watchers.moved(&space.to_string());
        }
        Ok(dropped)
    }

    async fn watch(&self, space: &Space) -> Box<dyn Watch> {
        self.watchers.watch(space)
    }

    async fn pointers(&self, projection: &str) -> Result<BTreeMap<u32, Pointer>, StoreError> {
        Ok(self.stored().pointers.get(projection).cloned().unwrap_or_default())
    }

    async fn set_pointer(
        &self,
        projection: &str,
        revision: u32,
        expected: Option<&Pointer>,
        new: &Pointer,
    ) -> Result<bool, StoreError> {
        let mut stored = self.stored();
        let pointers = stored.pointers.entry(projection.to_owned()).or_default();
        let is_expected = pointers.get(&revision) == expected;
        if is_expected {
            pointers.insert(revision, new.clone());
        }
        Ok(is_expected)
    }
}
