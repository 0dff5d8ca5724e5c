//! Real Redis servers: the one that all tests share, and servers of one test that may be hurt.

use std::path::Path;
use std::process::Command;

use retell::adapters::redis::RedisViews;
use tempfile::TempDir;

/// The URL of the Redis that all tests share. They keep apart by namespaces and spaces.
pub(crate) fn shared_url() -> String {
    std::env::var("RETELL_TEST_REDIS")
        .expect("RETELL_TEST_REDIS must be the URL of a Redis; `make test` starts one and sets it")
}

/// Views in the Redis at `url`, with the default limits.
pub(crate) fn views(url: &str, namespace: &str) -> RedisViews {
    let config = super::default_config().views.redis;
    RedisViews::connect(url, namespace, &config).expect("a URL and a namespace")
}

/// A connection for what our adapter does not do.
pub(crate) async fn connection(url: &str) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(url).expect("a URL");
    client.get_multiplexed_async_connection().await.expect("Redis answers")
}

/// A Redis of one test's own, removed with it.
pub(crate) struct RedisServer {
    dir: TempDir,
    url: String,
}

impl RedisServer {
    /// Starts one; `arguments` are those of `dev/redis start` after the folder.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let url = run("start", dir.path(), arguments);
        Self { dir, url }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Takes everything out of it.
    pub(crate) async fn empty(&self) {
        let mut connection = connection(&self.url).await;
        let () = redis::cmd("FLUSHALL").query_async(&mut connection).await.expect("emptied");
    }

    /// Writes what it holds to the file that it begins with after the next restart.
    pub(crate) async fn save(&self) {
        let mut connection = connection(&self.url).await;
        let () = redis::cmd("SAVE").query_async(&mut connection).await.expect("saved");
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(&self) {
        self.run("kill");
    }

    /// Starts it again, with what it kept.
    pub(crate) fn restart(&self) {
        self.run("restart");
    }

    /// Stops it from answering; connections stay.
    pub(crate) fn pause(&self) {
        self.run("pause");
    }

    pub(crate) fn resume(&self) {
        self.run("resume");
    }

    fn run(&self, verb: &str) {
        run(verb, self.dir.path(), &[]);
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.run("remove");
    }
}

fn run(verb: &str, dir: &Path, arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("dev/redis");
    let output = Command::new(script).arg(verb).arg(dir).args(arguments).output();
    let output = output.expect("dev/redis runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "dev/redis {verb}: {errors}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}
