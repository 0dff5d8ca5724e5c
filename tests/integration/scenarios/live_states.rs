//! States on a real Redis: more of them than fit in memory, and a Redis that loses them.

use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};

use crate::support::kafka::shared_brokers;
use crate::support::process::Process;
use crate::support::redis::{RedisServer, connection};

/// Twenty times as many as the writers may hold.
const ACCOUNTS: usize = 2_000;

/// Sends a command to every account, again where there is no room for it yet, and checks the
/// version after it.
async fn to_all(service: &Process, command: &Value, version: u64) {
    let send = |i: usize| async move {
        let id = format!("a{i}");
        loop {
            let answer = service.command(&id, command).await;
            match answer.status {
                503 => tokio::task::yield_now().await,
                200 => break assert_eq!(answer.json()["version"], version, "{id}"),
                other => panic!("{id}: {other} {:?}", answer.body),
            }
        }
    };
    stream::iter(0..ACCOUNTS).for_each_concurrent(32, send).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_accounts_than_fit_in_memory_survive_flushall_and_kill_9() {
    let redis = RedisServer::start(&[]);
    let service = Process::start(&shared_brokers(), redis.url()).await;
    let service = service.restarted_with("RETELL_WRITE__CACHED_AGGREGATES_MAX", "100");
    let mut service =
        service.restarted_with("RETELL_WRITE__COMMIT_INTERVAL_MS", "20").ready().await;
    let deposit = json!({"type": "DepositMoney", "amount": 5});
    to_all(&service, &json!({"type": "OpenAccount", "owner": "Ann"}), 1).await;
    to_all(&service, &deposit, 2).await;
    let mut connection = connection(redis.url()).await;
    let flush = async {
        let () = redis::cmd("FLUSHALL").query_async(&mut connection).await.expect("emptied");
    };
    tokio::join!(to_all(&service, &deposit, 3), flush);
    to_all(&service, &deposit, 4).await;
    service.kill();
    service.spawn();
    service.wait_ready().await;
    let status = service.get("/admin/status").await.expect("a status").json();
    let writers = status["partitions"].as_array().expect("partitions");
    let folded: u64 = writers.iter().map(|it| it["records"]["commits"].as_u64().expect("n")).sum();
    assert!(folded < ACCOUNTS as u64, "only the tail is read: {folded} commits");
    to_all(&service, &deposit, 5).await;
}
