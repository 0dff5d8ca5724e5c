//! What a policy holds back is listed, retried and given up as what a projection holds back is.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use retell::config::Config;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::app::{Answer, TestApp};
use crate::support::command_line::client;
use crate::support::mirror::{Mirror, World};

use super::http_metrics::{metrics, sum};

/// A service with the policy, which is not tried again by itself.
async fn start(policy: &Mirror) -> TestApp {
    let mut config = Config::defaults();
    config.policies.retry_delay = Duration::from_secs(3_600);
    config.policies.retry_delay_max = Duration::from_secs(3_600);
    let app = World::new().builder(config).policy(policy.clone()).build().await;
    let app = TestApp::serve(app.expect("an application"), Arc::new(Notify::new())).await;
    app.ready().await;
    app
}

/// Opens the account and pays these in; what is held back once the last is.
async fn held_back(app: &TestApp, amounts: &[i64]) -> Value {
    app.open_account("bad", "Ann").await.ok();
    for &amount in amounts {
        app.deposit("bad", amount).await.ok();
    }
    let has_all = |answer: &Answer| {
        let items = answer.json()["items"].as_array().cloned().unwrap_or_default();
        items.first().is_some_and(|item| item["count"] == amounts.len())
    };
    app.eventually("/admin/parked", has_all).await.json()["items"][0].clone()
}

async fn post(app: &TestApp, path: &str) -> Answer {
    app.ask(app.request(Method::POST, path)).await
}

async fn mirror_has(app: &TestApp, balance: i64) {
    let is_there = |it: &Answer| it.status == 200 && it.json()["balance"] == balance;
    app.eventually("/projections/accounts/bad.mirror", is_there).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_policy_holds_back_is_listed_and_retried_in_order() {
    let policy = Mirror::default();
    policy.trap(13);
    let app = start(&policy).await;
    let item = held_back(&app, &[13, 2, 3]).await;
    assert_eq!(item["projection"], "policy.mirror");
    assert_eq!(item["aggregate"], "account/bad");
    assert_eq!(item["state"], "parked");
    assert_eq!(item["event"]["type"], "MoneyDeposited");
    assert_eq!(sum(&metrics(&app).await, "retell_policy_parked{policy=\"mirror\""), 1.0);
    let id = item["id"].as_str().expect("an id");
    let said = post(&app, &format!("/admin/parked/{id}/retry")).await.problem(422, "still_parked");
    assert!(said.contains("13 on purpose"), "{said}");
    policy.mend();
    let retried = client(app.address, &["parked", "retry", id], "").await;
    assert_eq!((retried.code, retried.stdout.as_str()), (0, "3 records folded\n"), "{retried:?}");
    mirror_has(&app, 18).await;
    assert_eq!(sum(&metrics(&app).await, "retell_policy_parked{policy=\"mirror\""), 0.0);
    post(&app, &format!("/admin/parked/{id}/retry")).await.problem(404, "unknown_parked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_given_up_is_not_done_and_what_comes_later_is() {
    let policy = Mirror::default();
    policy.trap(13);
    let app = start(&policy).await;
    let item = held_back(&app, &[13, 2]).await;
    let id = item["id"].as_str().expect("an id");
    let discarded = post(&app, &format!("/admin/parked/{id}/discard")).await.ok().json();
    assert_eq!((&discarded["state"], &discarded["count"]), (&json!("discarded"), &json!(2)));
    assert_eq!(app.get("/admin/parked").await.ok().json()["items"], json!([]));
    app.deposit("bad", 5).await.ok();
    mirror_has(&app, 5).await;
    let status = app.get("/admin/status").await.ok().json();
    assert_eq!(status["policies"][0]["name"], "mirror", "{status}");
    assert_eq!(status["policies"][0]["partitions"][0]["state"], "following", "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_begins_anew_only_where_its_place_is_lost() {
    let app = start(&Mirror::default()).await;
    let begin = async |name: &str, body: &Value| {
        app.ask(app.post(&format!("/admin/policies/{name}/begin"), body)).await
    };
    let begun = begin("mirror", &json!({"from": "now"})).await.ok().json();
    assert_eq!(begun, json!({"partitions": 0}));
    begin("mirror", &json!({})).await.problem(400, "bad_body");
    begin("nobody", &json!({"from": "now"})).await.problem(404, "unknown_policy");
}
