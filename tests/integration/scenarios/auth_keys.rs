//! API keys: who is somebody, who is nobody, and what becomes of a key that is taken away.

use reqwest::Method;
use retell::app::{App, AppError};
use retell::auth::Asked;
use retell::config::Config;
use retell::shutdown::Shutdown;
use serde_json::json;

use crate::support::app::TestApp;
use crate::support::callers::{Caller, KeyFile, put};

#[tokio::test]
async fn where_nobody_is_asked_everybody_has_all_roles() {
    let app = TestApp::spawn().await;
    let me = app.get("/admin/me").await.ok().json();
    assert_eq!(me, json!({"name": "anonymous", "roles": ["read", "audit", "write", "admin"]}));
}

#[tokio::test]
async fn a_key_is_somebody_and_anything_else_is_nobody() {
    let (ann, bob) = (Caller::new("ann", "read,write:account"), Caller::new("bob", "admin"));
    let keys = KeyFile::of(&[&ann]);
    let app = TestApp::spawn_with(|config| keys.set(config)).await;
    let me = app.get_as(&ann.key, "/admin/me").await.ok().json();
    assert_eq!(me, json!({"name": "ann", "roles": ["read", "write:account"]}));

    let missing = app.get("/admin/me").await;
    missing.problem(401, "no_credentials");
    assert_eq!(missing.header("www-authenticate"), "Bearer realm=\"retell\"");
    for nobody in [bob.key.as_str(), ann.line.as_str(), "retell_", &ann.key[..70], "a.b.c", "x"] {
        let answer = app.get_as(nobody, "/admin/me").await;
        let detail = answer.problem(401, "bad_credentials");
        assert!(answer.header("www-authenticate").contains("error=\"invalid_token\""));
        assert!(!detail.contains(nobody) || nobody == "x", "{detail}");
    }
    let basic = app.request(Method::GET, "/admin/me").basic_auth("ann", Some(&ann.key));
    app.ask(basic).await.problem(401, "no_credentials");
    let numbers = app.get_as(&ann.key, "/metrics").await.body;
    let numbers = String::from_utf8_lossy(&numbers);
    let counted = "retell_http_answers_total{route=\"admin\",status=\"401\"} 8";
    assert!(numbers.contains(counted), "{numbers}");
    for open in ["/health/live", "/health/ready", "/"] {
        assert_eq!(app.get(open).await.status, 200, "{open}");
    }
}

#[tokio::test]
async fn a_key_that_is_taken_out_of_the_file_is_nobody_soon_and_another_stays() {
    let (ann, bob) = (Caller::new("ann", "read"), Caller::new("bob", "read"));
    let keys = KeyFile::of(&[&ann, &bob]);
    let app = TestApp::spawn_with(|config| keys.set(config)).await;
    app.get_as(&ann.key, "/projections").await.ok();
    keys.write(&[&bob]);
    let gone = app.until_status(&ann.key, "/projections", 401).await;
    gone.problem(401, "bad_credentials");
    app.get_as(&bob.key, "/projections").await.ok();
}

#[tokio::test]
async fn a_file_that_becomes_wrong_changes_nothing_until_it_is_right() {
    let (ann, bob) = (Caller::new("ann", "read"), Caller::new("bob", "read"));
    let keys = KeyFile::of(&[&ann]);
    let app = TestApp::spawn_with(|config| keys.set(config)).await;
    put(&keys.path(), format!("{}\nbob reads", bob.line).as_bytes());
    for _ in 0..20 {
        app.get_as(&ann.key, "/admin/me").await.ok();
    }
    keys.write(&[&bob]);
    app.until_status(&bob.key, "/admin/me", 200).await;
    app.get_as(&ann.key, "/admin/me").await.problem(401, "bad_credentials");
}

#[tokio::test]
async fn a_file_that_is_wrong_at_the_start_starts_nothing() {
    let mut config = Config::ephemeral();
    let keys = KeyFile::of(&[]);
    put(&keys.path(), b"ann reads sha256:00");
    keys.set(&mut config);
    let error = App::builder(config.clone()).build().await.err().expect("not started");
    assert!(error.to_string().starts_with("auth.keys_file: "), "{error}");
    assert!(error.to_string().contains("line 1: `reads` is no role"), "{error}");
    config.auth.keys_file.push_str("-gone");
    let error = App::builder(config).build().await.err().expect("not started");
    assert!(error.to_string().contains("cannot read"), "{error}");
}

#[tokio::test]
async fn an_id_that_the_server_chooses_is_of_the_caller_the_type_and_the_key() {
    let (ann, bob) = (Caller::new("ann", "write"), Caller::new("bob", "write"));
    // Another key of the same caller, as while keys are exchanged.
    let new = Caller::new("ann", "write");
    let keys = KeyFile::of(&[&ann, &bob, &new]);
    let app = TestApp::spawn_with(|config| keys.set(config)).await;
    let mut ids = Vec::new();
    for caller in [&ann, &bob, &new] {
        let open = json!({"type": "OpenAccount", "owner": "Ann"});
        let open = app.post("/commands/account", &open).header("idempotency-key", "k");
        let opened = app.ask(open.bearer_auth(&caller.key)).await.ok();
        ids.push(opened.json()["aggregate"]["id"].clone());
    }
    assert_ne!(ids[0], ids[1], "nobody meets another caller's aggregate");
    assert_eq!(ids[0], ids[2]);
}

#[tokio::test]
async fn the_caller_is_the_actor_of_its_records() {
    let ann = Caller::new("ann", "write,audit");
    let keys = KeyFile::of(&[&ann]);
    let app = TestApp::spawn_with(|config| keys.set(config)).await;
    let open = json!({"type": "OpenAccount", "owner": "Ann"});
    let opened = app.command_as(&ann.key, "/commands/account/a", &open).await.ok();
    let line = r#"{"aggregate":{"type":"account","id":"a"},"command":{"type":"CloseAccount"}}"#;
    let batch = app.request(Method::POST, "/commands").bearer_auth(&ann.key);
    let batch = app.ask(batch.header("content-type", "application/x-ndjson").body(line)).await;
    assert!(batch.body.starts_with(b"{\"line\":1,\"status\":200"), "{batch:?}");
    let events = app.request(Method::GET, "/aggregates/account/a/events").bearer_auth(&ann.key);
    let after = events.header("retell-position", opened.header("retell-position"));
    let history = app.ask(after.header("prefer", "wait=20")).await.ok().json();
    let actors = history["items"].as_array().expect("items").iter();
    let actors: Vec<_> = actors.map(|item| item["actor"].clone()).collect();
    assert!(!actors.is_empty() && actors.iter().all(|actor| actor == "ann"), "{history}");
}

#[tokio::test]
async fn a_users_own_decision_is_asked_for_each_instance() {
    let (ann, bob) = (Caller::new("ann", "write,audit,read"), Caller::new("bob", "write"));
    let keys = KeyFile::of(&[&ann, &bob]);
    let mut config = Config::ephemeral();
    keys.set(&mut config);
    let own = |caller: &retell::auth::Principal, asked: Asked<'_>| match asked {
        Asked::Command { target, .. } | Asked::Aggregate(target) => target.id() == caller.name(),
        Asked::View { key, .. } => key.as_str() == caller.name(),
        _ => false,
    };
    let app = App::builder(config).shipped().authorize(own).build().await.expect("an app");
    let app = TestApp::serve(app, std::sync::Arc::default()).await;
    app.ready().await;
    let open = json!({"type": "OpenAccount", "owner": "x"});
    app.command_as(&ann.key, "/commands/account/ann", &open).await.ok();
    let refused = app.command_as(&bob.key, "/commands/account/ann", &open).await;
    refused.problem(403, "not_permitted");
    let batch = app.request(Method::POST, "/commands").bearer_auth(&bob.key);
    let line = r#"{"aggregate":{"type":"account","id":"ann"},"command":{"type":"CloseAccount"}}"#;
    let batch = app.ask(batch.header("content-type", "application/x-ndjson").body(line)).await;
    assert_eq!(batch.json()["code"], "not_permitted");
    for (path, may) in [
        ("/aggregates/account/ann?version=1", true),
        ("/aggregates/account/bob", false),
        ("/aggregates/account/bob/events", false),
        ("/projections/accounts/bob", false),
        ("/projections/accounts", false),
        ("/events", false),
        ("/traces/x", false),
        ("/commands/account/bob/cmd", false),
    ] {
        let answer = app.get_as(&ann.key, path).await;
        assert_eq!(answer.status != 403, may, "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn other_machines_are_not_listened_to_unless_somebody_is_asked_or_it_is_meant() {
    let load = |flags: &[(&str, &str)]| {
        let flags = flags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Config::load(None, std::iter::empty(), &flags.collect::<Vec<_>>())
    };
    let all = ("http.listen", "0.0.0.0:8080");
    let error = load(&[all]).expect_err("open to all").to_string();
    assert!(error.contains("http.listen: on 0.0.0.0:8080"), "{error}");
    assert!(error.contains("auth.keys_file") && error.contains("auth.allow_open"), "{error}");
    load(&[all, ("auth.keys_file", "keys")]).expect("callers are asked");
    load(&[all, ("auth.allow_open", "true")]).expect("it is meant");
    load(&[("http.listen", "[::1]:8080")]).expect("this machine");

    // The same for a listener that a program brings itself.
    let app = App::ephemeral().shipped().build().await.expect("an app");
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.expect("a port");
    let router = app.router();
    let served = app.serve(listener, router, Shutdown::default()).await;
    assert!(matches!(served, Err(AppError::Setting { key: "http.listen", .. })));
}

#[tokio::test]
async fn who_asks_too_often_waits_and_nobody_else_does() {
    let (ann, bob) = (Caller::new("ann", "read"), Caller::new("bob", "read"));
    let keys = KeyFile::of(&[&ann, &bob]);
    let app = TestApp::spawn_with(|config| {
        keys.set(config);
        config.http.rate.requests_per_second_max = 1;
        config.http.rate.burst_requests_max = 3;
    })
    .await;
    let mut last = app.get_as(&ann.key, "/admin/me").await.ok();
    while last.status == 200 {
        last = app.get_as(&ann.key, "/admin/me").await;
    }
    last.problem(429, "too_often");
    assert_eq!(last.header("retry-after"), "1");
    app.get_as(&bob.key, "/admin/me").await.ok();
    app.get("/health/live").await.ok();
}
