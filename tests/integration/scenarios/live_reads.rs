//! Two processes on a real Kafka and a real Redis: one folds, the other answers and waits for it.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use uuid::Uuid;

use crate::support::kafka::shared_brokers;
use crate::support::process::Process;
use crate::support::redis::{RedisServer, connection};
use crate::support::writers::PATIENCE;

async fn ask<T: redis::FromRedisValue>(connection: &mut MultiplexedConnection, line: &str) -> T {
    let mut words = line.split(' ');
    let mut cmd = redis::cmd(words.next().expect("a command"));
    words.for_each(|word| {
        cmd.arg(word);
    });
    cmd.query_async(connection).await.expect("Redis answers")
}

/// Waits until somebody hears of commits to some partition of the accounts.
async fn until_watched(connection: &mut MultiplexedConnection) {
    let watched = async {
        while ask::<Vec<String>>(connection, "PUBSUB CHANNELS *:accounts:*").await.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, watched).await.expect("a query watches its partition");
}

/// R3, with the commits of another process; the fallback when Redis tells of none.
#[tokio::test(flavor = "multi_thread")]
async fn a_query_hears_of_the_commits_of_another_process_also_when_it_is_not_told() {
    let (brokers, topic) = (shared_brokers(), format!("test-{}", Uuid::now_v7()));
    let redis = RedisServer::start(&[]);
    let folding = Process::start_on(&brokers, &topic, redis.url()).await.ready().await;
    let paused = [("RETELL_READ__PAUSED", "accounts")];
    let asked = Process::start_with(&brokers, &topic, redis.url(), &paused).await.ready().await;
    let mut connection = connection(redis.url()).await;
    let opened = asked.open("ann", "Ann").await.ok();
    asked.view("ann", opened.header("retell-position")).await;
    let paths = ["/projections/accounts/ann", "/projections/accounts?owner=Ann&sort=-balance"];
    for (round, path) in (1..).zip([paths[0], paths[1], paths[0], paths[1]]) {
        // From the third round on nobody is told of anything.
        if round == 3 {
            let _: () = ask(&mut connection, "ACL SETUSER default -subscribe").await;
            let _: i64 = ask(&mut connection, "CLIENT KILL TYPE pubsub").await;
        }
        folding.pause();
        let done = asked.deposit("ann", 1).await.ok();
        let query = asked.query(path, done.header("retell-position"));
        let go_on = async {
            if round < 3 {
                until_watched(&mut connection).await;
            }
            folding.resume();
        };
        let (answer, ()) = tokio::join!(query, go_on);
        let answer = answer.expect("an answer").ok();
        let view = answer.json();
        let view = if path == paths[1] { &view["items"][0] } else { &view };
        assert_eq!(view["balance"], round, "{path}");
        assert_eq!(answer.header("preference-applied"), "wait=20");
    }
}
