//! The view store on Redis, or on a Redis Cluster: one hash slot per space, one script per commit.
//!
//! Nothing is cached here: what is not in Redis does not exist. A call fails while Redis is
//! absent, and succeeds again when it is back; no call is repeated behind the caller's back,
//! because only the caller can tell whether a commit happened.

mod check;
mod cluster;
mod commit;
mod drops;
mod evictions;
mod fault;
mod keys;
mod pointers;
mod pool;
mod reads;
mod script;
mod servers;
mod slots;
mod subscriber;

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;

use crate::config::{RedisConfig, RedisUrl};
use crate::ports::{
    Change, Commit, Dropped, InvalidCommit, Listed, Pointer, RangeQuery, Space, SpaceState,
    Statistic, StoreError, ViewStore, Watch,
};

use keys::Keys;
use pool::Connector;
use script::Script;
use servers::Servers;
use subscriber::Subscriber;

/// Views in one Redis, or in a cluster of them.
///
/// ```
/// use retell::adapters::redis::RedisViews;
/// use retell::config::Config;
/// use retell::ports::{StoreError, ViewStore};
///
/// # #[tokio::main] async fn main() -> Result<(), StoreError> {
/// let config = Config::defaults().views.redis;
/// let views = RedisViews::connect("redis://127.0.0.1:6379/0", "shop", &config)?;
/// assert_eq!(views.changes_max(), config.commit_keys_max);
/// let wrong = RedisViews::connect("http://127.0.0.1:6379", "shop", &config);
/// assert!(matches!(wrong, Err(StoreError::Settings(_))));
/// # Ok(()) }
/// ```
pub struct RedisViews {
    keys: Keys,
    reads: Servers,
    /// Apart from reads: a commit of a hundred kilobytes on its way would hold up every read
    /// behind it on its connection (measured: reads beside a replay take half as long).
    writes: Servers,
    subscriber: Subscriber,
    scripts: Scripts,
    changes_max: usize,
}

struct Scripts {
    commit: Script,
    drop: Script,
    page: Script,
    range: Script,
    read_map: Script,
    set_pointer: Script,
}

impl RedisViews {
    /// Views in the Redis at `url`, under keys that begin with `retell:{namespace:`. Connects
    /// when it is first used, on the runtime that this is called on.
    ///
    /// # Errors
    /// The URL or the namespace cannot be used.
    ///
    /// # Panics
    /// When it is called outside a Tokio runtime.
    pub fn connect(url: &str, namespace: &str, config: &RedisConfig) -> Result<Self, StoreError> {
        let keys = Keys::new(namespace)?;
        let url: RedisUrl = url.parse().map_err(|error| {
            // The URL is not shown: it may hold a password.
            StoreError::Settings(vec![format!("views.url: {error}")])
        })?;
        let servers = Connector::to_each(&url, config)?;
        Ok(Self {
            reads: Servers::new(&url, config)?,
            writes: Servers::new(&url, config)?,
            subscriber: Subscriber::new(servers, keys.clone()),
            keys,
            scripts: Scripts {
                commit: Script::new(include_str!("commit.lua")),
                drop: Script::new(include_str!("drop.lua")),
                page: Script::new(include_str!("page.lua")),
                range: Script::new(include_str!("range.lua")),
                read_map: Script::new(include_str!("read_map.lua")),
                set_pointer: Script::new(include_str!("set_pointer.lua")),
            },
            changes_max: config.commit_keys_max,
        })
    }
}

#[async_trait]
impl ViewStore for RedisViews {
    async fn check(&self) -> Result<(), StoreError> {
        check::check(&self.reads, &self.keys).await
    }

    fn changes_max(&self) -> usize {
        self.changes_max
    }

    fn statistics(&self) -> Vec<Statistic> {
        let (reads, writes) = (self.reads.statistics("reads"), self.writes.statistics("writes"));
        reads.into_iter().chain(writes).collect()
    }

    async fn commit(
        &self,
        space: &Space,
        expected: &SpaceState,
        new: &SpaceState,
        changes: &[Change],
    ) -> Result<Commit, StoreError> {
        InvalidCommit::check(changes, self.changes_max)?;
        self.commit_checked(space, expected, new, changes).await
    }

    async fn read(
        &self,
        space: &Space,
        keys: &[String],
    ) -> Result<(SpaceState, Vec<Option<Bytes>>), StoreError> {
        self.read_values(space, keys).await
    }

    async fn read_map(
        &self,
        space: &Space,
        map: &str,
    ) -> Result<(SpaceState, BTreeMap<String, Bytes>), StoreError> {
        self.read_fields(space, map).await
    }

    async fn range(
        &self,
        space: &Space,
        query: &RangeQuery,
    ) -> Result<(SpaceState, Vec<Bytes>), StoreError> {
        self.read_range(space, query).await
    }

    async fn page(
        &self,
        space: &Space,
        query: &RangeQuery,
        bytes_max: usize,
    ) -> Result<(SpaceState, Vec<Listed>), StoreError> {
        self.read_page(space, query, bytes_max).await
    }

    async fn drop_space(&self, space: &Space, keys_max: usize) -> Result<Dropped, StoreError> {
        self.drop_some(space, keys_max).await
    }

    async fn watch(&self, space: &Space) -> Box<dyn Watch> {
        self.subscriber.watch(space)
    }

    async fn pointers(&self, projection: &str) -> Result<BTreeMap<u32, Pointer>, StoreError> {
        self.read_pointers(projection).await
    }

    async fn set_pointer(
        &self,
        projection: &str,
        revision: u32,
        expected: Option<&Pointer>,
        new: &Pointer,
    ) -> Result<bool, StoreError> {
        self.replace_pointer(projection, revision, expected, new).await
    }
}
