//! Operations over HTTP: replays, status and health.

use std::sync::Arc;

use reqwest::Method;
use retell::config::Config;
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp, memory_log};
use crate::support::outage::Outage;

/// The id at the end of a relative Location.
fn replay_of(answer: &Answer) -> String {
    let id = answer.header("location").strip_prefix("replays/").expect("relative to the list");
    id.to_owned()
}

#[tokio::test]
async fn a_replay_is_started_followed_and_remembered() {
    let app = TestApp::spawn().await;
    let opened = app.open_account("ann", "Ann").await.ok();
    let before = app.view("accounts", "ann", &opened).await.ok();
    let started = app.replay(&json!({"projection": "accounts"})).await;
    assert_eq!(started.status, 202, "{started:?}");
    let id = replay_of(&started);
    assert_eq!(started.json()["id"], *id);
    let ended = app.ended(&id).await;
    assert_eq!(ended["state"], "done", "{ended}");
    assert_eq!(ended["projections"], json!(["accounts"]));
    assert_eq!(ended["records"], ended["records_total"]);
    let list = app.get("/admin/replays").await.ok().json();
    assert_eq!(list["items"][0], ended);
    let after = app.view("accounts", "ann", &opened).await.ok();
    assert_eq!(after.body, before.body);
}

#[tokio::test]
async fn a_replay_of_everything_needs_no_body() {
    let app = TestApp::spawn().await;
    let started = app.ask(app.request(Method::POST, "/admin/replays")).await;
    assert_eq!(started.status, 202, "{started:?}");
    let ended = app.ended(&replay_of(&started)).await;
    assert_eq!(
        ended["projections"],
        json!(["account-totals", "accounts", "history", "messages", "traces"])
    );
    let nulls = json!({"projection": null, "records_per_second": null, "require_equal": false});
    let started = app.replay(&nulls).await;
    assert_eq!(app.ended(&replay_of(&started)).await["state"], "done");
}

#[tokio::test]
async fn a_second_replay_is_told_where_the_first_is_and_a_replay_can_be_cancelled() {
    let log = Outage::of(memory_log());
    let app = TestApp::spawn_on(Arc::new(log.clone()), |_| {}).await;
    app.open_account("ann", "Ann").await.ok();
    // A replay that finds no reader cannot end.
    log.begin();
    let first = replay_of(&app.replay(&json!({"projection": "accounts"})).await);
    let second = app.replay(&json!({})).await;
    second.problem(409, "replay_running");
    assert_eq!(replay_of(&second), first);
    let cancelled = app.request(Method::DELETE, &format!("/admin/replays/{first}"));
    app.ask(cancelled).await.ok();
    assert_eq!(app.ended(&first).await["state"], "cancelled");
}

#[tokio::test]
async fn a_replay_request_that_is_none_is_refused() {
    let app = TestApp::spawn().await;
    let before = app.get("/admin/replays").await.ok().json();
    let nobody = "/admin/replays/01a20154-4d83-7f59-b747-16d8f43c8e4b";
    app.get(nobody).await.problem(404, "unknown_replay");
    app.ask(app.request(Method::DELETE, nobody)).await.problem(404, "unknown_replay");
    app.get("/admin/replays/one").await.problem(400, "bad_id");
    let unknown = app.replay(&json!({"projection": "acounts"})).await;
    unknown.problem(404, "unknown_projection");
    for (request, said) in [
        (json!({"projektion": "accounts"}), "projektion"),
        (json!({"projection": 5}), "line 1"),
        (json!([]), "line 1"),
        (json!({"records_per_second": 0}), "nonzero"),
        (json!({"records_per_second": "fast"}), "line 1"),
    ] {
        let detail = app.replay(&request).await.problem(400, "bad_body");
        assert!(detail.contains(said), "{detail}");
    }
    let plain = app.request(Method::POST, "/admin/replays").body("{}");
    app.ask(plain).await.problem(415, "unsupported_media_type");
    assert_eq!(app.get("/admin/replays").await.ok().json(), before, "none was started");
}

#[tokio::test]
async fn status_tells_of_node_partitions_and_projections() {
    let app = TestApp::spawn_with(|config| config.node.id = "n1".to_owned()).await;
    app.open_account("ann", "Ann").await.ok();
    // A writer publishes its numbers a moment after it has answered.
    let counted = |answer: &Answer| commits(&answer.json()) == 1;
    let status = app.eventually("/admin/status", counted).await.ok().json();
    assert_eq!(status["node"]["id"], "n1");
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&status["ready"], &status["reasons"]), (&json!(true), &json!([])));
    let partitions = status["partitions"].as_array().expect("partitions");
    assert_eq!(partitions.len(), 4);
    for (at, partition) in partitions.iter().enumerate() {
        assert_eq!(partition["partition"], at);
        assert_eq!((&partition["state"], &partition["term"]), (&json!("owner"), &json!(1)));
        assert_eq!(partition["end"], partition["next"]);
        assert_eq!(partition["records"]["void"], 0);
        assert_eq!(partition["alarms"], 0);
    }
    assert_eq!(status["projections"].as_array().map(Vec::len), Some(5));
}

#[tokio::test]
async fn who_owns_a_partition_is_told_with_its_address_also_by_who_was_deposed() {
    let log = Arc::new(memory_log());
    let at = |id: &'static str| {
        move |config: &mut Config| {
            config.node.id = id.to_owned();
            config.node.address = format!("http://{id}.example");
        }
    };
    let first = TestApp::spawn_on(log.clone(), at("n1")).await;
    let owners = |answer: &Answer, state: &str| {
        let json = answer.json();
        let partitions = json["partitions"].as_array().expect("partitions").clone();
        let is = |it: &Value| it["state"] == state;
        partitions.iter().all(is).then(|| partitions[0]["owner"].clone())
    };
    let status = first.get("/admin/status").await.ok();
    let own = json!({"node": "n1", "address": "http://n1.example"});
    assert_eq!(owners(&status, "owner"), Some(own));
    let _second = TestApp::spawn_on(log, at("n2")).await;
    let deposed = |answer: &Answer| owners(answer, "deposed").is_some();
    let status = first.eventually("/admin/status", deposed).await.ok();
    let others = json!({"node": "n2", "address": "http://n2.example"});
    assert_eq!(owners(&status, "deposed"), Some(others));
}

#[tokio::test]
async fn a_lag_is_told_in_records_and_in_seconds_the_same_everywhere() {
    let app = TestApp::spawn().await;
    let opened = app.open_account("ann", "Ann").await.ok();
    app.view("accounts", "ann", &opened).await.ok();
    let pause = app.request(Method::POST, "/admin/projections/accounts/pause");
    app.ask(pause).await.ok();
    app.deposit("ann", 5).await.ok();
    let of = |list: &Value| {
        let items = list.as_array().expect("a list").clone();
        items.into_iter().find(|it| it["name"] == "accounts").expect("it is there")
    };
    let is_behind = |answer: &Answer| of(&answer.json()["projections"])["lag"] == 1;
    let status = app.eventually("/admin/status", is_behind).await.ok().json();
    let accounts = of(&status["projections"]);
    let seconds = accounts["lag_seconds"].as_f64().expect("a number");
    assert!(seconds > 0.0, "{accounts}");
    let lanes = accounts["partitions"].as_array().expect("partitions");
    let behind: Vec<_> = lanes.iter().filter(|lane| lane["lag"] == 1).collect();
    assert_eq!((behind.len(), &behind[0]["lag_seconds"]), (1, &accounts["lag_seconds"]));
    assert!(lanes.iter().all(|lane| lane["lag"] == 1 || lane["lag_seconds"] == 0.0), "{accounts}");
    let listed = of(&app.get("/projections").await.ok().json()["items"]);
    assert!(listed["lag_seconds"].as_f64() >= Some(seconds), "{listed}");
    let partition = &behind[0]["partition"];
    let labels = format!("{{projection=\"accounts\",partition=\"{partition}\"}} ");
    let metrics = app.get("/metrics").await;
    let metrics = String::from_utf8(metrics.body.to_vec()).expect("text");
    let sample = format!("retell_projection_lag_seconds{labels}");
    let found = metrics.lines().find_map(|line| line.strip_prefix(&sample)).expect("a sample");
    assert!(found.parse::<f64>().expect("a number") >= seconds, "{found}");
}

fn commits(status: &Value) -> u64 {
    let partitions = status["partitions"].as_array().expect("partitions");
    partitions.iter().filter_map(|partition| partition["records"]["commits"].as_u64()).sum()
}

#[tokio::test]
async fn readiness_says_why_while_the_log_does_not_answer() {
    let log = Outage::of(memory_log());
    log.begin();
    let app = TestApp::start_on(Arc::new(log.clone()), |_| {}).await;
    let not_ready = app.get("/health/ready").await;
    not_ready.problem(503, "not_ready");
    not_ready.header("retry-after");
    let codes = codes(&not_ready.json());
    assert!(codes.contains(&"log_unavailable".to_owned()), "{codes:?}");
    assert!(codes.contains(&"no_live_generation".to_owned()), "{codes:?}");
    let numbers = app.get("/metrics").await.body;
    let numbers = String::from_utf8_lossy(&numbers);
    for said in ["retell_ready 0", "retell_not_ready{code=\"log_unavailable\"} 1"] {
        assert!(numbers.lines().any(|line| line == said), "{said}\n{numbers}");
    }
    app.get("/health/live").await.ok();
    let status = app.get("/admin/status").await.ok().json();
    assert_eq!((&status["ready"], &status["partitions"][0]["end"]), (&json!(false), &Value::Null));
    log.end();
    app.ready().await;
    log.begin();
    let lost = app.get("/health/ready").await;
    assert_eq!(self::codes(&lost.json()), ["log_unavailable"]);
}

fn codes(document: &Value) -> Vec<String> {
    let reasons = document["reasons"].as_array().expect("reasons");
    reasons.iter().map(|reason| reason["code"].as_str().expect("code").to_owned()).collect()
}

#[tokio::test]
async fn the_index_lists_routes_that_are_there() {
    let app = TestApp::spawn().await;
    let index = app.get("/").await.ok().json();
    let routes = index["routes"].as_array().expect("routes");
    for route in routes {
        let (method, path) = route.as_str().expect("text").split_once(' ').expect("method");
        let path: String = path.split('/').map(filled).collect::<Vec<_>>().join("/");
        let method = Method::from_bytes(method.as_bytes()).expect("method");
        let answer = app.ask(app.request(method, &path)).await;
        assert_ne!(answer.status, 405, "{route}");
        let nowhere = answer.status == 404 && answer.json()["code"] == "no_such_route";
        assert!(!nowhere, "{route}");
    }
}

/// A segment of a path, with something in the place of `{id}`.
fn filled(segment: &str) -> &str {
    if segment.starts_with('{') { "x" } else { segment }
}
