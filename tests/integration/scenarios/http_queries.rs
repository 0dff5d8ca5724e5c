//! Queries over HTTP: the stored bytes, as of a position, and what is said when there are none.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::support::app::TestApp;

#[tokio::test]
async fn a_view_is_read_as_of_the_command_just_answered() {
    let app = TestApp::spawn().await;
    app.open_account("ann", "Ann").await.ok();
    for balance in 1..20 {
        let deposited = app.deposit("ann", 1).await.ok();
        let view = app.view("accounts", "ann", &deposited).await.ok();
        assert_eq!(view.json()["balance"], balance);
        assert_eq!(view.header("retell-position"), deposited.header("retell-position"));
        assert_eq!(view.header("preference-applied"), "wait=20");
    }
}

#[tokio::test]
async fn a_view_that_the_client_has_is_not_sent_again() {
    let app = TestApp::spawn().await;
    let opened = app.open_account("ann", "Ann").await.ok();
    let view = app.view("accounts", "ann", &opened).await.ok();
    let etag = view.header("etag").to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() < 40, "{etag}");
    let again = |etag: &str| {
        let request = app.request(Method::GET, "/projections/accounts/ann");
        app.ask(request.header("if-none-match", etag))
    };
    let same = again(&format!("\"other\", {etag}")).await;
    assert_eq!((same.status, same.body.len()), (304, 0));
    assert_eq!(same.header("etag"), etag);
    assert_eq!(same.header("retell-position"), view.header("retell-position"));
    let deposited = app.deposit("ann", 1).await.ok();
    app.view("accounts", "ann", &deposited).await.ok();
    let changed = again(&etag).await.ok();
    assert_ne!(changed.header("etag"), etag);
}

#[tokio::test]
async fn a_merged_view_tells_the_position_of_each_partition() {
    let app = TestApp::spawn().await;
    let mut last = Vec::new();
    for i in 0..12 {
        let id = format!("a{i}");
        app.open_account(&id, "Ann").await.ok();
        last.push(app.deposit(&id, 5).await.ok().header("retell-position").to_owned());
    }
    let request = app.request(Method::GET, "/projections/account-totals/all");
    let request = request.header("retell-position", last.join(", ")).header("prefer", "wait=20");
    let totals = app.ask(request).await.ok();
    assert_eq!(totals.json()["balance"], 60);
    assert_eq!(totals.header("retell-position").split(',').count(), 4);
}

#[tokio::test]
async fn what_is_not_there_says_how_to_find_it() {
    let app = TestApp::spawn().await;
    let opened = app.open_account("ann", "Ann").await.ok();
    app.view("accounts", "ann", &opened).await.ok();
    let missing = app.get("/projections/accounts/bob").await;
    let detail = missing.problem(404, "view_not_found");
    assert!(detail.contains("Retell-Position"), "{detail}");
    assert!(missing.header("retell-position").contains('@'));
    let detail = app.get("/projections/acounts/ann").await.problem(404, "unknown_projection");
    assert!(detail.contains("`acounts`") && detail.contains("GET /projections"), "{detail}");
    app.get("/projections/accounts/%00").await.problem(400, "bad_id");
}

#[tokio::test]
async fn a_position_that_is_none_or_not_in_the_log_is_told_at_once() {
    let app = TestApp::spawn().await;
    app.open_account("ann", "Ann").await.ok();
    for (position, code, said) in [
        ("nonsense", "bad_position", "5@1234"),
        ("", "bad_position", "5@1234"),
        ("1@2,", "bad_position", "5@1234"),
        ("0@999999", "position_unknown", "ends at"),
        ("77@0", "position_unknown", "4 partitions"),
    ] {
        let request = app.request(Method::GET, "/projections/accounts/ann");
        let request = request.header("retell-position", position).header("prefer", "wait=0");
        let answer = app.ask(request).await;
        let detail = answer.problem(400, code);
        assert!(detail.contains(said), "{position}: {detail}");
        assert_eq!(answer.headers.get("retry-after"), None);
    }
}

#[tokio::test]
async fn a_view_that_does_not_get_there_in_time_is_behind() {
    let app = TestApp::spawn_with(|config| {
        config.read.paused = vec!["accounts".to_owned()];
        config.queries.wait_default = Duration::from_millis(20);
        config.queries.wait_max = Duration::from_secs(1);
    })
    .await;
    let opened = app.open_account("ann", "Ann").await.ok();
    let ask = || {
        let request = app.request(Method::GET, "/projections/accounts/ann");
        request.header("retell-position", opened.header("retell-position"))
    };
    let behind = app.ask(ask()).await;
    behind.problem(503, "behind");
    behind.header("retry-after");
    assert_eq!(behind.headers.get("preference-applied"), None);
    let behind = app.ask(ask().header("prefer", "wait=9")).await;
    behind.problem(503, "behind");
    assert_eq!(behind.header("preference-applied"), "wait=1", "queries.wait_max_ms");
}

#[tokio::test]
async fn the_projections_are_listed_with_where_they_stand() {
    let app = TestApp::spawn().await;
    app.open_account("ann", "Ann").await.ok();
    let following = |answer: &crate::support::app::Answer| {
        let list = answer.json();
        let items = list["items"].as_array().expect("items");
        items.iter().all(|item| item["state"] == "following" && item["lag"] == 0)
    };
    let list = app.eventually("/projections", following).await.ok().json();
    let names: Vec<_> =
        list["items"].as_array().expect("items").iter().map(|i| &i["name"]).collect();
    assert_eq!(names, ["account-totals", "accounts", "history", "messages", "traces"]);
    let accounts = &list["items"][1];
    assert_eq!(accounts["keyed_by"], json!({"aggregate": "account"}));
    assert_eq!(list["items"][0]["keyed_by"], "merged");
    assert_eq!(list["items"][2]["keyed_by"], "records");
    assert_eq!(accounts["revision"], 2);
    let indexes = json!([["key"], ["balance"], ["owner", "balance"], ["status", "opened_at"]]);
    assert_eq!(accounts["indexes"], indexes);
    assert_eq!(accounts["schema"]["properties"]["balance"]["type"], "integer");
    assert_eq!(list["items"][0]["indexes"], json!([]));
    assert_eq!(accounts["parked"], 0);
    assert!(accounts["generation"].is_string(), "{accounts}");
    assert_eq!(accounts["partitions"].as_array().map(Vec::len), Some(4));
}

#[tokio::test]
async fn a_head_request_is_answered_without_a_body() {
    let app = TestApp::spawn().await;
    let opened = app.open_account("ann", "Ann").await.ok();
    let view = app.view("accounts", "ann", &opened).await.ok();
    let head = app.ask(app.request(Method::HEAD, "/projections/accounts/ann")).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("etag"), view.header("etag"));
}
