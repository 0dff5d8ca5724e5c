//! Views on disk in this process.
//!
//! Everything stands in one ordered keyspace of fjall, and a commit is one batch of it. One, not
//! several: keyspaces reach the disk each by itself, so that after a power loss a checkpoint in
//! one of them could be newer than the values in another. A commit is handed to the operating
//! system and not synced: it survives `kill -9`, and after a power loss the store is as it was
//! some commits ago, checkpoints and changes together; views are derived, and are derived again.
//!
//! Commits, drops and scans run on threads that may block (fjall slows writers down by letting
//! them sleep). Reading a few keys does not: it is a look into memory or, at worst, one page of
//! a file per key, and handing it to another thread and back would cost more.

mod commit;
mod drops;
mod expiry;
mod fault;
mod keys;
mod reads;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};

use crate::contract::Time;
use crate::ports::{
    Change, Clock, Commit, Dropped, InvalidCommit, Listed, Pointer, RangeQuery, Space, SpaceState,
    StoreError, ViewStore, Watch, Watchers,
};

use super::folder::Folder;
use fault::{opening, torn_pointer, unavailable, unreadable};

/// A batch is held in memory and written under a lock; a larger one would be no faster.
const CHANGES_MAX: usize = 2_000;

/// Reads of more keys go to a thread that may block.
const READ_INLINE_KEYS_MAX: usize = 16;

/// Locks, each for the spaces that fall to it: bounded, however many spaces there are.
const LOCKS: usize = 64;

/// Views in a folder. Clones are the same views.
///
/// ```
/// use std::sync::Arc;
///
/// use retell::adapters::{SystemClock, embedded::EmbeddedViews};
/// use retell::ports::{SpaceState, ViewStore};
/// # use retell::{Partition, ports::Space};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let space = Space::new("accounts", uuid::Uuid::nil(), Partition(5));
/// let views = EmbeddedViews::open(folder.path(), Arc::new(SystemClock))?;
/// let flushing = SpaceState::Flushing(uuid::Uuid::from_u128(1));
/// views.commit(&space, &SpaceState::Empty, &flushing, &[]).await?;
/// drop(views);
/// let again = EmbeddedViews::open(folder.path(), Arc::new(SystemClock))?;
/// assert_eq!(again.read(&space, &[]).await?.0, flushing);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct EmbeddedViews(Arc<Opened>);

struct Opened {
    database: Database,
    keyspace: Keyspace,
    /// Dropped after the database: its lock outlives it.
    _folder: Folder,
    clock: Arc<dyn Clock>,
    watchers: Watchers,
    /// Who changes a space holds its lock from the look at the state until the batch is written.
    locks: [Mutex<BTreeMap<Space, Progress>>; LOCKS],
    /// Who changes a pointer holds it.
    pointers: Mutex<()>,
}

/// What this process remembers of a space so as not to search through what it has deleted: it
/// is wrong about nothing when it is forgotten.
struct Progress {
    /// Nothing expires before.
    next_expiry: Time,
    /// The last key that a drop has removed.
    dropped_to: Option<Vec<u8>>,
}

impl EmbeddedViews {
    /// Opens the folder, or makes it; `clock` says what has expired.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: another process has it open. [`StoreError::Settings`]: it
    /// cannot be opened or read; the message says what to do.
    pub fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let folder = Folder::lock(dir).map_err(|error| opening(&error))?;
        let database = folder.open_store(|_| Ok(())).map_err(|error| opening(&error))?;
        let keyspace = database
            .keyspace("views", KeyspaceCreateOptions::default)
            .map_err(|error| unreadable(dir, &error))?;
        Ok(Self(Arc::new(Opened {
            database,
            keyspace,
            _folder: folder,
            clock,
            watchers: Watchers::default(),
            locks: std::array::from_fn(|_| Mutex::default()),
            pointers: Mutex::default(),
        })))
    }

    /// Runs `work` on a thread that may block. It goes on when the caller no longer waits.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Opened) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let opened = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || work(&opened)).await;
        done.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
    }
}

impl Opened {
    fn lock(&self, space: &Space) -> MutexGuard<'_, BTreeMap<Space, Progress>> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(space);
        let at = usize::try_from(hash % LOCKS as u64).expect("it is below 64");
        self.locks[at].lock().expect("no panic while it is held")
    }

    fn pointers(&self, projection: &str) -> Result<BTreeMap<u32, Pointer>, StoreError> {
        let prefix = keys::pointers(projection);
        let snapshot = self.database.snapshot();
        let pointers = snapshot.prefix(&self.keyspace, &prefix).map(|entry| {
            let (key, json) = entry.into_inner().map_err(|error| unavailable(&error))?;
            let revision = keys::revision(&key[prefix.len()..]);
            let pointer = serde_json::from_slice(&json).ok();
            revision.zip(pointer).ok_or_else(|| torn_pointer(projection))
        });
        pointers.collect()
    }

    fn set_pointer(
        &self,
        projection: &str,
        revision: u32,
        expected: Option<&Pointer>,
        new: &Pointer,
    ) -> Result<bool, StoreError> {
        let _held = self.pointers.lock().expect("no panic while it is held");
        if self.pointers(projection)?.get(&revision) != expected {
            return Ok(false);
        }
        let json = serde_json::to_vec(new).expect("a pointer has string keys only");
        // Synced, with all that was committed before: a flip is rare, and a generation that
        // people saw should not become the one before it.
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        batch.insert(&self.keyspace, keys::pointer(projection, revision), json);
        batch.commit().map_err(|error| unavailable(&error))?;
        Ok(true)
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self { next_expiry: Time::from_millis(i64::MIN), dropped_to: None }
    }
}

#[async_trait]
impl ViewStore for EmbeddedViews {
    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn changes_max(&self) -> usize {
        CHANGES_MAX
    }

    async fn commit(
        &self,
        space: &Space,
        expected: &SpaceState,
        new: &SpaceState,
        changes: &[Change],
    ) -> Result<Commit, StoreError> {
        InvalidCommit::check(changes, CHANGES_MAX)?;
        let (space, expected, new) = (space.clone(), expected.clone(), new.clone());
        let changes = changes.to_vec();
        self.blocking(move |opened| opened.commit(&space, &expected, &new, &changes)).await
    }

    async fn read(
        &self,
        space: &Space,
        keys: &[String],
    ) -> Result<(SpaceState, Vec<Option<Bytes>>), StoreError> {
        if keys.len() <= READ_INLINE_KEYS_MAX {
            return self.0.read(space, keys);
        }
        let (space, keys) = (space.clone(), keys.to_vec());
        self.blocking(move |opened| opened.read(&space, &keys)).await
    }

    async fn read_map(
        &self,
        space: &Space,
        map: &str,
    ) -> Result<(SpaceState, BTreeMap<String, Bytes>), StoreError> {
        let (space, map) = (space.clone(), map.to_owned());
        self.blocking(move |opened| opened.read_map(&space, &map)).await
    }

    async fn range(
        &self,
        space: &Space,
        query: &RangeQuery,
    ) -> Result<(SpaceState, Vec<Bytes>), StoreError> {
        let (space, query) = (space.clone(), query.clone());
        self.blocking(move |opened| opened.range(&space, &query)).await
    }

    async fn page(
        &self,
        space: &Space,
        query: &RangeQuery,
        bytes_max: usize,
    ) -> Result<(SpaceState, Vec<Listed>), StoreError> {
        let (space, query) = (space.clone(), query.clone());
        self.blocking(move |opened| opened.page(&space, &query, bytes_max)).await
    }

    async fn drop_space(&self, space: &Space, keys_max: usize) -> Result<Dropped, StoreError> {
        let space = space.clone();
        self.blocking(move |opened| opened.drop_space(&space, keys_max)).await
    }

    async fn watch(&self, space: &Space) -> Box<dyn Watch> {
        self.0.watchers.watch(space)
    }

    async fn pointers(&self, projection: &str) -> Result<BTreeMap<u32, Pointer>, StoreError> {
        let projection = projection.to_owned();
        self.blocking(move |opened| opened.pointers(&projection)).await
    }

    async fn set_pointer(
        &self,
        projection: &str,
        revision: u32,
        expected: Option<&Pointer>,
        new: &Pointer,
    ) -> Result<bool, StoreError> {
        let (projection, expected, new) = (projection.to_owned(), expected.cloned(), new.clone());
        self.blocking(move |opened| {
            opened.set_pointer(&projection, revision, expected.as_ref(), &new)
        })
        .await
    }
}
