//! One Redis or a cluster of them: to its users the same.

use std::sync::Arc;

use redis::{Cmd, RedisError, Value};
use tokio::time::Instant;

use crate::config::{RedisConfig, RedisUrl};
use crate::measure::{Counter, Histogram};
use crate::ports::{Measured, Statistic, StoreError};

use super::cluster::Cluster;
use super::pool::{Connector, Pool};
use super::slots::Address;

pub(super) struct Servers {
    at: At,
    calls: Histogram,
    errors: Counter,
}

enum At {
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
            return Ok(Self::of(At::One(Arc::new(Pool::new(first, config)))));
        }
        let seeds = servers.iter().filter_map(Connector::address).collect();
        Ok(Self::of(At::Cluster(Box::new(Cluster::new(seeds, first, config)))))
    }

    fn of(at: At) -> Self {
        Self { at, calls: Histogram::of_durations(), errors: Counter::default() }
    }

    /// Sends a command, whose keys are all in one slot, and waits for its answer.
    pub(super) async fn call(&self, cmd: &Cmd) -> Result<Value, RedisError> {
        let begun = Instant::now();
        let answer = match &self.at {
            At::One(pool) => pool.call(cmd).await,
            At::Cluster(cluster) => cluster.call(cmd).await,
        };
        self.calls.duration(begun.elapsed());
        if answer.is_err() {
            self.errors.count();
        }
        answer
    }

    /// Every server that holds keys itself.
    pub(super) async fn primaries(&self) -> Result<Vec<Primary>, RedisError> {
        match &self.at {
            At::One(pool) => Ok(vec![Primary { address: None, pool: pool.clone() }]),
            At::Cluster(cluster) => {
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
        matches!(self.at, At::Cluster(_))
    }

    /// What was counted, under the name of this client.
    pub(super) fn statistics(&self, client: &'static str) -> [Statistic; 3] {
        let connections = match &self.at {
            At::One(pool) => pool.connections(),
            At::Cluster(cluster) => cluster.connections(),
        };
        let calls = Measured::Durations(self.calls.read());
        [
            Statistic { name: "retell_redis_call_seconds", client, value: calls },
            Statistic::number("retell_redis_errors_total", client, self.errors.get() as f64),
            Statistic::number("retell_redis_connections", client, f64::from(connections)),
        ]
    }
}
