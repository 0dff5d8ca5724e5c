//! The log: its tail, filters, full records and marks.

use std::sync::Arc;

use retell::Partition;
use retell::log::{Chain, Flaw, Stamp, Term};
use retell::ports::{Appender, EventLog, NewRecord};

use crate::support::app::{TestApp, memory_log};
use crate::support::browser::Browser;

const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";
const ROWS: &str = "return document.querySelectorAll('.log tbody tr').length";

#[tokio::test]
async fn the_tail_goes_on_pauses_and_shows_full_records() {
    let app = TestApp::spawn().await;
    app.open_account("ann", "Ann").await.ok();
    let browser = Browser::open(app.url()).await;
    browser.go("#/log").await;
    // Four claims and a commit.
    browser.until(&format!("{ROWS} === 5")).await;
    app.deposit("ann", 5).await.ok();
    browser.until(&format!("{ROWS} === 6")).await;
    let first = "document.querySelector('.log tbody tr')";
    browser.until(&format!("return {first}.innerText.includes('MoneyDeposited')")).await;

    browser.keys(" ").await;
    browser.press("Follow").await;
    browser.press("Pause").await;
    app.deposit("ann", 6).await.ok();
    browser.press("1 new").await;
    browser.until(&format!("{ROWS} === 7")).await;

    browser.keys("j").await;
    browser.keys(ENTER).await;
    browser.sees("Full record").await;
    browser.sees("\"command\": \"DepositMoney\"").await;
    browser.keys(ESCAPE).await;
    browser.no_longer_sees("Full record").await;
    browser.ends_calm(&[]).await;
}

#[tokio::test]
async fn filters_are_the_services_own_and_stay_in_the_address() {
    let log = Arc::new(memory_log());
    let app = TestApp::spawn_on(log.clone(), |_| {}).await;
    for id in ["a", "b", "c"] {
        app.open_account(id, "Ann").await.ok();
        app.deposit(id, 5).await.ok();
    }
    let mut appender: Box<dyn Appender> = log.appender(Partition(1)).await.expect("appender");
    let late = Stamp::Commit { term: Term(0), chain: Chain(9) };
    for stamp in [late, Stamp::Foreign(Flaw::Missing("kind"))] {
        appender.append(NewRecord { key: None, stamp, value: b"{}" }).expect("taken");
        appender.settled(&mut Vec::new()).await;
    }
    let browser = Browser::open(app.url()).await;
    browser.go("#/log").await;
    browser.until(&format!("{ROWS} === 12")).await;
    browser.enter("#l-type", "AccountOpened").await;
    browser.keys(ENTER).await;
    browser.until(&format!("{ROWS} === 3")).await;
    app.open_account("d", "Ann").await.ok();
    browser.until(&format!("{ROWS} === 4")).await;
    browser.go("#/log?type=AccountOpened").await;
    browser.until(&format!("{ROWS} === 4")).await;

    browser.go("#/log?marks=void,foreign").await;
    browser.until(&format!("{ROWS} === 2")).await;
    browser.sees("of term 0 while term 1 rules").await;
    browser.sees("has no header `kind`").await;
    browser.click("[data-mark=void]").await;
    browser.until(&format!("{ROWS} === 1")).await;
    browser.choose("#l-part", "0").await;
    browser.sees("No record matches").await;
    browser.press("Clear filters").await;
    browser.until(&format!("{ROWS} === 13")).await;
    browser.ends_calm(&[]).await;
}

#[tokio::test]
async fn a_long_log_is_read_backwards_from_its_end() {
    let app = TestApp::spawn().await;
    app.open_account("ann", "Ann").await.ok();
    for _ in 0..150 {
        app.deposit("ann", 1).await.ok();
    }
    let browser = Browser::open(app.url()).await;
    browser.go("#/log").await;
    let newest = "return document.querySelector('.log tbody tr').innerText.includes('balance 150')";
    browser.until(newest).await;
    browser.until("return document.querySelectorAll('.log tbody tr').length < 60").await;
    for _ in 0..2 {
        let rows = browser.run(ROWS).await;
        browser.press("Earlier").await;
        browser.until(&format!("{ROWS} > {rows}")).await;
    }
    browser.ends_calm(&[]).await;
}
