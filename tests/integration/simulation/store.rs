//! A view store that does not answer, answers too late, and comes back as it was earlier.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use retell::adapters::memory::MemoryViews;
use retell::ports::{
    Change, Commit, Dropped, Listed, Pointer, RangeQuery, Space, SpaceState, StoreError, ViewStore,
    Watch,
};

use super::link::Link;
use super::world::World;

/// The store as one process sees it: through its own link.
#[derive(Clone)]
pub(super) struct FaultyViews {
    world: Arc<World>,
    views: MemoryViews,
    link: Arc<Link>,
}

/// What becomes of a write.
enum Fate {
    /// It is done and answered.
    Answered,
    /// It is done, and the answer is lost.
    Unanswered,
    /// It is done some time after it was given up.
    Late,
}

impl FaultyViews {
    pub(super) const fn new(world: Arc<World>, views: MemoryViews, link: Arc<Link>) -> Self {
        Self { world, views, link }
    }

    /// The way to the store; a question may get lost on it.
    async fn pass(&self) -> Result<(), StoreError> {
        self.link.pass().await;
        tokio::time::sleep(self.world.latency()).await;
        if self.world.happens("store silent", |faults| faults.store_silent) {
            tokio::time::sleep(self.world.chance.millis(30)).await;
            return Err(unavailable());
        }
        self.link.pass().await;
        Ok(())
    }

    fn fate(&self) -> Fate {
        if !self.world.happens("store unsure", |faults| faults.store_unsure) {
            return Fate::Answered;
        }
        if self.world.chance.one_in(2) { Fate::Unanswered } else { Fate::Late }
    }

    /// Does a write after it was given up.
    fn do_late<T: Send>(&self, write: impl Future<Output = T> + Send + 'static) -> StoreError {
        let late = self.world.chance.millis(300);
        tokio::spawn(async move {
            tokio::time::sleep(late).await;
            drop(write.await);
        });
        unavailable()
    }
}

fn unavailable() -> StoreError {
    StoreError::Unavailable("no answer".to_owned())
}

#[async_trait]
impl ViewStore for FaultyViews {
    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
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
        self.pass().await?;
        match self.fate() {
            Fate::Answered => self.views.commit(space, expected, new, changes).await,
            Fate::Unanswered => {
                drop(self.views.commit(space, expected, new, changes).await);
                Err(unavailable())
            }
            Fate::Late => {
                let (views, space, changes) = (self.views.clone(), space.clone(), changes.to_vec());
                let (expected, new) = (expected.clone(), new.clone());
                Err(self.do_late(async move {
                    drop(views.commit(&space, &expected, &new, &changes).await);
                }))
            }
        }
    }

    async fn read(
        &self,
        space: &Space,
        keys: &[String],
    ) -> Result<(SpaceState, Vec<Option<Bytes>>), StoreError> {
        self.pass().await?;
        self.views.read(space, keys).await
    }

    async fn read_map(
        &self,
        space: &Space,
        map: &str,
    ) -> Result<(SpaceState, BTreeMap<String, Bytes>), StoreError> {
        self.pass().await?;
        self.views.read_map(space, map).await
    }

    async fn range(
        &self,
        space: &Space,
        query: &RangeQuery,
    ) -> Result<(SpaceState, Vec<Bytes>), StoreError> {
        self.pass().await?;
        self.views.range(space, query).await
    }

    async fn page(
        &self,
        space: &Space,
        query: &RangeQuery,
        bytes_max: usize,
    ) -> Result<(SpaceState, Vec<Listed>), StoreError> {
        self.pass().await?;
        self.views.page(space, query, bytes_max).await
    }

    async fn drop_space(&self, space: &Space, keys_max: usize) -> Result<Dropped, StoreError> {
        self.pass().await?;
        self.views.drop_space(space, keys_max).await
    }

    async fn watch(&self, space: &Space) -> Box<dyn Watch> {
        self.views.watch(space).await
    }

    async fn pointers(&self, projection: &str) -> Result<BTreeMap<u32, Pointer>, StoreError> {
        self.pass().await?;
        self.views.pointers(projection).await
    }

    async fn set_pointer(
        &self,
        projection: &str,
        revision: u32,
        expected: Option<&Pointer>,
        new: &Pointer,
    ) -> Result<bool, StoreError> {
        self.pass().await?;
        match self.fate() {
            Fate::Answered => self.views.set_pointer(projection, revision, expected, new).await,
            Fate::Unanswered => {
                drop(self.views.set_pointer(projection, revision, expected, new).await);
                Err(unavailable())
            }
            Fate::Late => {
                let (views, projection) = (self.views.clone(), projection.to_owned());
                let (expected, new) = (expected.cloned(), new.clone());
                Err(self.do_late(async move {
                    let expected = expected.as_ref();
                    drop(views.set_pointer(&projection, revision, expected, &new).await);
                }))
            }
        }
    }
}
