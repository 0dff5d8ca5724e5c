//! Home: what an empty system offers, and how a busy one stands.

use std::sync::Arc;

use reqwest::Method;
use serde_json::json;

use crate::support::app::{TestApp, memory_log};
use crate::support::browser::Browser;
use crate::support::outage::Outage;

#[tokio::test]
async fn an_empty_system_offers_a_command_and_the_answer_shows_where_it_landed() {
    let app = TestApp::spawn().await;
    let browser = Browser::open(app.url()).await;
    browser.sees("The log is empty").await;
    browser.press("Send command").await;
    browser.sees("Landed, and it counts").await;
    browser.until("return document.querySelector('[data-reader=accounts] .has.yes')").await;
    browser.press("the view").await;
    browser.sees("\"owner\": \"Ann\"").await;
    browser.sees("Events that made it").await;
    browser.go("").await;
    browser.sees("4 partitions owned by 1 node.").await;
    browser.ends_calm(&[]).await;
}

#[tokio::test]
async fn partitions_show_owner_term_end_and_lag_while_they_go_on() {
    let app = TestApp::spawn().await;
    let done = app.open_account("ann", "Ann").await.ok();
    let position = done.header("retell-position").to_owned();
    let (partition, _) = position.split_once('@').expect("a position");
    let browser = Browser::open(app.url()).await;
    let cells = format!("[...document.querySelector('[data-partition=\"{partition}\"]').cells]");
    let row = browser.until(&format!("return {cells}.slice(1, 5).map(it => it.innerText)")).await;
    let node = app.get("/admin/status").await.ok().json()["node"]["id"].clone();
    assert_eq!(row, json!([node, "1", "2", "0"]));
    app.deposit("ann", 5).await.ok();
    browser.until(&format!("return {cells}[3].innerText === '3'")).await;
    browser.sees("All projections are at the end. Nothing is parked.").await;
    browser.press(partition).await;
    browser.until("return location.hash.startsWith('#/log?partition=')").await;
    browser.sees("MoneyDeposited").await;
    browser.ends_calm(&[]).await;
}

#[tokio::test]
async fn where_another_node_owns_a_partition_its_address_is_told() {
    let log = Arc::new(memory_log());
    let first = TestApp::spawn_on(log.clone(), |_| {}).await;
    first.open_account("ann", "Ann").await.ok();
    let _second = TestApp::spawn_on(log, |config| {
        config.node.id = "n2".to_owned();
        config.node.address = "http://n2.example:8080".to_owned();
    })
    .await;
    let browser = Browser::open(first.url()).await;
    let owner = "return document.querySelector('[data-partition=\"0\"]').cells[1].innerText";
    browser.until(&format!("{owner} === 'n2\\nhttp://n2.example:8080'")).await;
    let status = first.get("/admin/status").await.ok().json();
    let own = status["node"]["address"].as_str().expect("an address");
    browser.sees(&format!("at {own}, version")).await;
    browser.ends_calm(&[]).await;
}

/// So many that it matters, and for so long.
#[tokio::test]
async fn a_projection_that_is_behind_says_by_how_much_and_for_how_long() {
    let app = TestApp::spawn().await;
    let opened = app.open_account("ann", "Ann").await.ok();
    app.view("accounts", "ann", &opened).await.ok();
    app.ask(app.request(Method::POST, "/admin/projections/accounts/pause")).await.ok();
    let deposit = json!({"aggregate": {"type": "account", "id": "ann"},
        "command": {"type": "DepositMoney", "amount": 1}});
    let batch = app.request(Method::POST, "/commands").body(format!("{deposit}\n").repeat(1_200));
    app.ask(batch.header("content-type", "application/x-ndjson")).await;
    let browser = Browser::open(app.url()).await;
    browser.sees("accounts is 1,200 records behind").await;
    let lag = "return [...document.querySelectorAll('td.r.warn')]
        .some(it => /^1,200 · [1-9]/.test(it.innerText))";
    browser.until(lag).await;
    // The chart's newest point is at the right, and at the top: no partition is further behind.
    let line = "return [...document.querySelectorAll('.spark-line')]
        .some(it => it.getAttribute('d')?.endsWith('120.0 2.0'))";
    browser.until(line).await;
    browser.ends_calm(&[]).await;
}

#[tokio::test]
async fn a_projection_that_is_paused_meanwhile_is_shown_so_until_it_goes_on() {
    let app = TestApp::spawn().await;
    app.open_account("ann", "Ann").await.ok();
    let browser = Browser::open(app.url()).await;
    let row =
        "[...document.querySelectorAll('tr')].find(it => it.innerText.startsWith('accounts'))";
    let state = format!("return {row}.cells[3].innerText");
    browser.until(&format!("{state} === 'following'")).await;
    for (verb, said) in [("pause", "paused"), ("resume", "following")] {
        let path = format!("/admin/projections/accounts/{verb}");
        app.ask(app.request(Method::POST, &path)).await.ok();
        browser.until(&format!("{state} === '{said}'")).await;
    }
    browser.ends_calm(&[]).await;
}

#[tokio::test]
async fn why_the_service_is_not_ready_is_told_as_long_as_it_is_not() {
    let log = Outage::of(memory_log());
    let app = TestApp::spawn_on(Arc::new(log.clone()), |_| {}).await;
    app.open_account("ann", "Ann").await.ok();
    log.begin();
    let browser = Browser::open(app.url()).await;
    browser.sees("log_unavailable: ").await;
    browser.sees("broker-7.internal is down").await;
    log.end();
    browser.no_longer_sees("log_unavailable").await;
    browser.ends_calm(&[]).await;
}
