//! Replays, verifications and what an operator does with projections, over HTTP.

use std::sync::Arc;

use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp, memory_log};
use crate::support::outage::Outage;

/// The id at the end of a relative Location.
fn id_of(answer: &Answer, list: &str) -> String {
    let location = answer.header("location");
    location.strip_prefix(list).expect("relative to the list").to_owned()
}

async fn post(app: &TestApp, path: &str) -> Answer {
    app.ask(app.request(Method::POST, path)).await
}

#[tokio::test]
async fn a_verification_is_started_followed_and_remembered() {
    let app = TestApp::spawn().await;
    let opened = app.open_account("ann", "Ann").await.ok();
    app.view("accounts", "ann", &opened).await.ok();
    let started = app.ask(app.post("/admin/verifications", &json!({"projection": "accounts"})));
    let started = started.await;
    assert_eq!(started.status, 202, "{started:?}");
    let path = format!("/admin/verifications/{}", id_of(&started, "verifications/"));
    let ended = app.eventually(&path, |it| it.json()["state"] != "running").await.ok().json();
    assert_eq!((&ended["state"], &ended["compared"]["views"]), (&json!("equal"), &json!(1)));
    assert_eq!((&ended["compared"]["difference"], &ended["parked"]), (&Value::Null, &json!([])));
    let list = app.get("/admin/verifications").await.ok().json();
    assert_eq!(list["items"], json!([ended]));
    let cancelled = app.ask(app.request(Method::DELETE, &path)).await.ok().json();
    assert_eq!(cancelled, ended, "what is over is not changed");
}

#[tokio::test]
async fn a_verification_request_that_is_none_is_refused() {
    let app = TestApp::spawn().await;
    let ask = |body: Value| app.ask(app.post("/admin/verifications", &body));
    ask(json!({"projection": "acounts"})).await.problem(404, "unknown_projection");
    ask(json!({"projektion": "accounts"})).await.problem(400, "bad_body");
    let nobody = "/admin/verifications/01a20154-4d83-7f59-b747-16d8f43c8e4b";
    app.get(nobody).await.problem(404, "unknown_verification");
    app.ask(app.request(Method::DELETE, nobody)).await.problem(404, "unknown_verification");
    app.get("/admin/verifications/one").await.problem(400, "bad_id");
}

#[tokio::test]
async fn a_second_verification_is_told_where_the_first_is() {
    let log = Outage::of(memory_log());
    let app = TestApp::spawn_on(Arc::new(log.clone()), |_| {}).await;
    app.open_account("ann", "Ann").await.ok();
    log.begin();
    let first = post(&app, "/admin/verifications").await;
    let second = post(&app, "/admin/verifications").await;
    second.problem(409, "verification_running");
    assert_eq!(second.header("location"), first.header("location"));
}

#[tokio::test]
async fn progress_is_a_stream_of_events_that_ends_with_the_replay() {
    let app = TestApp::spawn().await;
    for i in 0..20 {
        app.open_account(&format!("a{i}"), "Ann").await.ok();
    }
    let options = json!({"projection": "accounts", "records_per_second": 200});
    let started = app.replay(&options).await;
    assert_eq!(started.json()["records_per_second"], 200);
    let path = format!("/admin/replays/{}", id_of(&started, "replays/"));
    let request = app.request(Method::GET, &path).header("Accept", "text/event-stream");
    let response = request.send().await.expect("an answer");
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let body = response.text().await.expect("the stream ends");
    let states = states(&body);
    assert!(states.len() >= 2, "{body}");
    let (last, before) = states.split_last().expect("some");
    assert!(before.iter().all(|state| state["state"] == "running"), "{body}");
    assert_eq!((&last["state"], &last["records"]), (&json!("done"), &last["records_total"]));
    assert_eq!(*last, app.get(&path).await.ok().json());
    let both = app.request(Method::GET, &path).header("Accept", "text/html");
    app.ask(both).await.problem(406, "not_acceptable");
}

/// The data of each event.
fn states(body: &str) -> Vec<Value> {
    let data = body.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|json| serde_json::from_str(json).expect("JSON")).collect()
}

#[tokio::test]
async fn a_stream_of_events_does_not_hold_a_service_that_stops() {
    let app = TestApp::spawn().await;
    app.open_account("ann", "Ann").await.ok();
    let started = app.replay(&json!({"projection": "accounts", "records_per_second": 1})).await;
    let path = format!("/admin/replays/{}", id_of(&started, "replays/"));
    let request = app.request(Method::GET, &path).header("Accept", "text/event-stream");
    let mut events = request.send().await.expect("an answer").bytes_stream();
    let first = events.next().await.expect("an event").expect("bytes");
    assert!(first.starts_with(b"event: status\n"), "{first:?}");
    let begun = std::time::Instant::now();
    app.stop().await.expect("it stops");
    assert!(begun.elapsed().as_secs() < 5, "it waited for the stream: {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_replay_is_flipped_only_when_it_waits_for_it() {
    let app = TestApp::spawn().await;
    let started = app.replay(&json!({"projection": "accounts", "require_equal": true})).await;
    let id = id_of(&started, "replays/");
    assert_eq!(app.ended(&id).await["state"], "done");
    post(&app, &format!("/admin/replays/{id}/flip")).await.problem(409, "not_waiting");
    let nobody = "/admin/replays/01a20154-4d83-7f59-b747-16d8f43c8e4b/flip";
    post(&app, nobody).await.problem(404, "unknown_replay");
    post(&app, "/admin/replays/one/flip").await.problem(400, "bad_id");
}

#[tokio::test]
async fn a_projection_is_paused_resumed_and_rolled_back() {
    let app = TestApp::spawn().await;
    let path = |verb: &str| format!("/admin/projections/accounts/{verb}");
    post(&app, &path("rollback")).await.problem(409, "nothing_before");
    let paused = post(&app, &path("pause")).await.ok().json();
    assert_eq!((&paused["name"], &paused["state"]), (&json!("accounts"), &json!("paused")));
    let opened = app.open_account("ann", "Ann").await.ok();
    let waited = app.request(Method::GET, "/projections/accounts/ann");
    let waited = waited.header("Retell-Position", opened.header("retell-position"));
    app.ask(waited.header("Prefer", "wait=0")).await.problem(503, "behind");
    let resumed = post(&app, &path("resume")).await.ok().json();
    assert_eq!(resumed["paused"], false);
    app.view("accounts", "ann", &opened).await.ok();
    let before = resumed["generation"].clone();
    let replay = app.replay(&json!({"projection": "accounts"})).await;
    assert_eq!(app.ended(&id_of(&replay, "replays/")).await["state"], "done");
    let back = post(&app, &path("rollback")).await.ok().json();
    assert_eq!(back["generation"], before);
    app.view("accounts", "ann", &opened).await.ok();
    post(&app, "/admin/projections/acounts/pause").await.problem(404, "unknown_projection");
    post(&app, "/admin/projections/acounts/pause?x=1").await.problem(400, "unknown_parameter");
}
