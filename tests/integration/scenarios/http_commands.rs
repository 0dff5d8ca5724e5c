//! Commands over HTTP: what is answered when they are done, refused, or not possible now.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use retell::ports::EventLog;
use retell::{Offset, Partition};
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp, memory_log};
use crate::support::outage::Outage;
use crate::support::shelf::Shelf;

#[tokio::test]
async fn a_command_is_answered_with_what_happened_and_where() {
    let app = TestApp::spawn().await;
    app.open_account("ann", "Ann").await.ok();
    let answer = app.deposit("ann", 500).await.ok();
    let body = answer.json();
    assert_eq!(body["aggregate"], json!({"type": "account", "id": "ann"}));
    assert_eq!(body["version"], 2);
    assert_eq!(answer.header("etag"), "\"2\"");
    assert_eq!(body["position"], answer.header("retell-position"));
    assert_eq!(body["command_id"], answer.header("retell-command-id"));
    let event = &body["events"][0];
    assert_eq!(event["type"], "MoneyDeposited");
    assert_eq!(event["version"], 2);
    assert_eq!(event["data"], json!({"amount": 500, "balance": 500}));
    assert!(event["id"].is_string() && event["time"].is_string(), "{event}");
    assert_eq!(body["events"].as_array().map(Vec::len), Some(1));
    let mut members: Vec<_> = body.as_object().expect("object").keys().collect();
    members.sort();
    assert_eq!(members, ["aggregate", "command_id", "events", "position", "version"]);
}

#[tokio::test]
async fn a_refusal_is_the_domains_own_word() {
    let app = TestApp::spawn().await;
    app.open_account("ann", "Ann").await.ok();
    let refused = app.withdraw("ann", 900).await;
    refused.problem(422, "insufficient_funds");
    assert_eq!(refused.json()["type"], "urn:retell:problem:refused");
    for (amount, code) in
        [(0, "amount_not_positive"), (-5, "amount_not_positive"), (i64::MAX, "balance_overflow")]
    {
        app.deposit("ann", amount).await.problem(422, code);
    }
    app.deposit("bob", 1).await.problem(422, "not_open");
}

#[tokio::test]
async fn every_answer_names_its_command() {
    let app = TestApp::spawn().await;
    let open = json!({"type": "OpenAccount", "owner": "Ann"});
    let path = "/commands/account/ann";
    let answers = [
        app.ask(app.post(path, &open)).await,
        app.ask(app.post(path, &open)).await,
        app.ask(app.post("/commands/acount/ann", &open)).await,
        app.ask(app.post("/commands/account/%00", &open)).await,
        app.ask(app.post("/commands/account/ann?x=1", &open)).await,
        app.ask(app.post(path, &open).header("If-Match", "1")).await,
        app.ask(app.post(path, &open).header("Accept", "text/html")).await,
        app.ask(app.request(Method::POST, path).body("x")).await,
        app.ask(app.post(path, &json!("x".repeat(2_000_000)))).await,
        app.ask(app.post("/commands/slow/x", &json!({"type": "Panic"}))).await,
    ];
    let statuses = [200, 422, 404, 400, 400, 400, 406, 415, 413, 500];
    assert_eq!(answers.each_ref().map(|answer| answer.status), statuses);
    let mut ids: Vec<_> = answers.iter().map(|answer| answer.header("retell-command-id")).collect();
    assert!(ids.iter().all(|id| id.starts_with("cmd:")), "{ids:?}");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), answers.len(), "each command has its own");
}

#[tokio::test]
async fn what_the_sender_says_travels_into_the_record() {
    let log = memory_log();
    let app = TestApp::spawn_on(Arc::new(log.clone()), |_| {}).await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let open = app.post("/commands/account/ann", &json!({"type": "OpenAccount", "owner": "Ann"}));
    let open = open.header("X-Correlation-Id", "order-7").header("X-Causation-Id", "click-9");
    let answer = app.ask(open.header("traceparent", trace)).await.ok();
    let record = record_at(&log, answer.header("retell-position")).await;
    assert_eq!(record["correlation_id"], "order-7");
    assert_eq!(record["causation_id"], "click-9");
    assert_eq!(record["traceparent"], trace);
    assert_eq!(record["command_id"], answer.header("retell-command-id"));

    let deposit = app.post("/commands/account/ann", &json!({"type": "DepositMoney", "amount": 1}));
    let answer = app.ask(deposit.header("traceparent", "00-broken")).await.ok();
    let record = record_at(&log, answer.header("retell-position")).await;
    assert_eq!(record.get("traceparent"), None, "a broken trace is left out");
}

async fn record_at(log: &impl EventLog, position: &str) -> Value {
    let (partition, offset) = position.split_once('@').expect("position");
    let partition = Partition(partition.parse().expect("partition"));
    let offset = Offset(offset.parse().expect("offset"));
    let mut reader = log.reader(partition, offset).await.expect("reader");
    let chunk = reader.next(1, 1).await.expect("chunk");
    serde_json::from_slice(&chunk.records[0].value).expect("a record")
}

#[tokio::test]
async fn a_panic_of_an_aggregate_is_a_500_that_tells_nothing_of_it() {
    let app = TestApp::spawn().await;
    let answer = app.command("slow", "x", &json!({"type": "Panic"})).await;
    let detail = answer.problem(500, "internal");
    assert!(!detail.contains("on purpose"), "{detail}");
    app.command("slow", "x", &json!({"type": "Go"})).await.ok();
}

#[tokio::test]
async fn a_command_that_does_not_come_to_a_decision_is_turned_away() {
    let app = TestApp::spawn_with(|config| {
        config.write.decide_timeout = Duration::from_millis(10);
    })
    .await;
    let answer = app.command("slow", "x", &json!({"type": "Wait"})).await;
    answer.problem(503, "decide_timeout");
    answer.header("retry-after");
}

#[tokio::test]
async fn a_command_whose_fate_is_open_is_a_504_without_an_invitation_to_repeat_it() {
    let app = TestApp::spawn_with(|config| {
        config.http.request_timeout = Duration::from_millis(100);
        config.write.decide_timeout = Duration::from_secs(60);
    })
    .await;
    let answer = app.command("slow", "x", &json!({"type": "Wait"})).await;
    answer.problem(504, "outcome_unknown");
    assert_eq!(answer.headers.get("retry-after"), None);
    app.go.notify_one();
}

#[tokio::test]
async fn a_command_that_finds_no_room_may_be_repeated() {
    let (log, shelf) = (Arc::new(memory_log()), Shelf::new());
    let app = TestApp::start_over(log, Arc::new(shelf.clone()), |config| {
        config.write.cached_aggregates_max = 4;
    });
    let app = app.await;
    app.ready().await;
    // While nothing can be stored, nothing may be forgotten.
    shelf.set_down(true);
    let mut answers = Vec::new();
    for i in 0..40 {
        answers.push(app.open_account(&format!("a{i}"), "Ann").await);
    }
    let full: Vec<&Answer> = answers.iter().filter(|answer| answer.status != 200).collect();
    assert!(!full.is_empty(), "4 aggregates fit, one for each partition");
    for answer in full {
        let detail = answer.problem(503, "cache_full");
        assert!(detail.contains("write.cached_aggregates_max"), "{detail}");
        answer.header("retry-after");
    }
}

#[tokio::test]
async fn events_that_do_not_fit_a_record_are_told_before_anything_is_appended() {
    let log = memory_log().with_record_len_max(1_000);
    let app = TestApp::spawn_on(Arc::new(log), |_| {}).await;
    let command = json!({"type": "ProduceMessage", "text": "x".repeat(2_000)});
    let detail = app.command("message", "m", &command).await.problem(413, "events_too_large");
    assert!(detail.contains("1000"), "{detail}");
}

#[tokio::test]
async fn a_log_that_does_not_answer_is_told_without_its_address() {
    let log = Outage::of(memory_log());
    log.begin();
    let app = TestApp::start_on(Arc::new(log.clone()), |_| {}).await;
    let answer = app.open_account("ann", "Ann").await;
    let detail = answer.problem(503, "log_unavailable");
    assert!(!detail.contains("broker-7"), "{detail}");
    answer.header("retry-after");
    log.end();
    app.ready().await;
    app.open_account("ann", "Ann").await.ok();
}
