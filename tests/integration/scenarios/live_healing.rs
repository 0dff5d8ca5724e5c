//! What Redis loses, the log gives back (R5): meanwhile a query is answered with a view that is
//! right as of its position, or with 503, and never with 404.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::support::cluster::RedisCluster;
use crate::support::kafka::shared_brokers;
use crate::support::process::Process;
use crate::support::redis::{RedisServer, connection};

/// How long healing may take, with room for a busy machine.
const HEALS_WITHIN: Duration = Duration::from_secs(30);

/// Accounts enough to have some in every partition.
const ACCOUNTS: usize = 12;

/// A service with accounts, and the position at which each was seen last.
struct Scene {
    service: Arc<Process>,
    last: BTreeMap<String, String>,
}

/// Somebody who reads all the time, and notes what must not be.
struct Reader {
    stop: Arc<AtomicBool>,
    reading: tokio::task::JoinHandle<()>,
}

impl Scene {
    async fn start(redis: &str) -> Self {
        let service = Arc::new(Process::start(&shared_brokers(), redis).await);
        let mut scene = Self { service, last: BTreeMap::new() };
        for i in 0..ACCOUNTS {
            scene.service.open(&format!("a{i}"), "Ann").await.ok();
        }
        scene.deposit_everywhere().await;
        scene
    }

    /// One deposit of 1 to each account, seen in its view.
    async fn deposit_everywhere(&mut self) {
        for i in 0..ACCOUNTS {
            let id = format!("a{i}");
            let done = self.service.deposit(&id, 1).await.ok();
            let position = done.header("retell-position").to_owned();
            self.service.view(&id, &position).await;
            self.last.insert(id, position);
        }
    }

    /// Begins to read all views, again and again.
    fn read(&self) -> Reader {
        let (service, stop) = (self.service.clone(), Arc::new(AtomicBool::new(false)));
        let stopped = stop.clone();
        let reading = tokio::spawn(async move {
            for i in (0..ACCOUNTS).cycle() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let id = format!("a{i}");
                let path = format!("/projections/accounts/{id}");
                let answer = service.get(&path).await.expect("an answer");
                match answer.status {
                    200 => assert_right(&id, &answer.json()),
                    503 => {}
                    _ => panic!("{id}: {answer:?}"),
                }
                tokio::time::sleep(Duration::from_millis(2)).await; // it is no load test
            }
        });
        Reader { stop, reading }
    }

    /// Waits until every view is there as of what was seen before, and is what the log says.
    async fn heals(&self, reader: Reader) {
        let healing = async {
            for (id, position) in &self.last {
                let view = self.service.view(id, position).await;
                assert_right(id, &view);
                assert!(view["version"].as_u64() >= Some(2), "{id}: {view}");
            }
        };
        let healed = tokio::time::timeout(HEALS_WITHIN, healing).await;
        assert!(healed.is_ok(), "not healed; the service said:\n{}", self.service.said());
        reader.stop.store(true, Ordering::SeqCst);
        reader.reading.await.expect("every answer was right");
    }
}

/// A view is right if it is the fold of a prefix of its account's history: one opening, and then
/// deposits of 1.
fn assert_right(id: &str, view: &Value) {
    let (balance, version) = (view["balance"].as_u64(), view["version"].as_u64());
    assert!(version >= Some(1) && balance == version.map(|it| it - 1), "{id}: {view}");
}

/// Runs one command with the keys that match, if it needs some.
async fn delete(redis: &RedisServer, pattern: &str) -> usize {
    let mut connection = connection(redis.url()).await;
    let mut keys = redis::cmd("KEYS");
    let keys: Vec<String> =
        keys.arg(pattern).query_async(&mut connection).await.expect("Redis answers");
    assert!(!keys.is_empty(), "nothing is named {pattern}");
    redis::cmd("DEL").arg(&keys).query_async(&mut connection).await.expect("Redis answers")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_redis_heals_while_queries_go_on() {
    let redis = RedisServer::start(&[]);
    let mut scene = Scene::start(redis.url()).await;
    let reader = scene.read();
    redis.empty().await;
    scene.heals(reader).await;
    scene.deposit_everywhere().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_restarts_without_what_it_had_heals() {
    let redis = RedisServer::start(&[]);
    let mut scene = Scene::start(redis.url()).await;
    let reader = scene.read();
    redis.kill();
    redis.restart();
    scene.heals(reader).await;
    scene.deposit_everywhere().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_set_back_to_an_older_file_comes_forward_again() {
    let redis = RedisServer::start(&["--", "--dbfilename", "dump.rdb"]);
    let mut scene = Scene::start(redis.url()).await;
    redis.save().await;
    scene.deposit_everywhere().await;
    scene.deposit_everywhere().await;
    let reader = scene.read();
    redis.kill();
    redis.restart();
    scene.heals(reader).await;
    let view = scene.service.view("a0", &scene.last["a0"]).await;
    assert_eq!(view["balance"], 3, "the same deposits, each once");
    scene.deposit_everywhere().await;
}

/// Everything of one slot is one partition's views, or the pointers of one projection.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_slot_heals() {
    let redis = RedisServer::start(&[]);
    let mut scene = Scene::start(redis.url()).await;
    for lost in ["*:accounts:*:p1}:*", "*:accounts:*:p2}:checkpoint", "*:accounts}:generations"] {
        let reader = scene.read();
        assert!(delete(&redis, lost).await > 0);
        scene.heals(reader).await;
        scene.deposit_everywhere().await;
    }
}

/// A view that is gone by itself is noticed by who asks for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_view_heals() {
    let redis = RedisServer::start(&[]);
    let mut scene = Scene::start(redis.url()).await;
    let reader = scene.read();
    assert!(delete(&redis, "*:accounts:*:doc:a7").await > 0);
    scene.heals(reader).await;
    scene.deposit_everywhere().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_whose_node_comes_back_empty_heals() {
    let cluster = RedisCluster::start();
    let mut scene = Scene::start(cluster.url()).await;
    let reader = scene.read();
    cluster.kill(2);
    cluster.restart(2);
    scene.heals(reader).await;
    scene.deposit_everywhere().await;
}
