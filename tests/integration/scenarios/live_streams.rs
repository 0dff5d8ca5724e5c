//! Event streams on a real Kafka and a real Redis: of every process, and over kill -9.

use std::collections::BTreeMap;

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::kafka::shared_brokers;
use crate::support::process::Process;
use crate::support::redis::RedisServer;
use crate::support::sse::EventSource;

fn client() -> Client {
    Client::builder().no_proxy().build().expect("client")
}

fn at(service: &Process, path: &str) -> RequestBuilder {
    client().get(format!("{}{path}", service.url()))
}

async fn follow(service: &Process, path: &str) -> EventSource {
    EventSource::open(at(service, path)).await.begun().await
}

/// Reads until these accounts have these balances.
async fn until(stream: &mut EventSource, wanted: &[(&str, i64)]) {
    let mut balances: BTreeMap<String, Value> = BTreeMap::new();
    while wanted.iter().any(|(id, balance)| balances.get(*id) != Some(&json!(balance))) {
        let event = stream.next().await.expect("no end");
        if event.name == "put" {
            let key = event.data["key"].as_str().expect("a key").to_owned();
            balances.insert(key, event.data["view"]["balance"].clone());
        }
    }
}

/// A process whose projections stand by tells what the other's have committed.
#[tokio::test(flavor = "multi_thread")]
async fn every_process_tells_what_changes() {
    let (brokers, redis) = (shared_brokers(), RedisServer::start(&[]));
    let topic = format!("test-{}", Uuid::now_v7());
    let first = Process::start_on(&brokers, &topic, redis.url()).await.ready().await;
    first.open("ann", "Ann").await.ok();
    let second = Process::start_on(&brokers, &topic, redis.url()).await.ready().await;
    let mut on_first = follow(&first, "/projections/accounts").await;
    let mut on_second = follow(&second, "/projections/accounts").await;
    let mut records = follow(&first, "/events?type=MoneyDeposited").await;
    second.open("bob", "Bob").await.ok();
    second.deposit("bob", 7).await.ok();
    second.deposit("ann", 5).await.ok();
    until(&mut on_first, &[("ann", 5), ("bob", 7)]).await;
    until(&mut on_second, &[("ann", 5), ("bob", 7)]).await;
    for _ in 0..2 {
        let record = records.next().await.expect("no end");
        assert_eq!(record.data["command"], "DepositMoney", "{record:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_after_kill_9_and_begins_anew_after_flushall() {
    let redis = RedisServer::start(&[]);
    let mut service = Process::start(&shared_brokers(), redis.url()).await;
    service.open("ann", "Ann").await.ok();
    let mut stream = follow(&service, "/projections/accounts").await;
    service.deposit("ann", 5).await.ok();
    until(&mut stream, &[("ann", 5)]).await;
    for i in 0..50 {
        service.open(&format!("a{i}"), "Bob").await.ok();
    }
    service.deposit("ann", 5).await.ok();
    service.kill();
    service.spawn();
    service.wait_ready().await;
    let resumed = at(&service, "/projections/accounts").header("Last-Event-ID", &stream.id);
    let mut stream = EventSource::open(resumed).await;
    until(&mut stream, &[("ann", 10), ("a0", 0), ("a49", 0)]).await;
    redis.empty().await;
    stream.find("reset").await;
    service.deposit("ann", 5).await.ok();
    until(&mut stream, &[("ann", 15)]).await;
}
