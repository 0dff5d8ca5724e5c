//! An aggregate: its timeline, its state at any version, and what changed between two.

use serde_json::json;

use crate::support::app::TestApp;
use crate::support::browser::Browser;

const ENTER: &str = "\u{e007}";

#[tokio::test]
async fn its_state_is_seen_at_any_version_and_compared_with_any_other() {
    let app = TestApp::spawn().await;
    app.open_account("ann", "Ann").await.ok();
    for amount in [100, 20, 3] {
        app.deposit("ann", amount).await.ok();
    }
    let browser = Browser::open(app.url()).await;
    browser.go("#/aggregates/account/ann").await;
    browser.sees("State at version 4, against 3").await;
    let changed = "return [...document.querySelectorAll('.line:is(.del, .add) .body')]
        .map(it => it.innerText.trim()).join(' ')";
    browser.until(&format!("{changed} === '\"balance\": 120 \"balance\": 123'")).await;

    browser.keys("[").await;
    browser.sees("State at version 3, against 2").await;
    browser.until("return location.hash.endsWith('?version=3')").await;
    browser
        .run(
            "const slider = document.getElementById('version');
         slider.value = 1;
         slider.dispatchEvent(new Event('input', { bubbles: true }));",
        )
        .await;
    browser.sees("State at version 1, its first").await;
    browser.enter("#compare", "4").await;
    browser.keys(ENTER).await;
    browser.sees("State at version 1, against 4").await;
    browser.until(&format!("{changed} === '\"balance\": 123 \"balance\": 0'")).await;
    browser.click("[data-version='2'] button").await;
    browser.sees("State at version 2, against 4").await;
    browser.ends_calm(&[]).await;
}

#[tokio::test]
async fn its_timeline_goes_on_and_a_long_one_is_read_in_pages() {
    let app = TestApp::spawn().await;
    app.open_account("ann", "Ann").await.ok();
    for _ in 0..149 {
        app.deposit("ann", 1).await.ok();
    }
    let browser = Browser::open(app.url()).await;
    browser.go("#/aggregates/account/ann").await;
    browser.sees("State at version 150, against 149").await;
    let rows = "return document.querySelectorAll('.timeline li').length";
    browser.until(&format!("{rows} === 100")).await;
    app.deposit("ann", 1).await.ok();
    browser.sees("State at version 151, against 150").await;
    browser.until(&format!("{rows} === 101")).await;
    browser.press("Earlier, 50 more").await;
    browser.until(&format!("{rows} === 151")).await;
    let versions = "return [...document.querySelectorAll('.timeline li')]
        .map(it => Number(it.dataset.version))";
    let all: Vec<u64> = (1..=151).rev().collect();
    assert_eq!(browser.run(versions).await, json!(all), "each event once, newest first");
    browser.go("#/aggregates/account/ann?version=7").await;
    browser.sees("State at version 7, against 6").await;
    browser.until("return document.querySelector('.timeline .now').dataset.version === '7'").await;
    browser.ends_calm(&[]).await;
}

/// As where the settings allow few at once, or where the events are long.
#[tokio::test]
async fn everything_is_there_though_the_service_gives_little_at_once() {
    let app = TestApp::spawn_with(|config| {
        (config.history.page_len_max, config.queries.page_items_max) = (5, 3);
    })
    .await;
    let mut last = app.open_account("ann", "Ann").await.ok();
    for _ in 0..12 {
        last = app.deposit("ann", 1).await.ok();
    }
    let browser = Browser::open(app.url()).await;
    browser.go("#/aggregates/account/ann").await;
    browser.sees("State at version 13, against 12").await;
    browser.until("return document.querySelectorAll('.timeline li').length === 13").await;
    app.deposit("ann", 1).await.ok();
    browser.sees("State at version 14, against 13").await;
    browser.go("#/projections/accounts/ann").await;
    browser.sees("14 events").await;
    browser.until("return document.querySelectorAll('.timeline li').length === 14").await;
    browser.go("#/projections/accounts").await;
    browser.sees("Ann").await;
    browser.go(&format!("#/find?q={}", last.header("retell-command-id"))).await;
    browser.sees("Landed, and it counts").await;
    browser.ends_calm(&[]).await;
}
