//! Real Redis Clusters: the one that all tests share, and those of one test that may be hurt.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// Nodes of every cluster, each with a third of the slots.
pub(crate) const NODES: usize = 3;

/// The URL of the cluster that all tests share. They keep apart by namespaces and spaces.
pub(crate) fn shared_url() -> String {
    std::env::var("RETELL_TEST_REDIS_CLUSTER")
        .expect("RETELL_TEST_REDIS_CLUSTER must be the URL of a cluster; `make test` sets it")
}

/// A cluster of one test's own, removed with it. Nodes count from 1.
pub(crate) struct RedisCluster {
    dir: TempDir,
    url: String,
}

impl RedisCluster {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let url = run(&["start"], dir.path());
        Self { dir, url }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The port of a node.
    pub(crate) fn port(&self, node: usize) -> &str {
        let nodes = self.url.strip_prefix("redis-cluster://").expect("a cluster's URL");
        let address = nodes.split(',').nth(node - 1).expect("three nodes");
        address.rsplit_once(':').expect("a port").1
    }

    /// The URL of one node.
    pub(crate) fn node(&self, node: usize) -> String {
        format!("redis://127.0.0.1:{}/0", self.port(node))
    }

    /// The node that has a slot from the beginning.
    pub(crate) fn node_of(slot: usize) -> usize {
        let has = |node: &usize| slot < 16_384 * node / NODES;
        (1..=NODES).find(has).expect("a slot")
    }

    /// Ends a node as a crash does; what it held is gone.
    pub(crate) fn kill(&self, node: usize) {
        run(&["kill", &node.to_string()], self.dir.path());
    }

    /// Starts it again, with its slots and nothing in them.
    pub(crate) fn restart(&self, node: usize) {
        run(&["restart", &node.to_string()], self.dir.path());
    }
}

impl Drop for RedisCluster {
    fn drop(&mut self) {
        run(&["remove"], self.dir.path());
    }
}

fn run(words: &[&str], dir: &Path) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("dev/redis-cluster");
    let output = Command::new(script).arg(words[0]).arg(dir).args(&words[1..]).output();
    let output = output.expect("dev/redis-cluster runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "dev/redis-cluster {words:?}: {errors}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}
