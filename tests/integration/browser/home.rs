//! Home: what an empty system offers, and how a busy one stands.

use serde_json::json;

use crate::support::app::TestApp;
use crate::support::browser::Browser;

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
