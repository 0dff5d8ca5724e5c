//! Looking back on a real Kafka and a real Redis: sparse and dense histories, restarts, replays.

use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};

use crate::support::kafka::shared_brokers;
use crate::support::process::Process;
use crate::support::redis::RedisServer;

/// Accounts whose events lie between those of the one that is looked at.
const OTHERS: usize = 400;

async fn ask(service: &Process, path: &str) -> Value {
    let answer = service.eventually(path, |answer| answer.status != 503).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

async fn versions(service: &Process, id: &str) -> Vec<u64> {
    let (mut versions, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = ask(service, &format!("/aggregates/account/{id}/events?limit=50{cursor}")).await;
        let items = page["items"].as_array().expect("items");
        versions.extend(items.iter().map(|item| item["version"].as_u64().expect("version")));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return versions,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_survives_kill_9_replay_and_flushall() {
    let redis = RedisServer::start(&[]);
    let mut service = Process::start(&shared_brokers(), redis.url()).await;
    service.open("ann", "Ann").await.ok();
    for round in 0..3 {
        let open = |i: usize| {
            let id = format!("a{round}-{i}");
            let service = &service;
            async move { drop(service.open(&id, "Bob").await.ok()) }
        };
        stream::iter(0..OTHERS).for_each_concurrent(32, open).await;
        service.deposit("ann", 5).await.ok();
        service.kill();
        service.spawn();
        service.wait_ready().await;
    }
    for _ in 0..100 {
        service.deposit("ann", 5).await.ok();
    }
    let path = "/aggregates/account/ann?version=104";
    service.eventually(path, |answer| answer.status == 200).await;
    let check = async |service: &Process| {
        assert_eq!(versions(service, "ann").await, (1..=104).collect::<Vec<u64>>());
        for version in [1, 2, 4, 50, 104] {
            let state = ask(service, &format!("/aggregates/account/ann?version={version}")).await;
            assert_eq!(state["state"]["balance"], 5 * (version - 1));
        }
    };
    check(&service).await;
    let replayed = service.cli(&["replay", "history"], "").await;
    assert_eq!(replayed.code, 0, "{replayed:?}");
    check(&service).await;
    redis.empty().await;
    service.eventually(path, |answer| answer.status == 503).await;
    service.eventually(path, |answer| answer.status == 200).await;
    check(&service).await;
    let marks = ask(&service, "/events?marks=claim&limit=1000").await;
    let claims = marks["items"].as_array().expect("items").len();
    assert_eq!(claims, 4 * 4, "one claim a partition for each start");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_over_partitions_and_a_page_of_the_log_over_terms() {
    let redis = RedisServer::start(&[]);
    let service = Process::start(&shared_brokers(), redis.url()).await;
    let http = reqwest::Client::builder().no_proxy().build().expect("client");
    let mut cause = None;
    for i in 0..20 {
        let url = format!("{}/commands/account/t{i}", service.url());
        let mut request = http.post(url).header("X-Correlation-Id", "c-1");
        if let Some(cause) = &cause {
            request = request.header("X-Causation-Id", cause);
        }
        let command = json!({"type": "OpenAccount", "owner": "Ann"});
        let answer = request.json(&command).send().await.expect("an answer");
        let answer: Value = answer.json().await.expect("JSON");
        cause = Some(answer["command_id"].as_str().expect("id").to_owned());
    }
    let is_whole = |answer: &crate::support::app::Answer| {
        answer.status == 200 && answer.json()["items"].as_array().map(Vec::len) == Some(20)
    };
    let tree = service.eventually("/traces/c-1", is_whole).await.json();
    for (depth, item) in tree["items"].as_array().expect("items").iter().enumerate() {
        assert_eq!(item["depth"], depth, "{item}");
    }
}
