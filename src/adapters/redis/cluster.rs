//! A Redis Cluster: each command goes to the node that has the slot of its keys.
//!
//! A redirection is followed, since the node that sends it has done nothing; nothing else is sent
//! twice (docs/adr/0013-a-cluster-is-routed-here.md).

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value};

use crate::config::RedisConfig;

use super::pool::{Connector, Pool};
use super::slots::{Address, SlotMap, slot_of};

/// How often a command follows a redirection: to the new node, and once more while a slot moves.
const REDIRECTS_MAX: usize = 5;

pub(super) struct Cluster {
    /// The nodes that the URL names.
    seeds: Vec<Address>,
    connector: Connector,
    config: RedisConfig,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// None when it must be asked for (again).
    slots: Option<Arc<SlotMap>>,
    pools: BTreeMap<Address, Arc<Pool>>,
    /// The node that failed last: it is asked last.
    failed: Option<Address>,
}

impl Cluster {
    /// The cluster of these nodes; a connector to any of them makes those to all.
    pub(super) fn new(seeds: Vec<Address>, connector: Connector, config: &RedisConfig) -> Self {
        Self { seeds, connector, config: config.clone(), known: Mutex::default() }
    }

    /// Sends a command to the node that has its keys, and waits for its answer.
    pub(super) async fn call(&self, cmd: &Cmd) -> Result<Value, RedisError> {
        let slot = slot_of(cmd);
        let slots = self.slots().await?;
        let owner = slots.owner(slot).cloned();
        let mut node = owner.ok_or_else(|| unserved(slot))?;
        let mut is_asking = false;
        for _ in 0..REDIRECTS_MAX {
            let pool = self.pool(&node)?;
            let answer = if is_asking { pool.call_asking(cmd).await } else { pool.call(cmd).await };
            let Err(error) = answer else { return answer };
            let to = error.redirect_node().and_then(|(to, _)| Address::parse(to, &node));
            let Some(to) = to else {
                if is_of_another_map(&error) {
                    self.forget(&node);
                }
                return Err(error);
            };
            is_asking = error.kind() == ErrorKind::Server(ServerErrorKind::Ask);
            if !is_asking {
                // The node that has it now knows the map best. Without it the call goes on.
                drop(self.ask_for_slots(&to).await);
            }
            node = to;
        }
        Err(io::Error::other(format!("slot {slot} is redirected in a circle")).into())
    }

    /// Every primary, once all slots have one.
    pub(super) async fn primaries(&self) -> Result<Vec<(Address, Arc<Pool>)>, RedisError> {
        self.know(|known| known.slots = None);
        let slots = self.slots().await?;
        if let Some(slot) = slots.gap() {
            return Err(unserved(slot));
        }
        let pool = |node: Address| self.pool(&node).map(|pool| (node, pool));
        slots.nodes().into_iter().map(pool).collect()
    }

    /// How many connections there are, to all nodes.
    pub(super) fn connections(&self) -> u32 {
        self.know(|known| known.pools.values().map(|pool| pool.connections()).sum())
    }

    async fn slots(&self) -> Result<Arc<SlotMap>, RedisError> {
        if let Some(slots) = self.know(|known| known.slots.clone()) {
            return Ok(slots);
        }
        let mut last = None;
        for node in self.nodes() {
            match self.ask_for_slots(&node).await {
                Ok(slots) => return Ok(slots),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::Error::other("no node of the cluster is named").into()))
    }

    /// All nodes that were ever named, the one that failed last.
    fn nodes(&self) -> Vec<Address> {
        self.know(|known| {
            let mut nodes: Vec<_> = known.pools.keys().chain(&self.seeds).cloned().collect();
            nodes.sort();
            nodes.dedup();
            nodes.sort_by_key(|node| known.failed.as_ref() == Some(node));
            nodes
        })
    }

    async fn ask_for_slots(&self, node: &Address) -> Result<Arc<SlotMap>, RedisError> {
        let mut cmd = redis::cmd("CLUSTER");
        cmd.arg("SLOTS");
        let answer = self.pool(node)?.call(&cmd).await?;
        let unreadable = || io::Error::other("CLUSTER SLOTS cannot be read");
        let slots = Arc::new(SlotMap::read(&answer, node).ok_or_else(unreadable)?);
        self.know(|known| {
            known.slots = Some(slots.clone());
            // Nodes that have left are asked no more.
            let nodes = slots.nodes();
            known.pools.retain(|node, _| nodes.contains(node) || self.seeds.contains(node));
        });
        Ok(slots)
    }

    fn forget(&self, failed: &Address) {
        self.know(|known| {
            known.slots = None;
            known.failed = Some(failed.clone());
        });
    }

    fn pool(&self, node: &Address) -> Result<Arc<Pool>, RedisError> {
        if let Some(pool) = self.know(|known| known.pools.get(node).cloned()) {
            return Ok(pool);
        }
        let pool = Arc::new(Pool::new(self.connector.to(node)?, &self.config));
        Ok(self.know(|known| known.pools.entry(node.clone()).or_insert(pool).clone()))
    }

    fn know<T>(&self, with: impl FnOnce(&mut Known) -> T) -> T {
        with(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether the node may no longer be the one to ask: it does not answer, is a replica by now, or
/// says that slots are not served.
fn is_of_another_map(error: &RedisError) -> bool {
    match error.code() {
        Some(code) => matches!(code, "READONLY" | "CLUSTERDOWN" | "MASTERDOWN"),
        None => true,
    }
}

fn unserved(slot: u16) -> RedisError {
    io::Error::other(format!("no node of the cluster has slot {slot}")).into()
}
