//! One Redis or a cluster of them: to its users the same.

use std::sync::Arc;

use redis::{Cmd, RedisError, Value};

use crate::config::{RedisConfig, RedisUrl};
use crate::ports::StoreError;

use super::cluster::Cluster;
use super::pool::{Connector, Pool};
use super::slots::Address;

pub(super) enum Servers {
    One(Arc<Pool>),
    Cluster(Box<Cluster>),
}

/// A server that holds keys itself.
pub(super) struct Primary {
    /// Where it is, in a cluster.
    pub(super) address: Option<String>,
    pub(super) pool: Arc<Pool>,
}

impl Servers {
    pub(super) fn new(url: &RedisUrl, config: &RedisConfig) -> Result<Self, StoreError> {
        let servers = Connector::to_each(url, config)?;
        let first = servers.first().expect("a URL of a Redis names a server").clone();
        if !url.is_cluster() {
            return Ok(Self::One(Arc::new(Pool::new(first, config))));
        }
        let seeds = servers.iter().filter_map(Connector::address).collect();
        Ok(Self::Cluster(Box::new(Cluster::new(seeds, first, config))))
    }

    /// Sends a command, whose keys are all in one slot, and waits for its answer.
    pub(super) async fn call(&self, cmd: &Cmd) -> Result<Value, RedisError> {
        match self {
            Self::One(pool) => pool.call(cmd).await,
            Self::Cluster(cluster) => cluster.call(cmd).await,
        }
    }

    /// Every server that holds keys itself.
    pub(super) async fn primaries(&self) -> Result<Vec<Primary>, RedisError> {
        match self {
            Self::One(pool) => Ok(vec![Primary { address: None, pool: pool.clone() }]),
            Self::Cluster(cluster) => {
                let primaries = cluster.primaries().await?.into_iter();
                let named = |(address, pool): (Address, _)| Primary {
                    address: Some(address.to_string()),
                    pool,
                };
                Ok(primaries.map(named).collect())
            }
        }
    }

    pub(super) const fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }
}
