//! "Where is my write?": by whatever a person has of it.

use std::sync::Arc;

use reqwest::Method;
use retell::Partition;
use retell::adapters::SystemClock;
use retell::adapters::memory::MemoryLog;
use retell::log::{Chain, Flaw, Stamp, Term};
use retell::ports::{Appender, EventLog, NewRecord};
use serde_json::json;

use crate::support::app::{Answer, TestApp};
use crate::support::browser::Browser;
use crate::support::writers::partitions;

const ENTER: &str = "\u{e007}";

async fn look_for(browser: &Browser, text: &str) {
    browser.enter("#search", text).await;
    browser.keys(ENTER).await;
    let there = format!("return decodeURIComponent(location.hash).includes({})", json!(text));
    browser.until(&there).await;
}

#[tokio::test]
async fn a_write_is_found_by_position_aggregate_command_key_and_correlation() {
    let app = TestApp::spawn().await;
    app.open_account("ann", "Ann").await.ok();
    let done = app.deposit("ann", 7).await.ok();
    let withdraw = json!({"type": "WithdrawMoney", "amount": 500});
    let refused = app.post("/commands/account/ann", &withdraw).header("idempotency-key", "k1");
    app.ask(refused).await.problem(422, "insufficient_funds");
    let message = json!({"type": "ProduceMessage", "text": "hello"});
    let produced = app.post("/commands/message/m1", &message).header("x-correlation-id", "o-1");
    app.ask(produced).await.ok();
    let is_consumed = |it: &Answer| it.json()["items"].as_array().is_some_and(|it| it.len() == 2);
    app.eventually("/events?correlation=o-1", is_consumed).await;
    let browser = Browser::open(app.url()).await;

    look_for(&browser, done.header("retell-position")).await;
    browser.sees("Landed, and it counts").await;
    browser.sees("DepositMoney on account/ann, version 2").await;
    look_for(&browser, "account/ann").await;
    browser.sees("account/ann is at version 2").await;
    look_for(&browser, done.header("retell-command-id")).await;
    browser.sees("DepositMoney on account/ann, version 2").await;
    look_for(&browser, "account/ann/k1").await;
    browser.sees("Refused: insufficient_funds").await;
    look_for(&browser, "o-1").await;
    browser.sees("2 records carry this correlation id").await;

    look_for(&browser, "account/zed").await;
    browser.sees("account/zed has no event").await;
    look_for(&browser, "3@999").await;
    browser.sees("3@999 is not in the log yet").await;
    look_for(&browser, "account/ann/k2").await;
    browser.sees("Not committed, as far as this node can see").await;
    look_for(&browser, "never-heard-of").await;
    browser.sees("Not found, as far as this node can see").await;
    browser.ends_calm(&[404, 422]).await;
}

#[tokio::test]
async fn the_answer_says_who_has_read_it_what_followed_and_shows_the_tree() {
    let app = TestApp::spawn().await;
    let message = json!({"type": "ProduceMessage", "text": "hello"});
    let produced = app.post("/commands/message/m1", &message).header("x-correlation-id", "o-1");
    let produced = app.ask(produced).await.ok();
    let browser = Browser::open(app.url()).await;
    look_for(&browser, produced.header("retell-position")).await;
    browser
        .until(
            "const rows = [...document.querySelectorAll('[data-reader]')];
         return rows.length === 6 && rows.every(row => row.querySelector('.has.yes'))",
        )
        .await;
    browser.sees("consume-message policy").await;
    browser.sees("MessageConsumed").await;
    browser.press("Causation tree").await;
    browser.sees("issued by policy consume-message").await;
    let below = ".command-node > ul > .event-node > ul > .command-node strong";
    let below = format!("return document.querySelector('{below}').innerText");
    assert_eq!(browser.until(&below).await, "ConsumeMessage");
    browser.ends_calm(&[]).await;
}

#[tokio::test]
async fn what_does_not_count_is_said_with_its_reason() {
    let log = Arc::new(MemoryLog::new(partitions(1), Arc::new(SystemClock)));
    let app = TestApp::spawn_on(log.clone(), |_| {}).await;
    app.open_account("ann", "Ann").await.ok();
    let mut appender: Box<dyn Appender> = log.appender(Partition(0)).await.expect("appender");
    for stamp in
        [Stamp::Commit { term: Term(0), chain: Chain(9) }, Stamp::Foreign(Flaw::Missing("kind"))]
    {
        appender.append(NewRecord { key: None, stamp, value: b"{}" }).expect("taken");
        appender.settled(&mut Vec::new()).await;
    }
    let browser = Browser::open(app.url()).await;
    look_for(&browser, "0@2").await;
    browser.sees("Landed, but void").await;
    browser.sees("Why: of term 0 while term 1 rules. It changed nothing.").await;
    look_for(&browser, "0@3").await;
    browser.sees("Foreign: not written by Retell").await;
    look_for(&browser, "0@0").await;
    browser.sees("A claim: a node took the partition").await;
    browser.ends_calm(&[]).await;
}

/// The time in its id says from where on the log has to be read.
#[tokio::test]
async fn a_command_without_a_trace_is_found_by_the_id_that_it_was_given() {
    let app = TestApp::spawn().await;
    app.open_account("ann", "Ann").await.ok();
    let done = app.deposit("ann", 7).await.ok();
    let id = done.header("retell-command-id");
    let traced = app.get(&format!("/events?command={id}")).await.ok().json();
    assert_eq!(traced["items"], json!([]), "{traced}");
    let earlier =
        app.request(Method::GET, &format!("/events?from=2001-01-01T00:00:00Z&command={id}"));
    let found = app.ask(earlier).await.ok().json();
    assert_eq!(found["items"][0]["position"], done.header("retell-position"));
    let later = app.get(&format!("/events?from=2100-01-01T00:00:00Z&command={id}")).await.ok();
    assert_eq!(later.json()["items"], json!([]));
}
