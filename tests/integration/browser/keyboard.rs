//! Everything can be reached without a pointer.

use crate::support::app::TestApp;
use crate::support::browser::Browser;

const ESCAPE: &str = "\u{e00c}";
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

#[tokio::test]
async fn keys_lead_to_the_search_the_places_and_their_own_list() {
    let app = TestApp::spawn().await;
    app.open_account("ann", "Ann").await.ok();
    let browser = Browser::open(app.url()).await;
    browser.go("#/projections").await;
    browser.sees("What can be asked").await;
    browser.keys("/").await;
    browser.until("return document.activeElement.id === 'search'").await;
    browser.run("document.activeElement.blur()").await;
    let places =
        [("gl", "#/log"), ("gr", "#/replays"), ("gk", "#/parked"), ("gp", "#/projections")];
    for (keys, place) in places {
        browser.keys(keys).await;
        browser.until(&format!("return location.hash === '{place}'")).await;
    }
    browser.keys("gh").await;
    browser.until("return document.activeElement.matches('.hero input')").await;
    browser.run("document.activeElement.blur()").await;
    browser.keys("?").await;
    browser.sees("Search for a write").await;
    browser.keys(ESCAPE).await;
    browser.until("return !document.querySelector('dialog')").await;
    browser.ends_calm(&[]).await;
}

#[tokio::test]
async fn rows_are_one_tab_stop_and_j_k_and_enter_move_and_open() {
    let app = TestApp::spawn().await;
    for id in ["ann", "bob", "carol"] {
        let done = app.open_account(id, "Ann").await.ok();
        app.view("accounts", id, &done).await.ok();
    }
    let browser = Browser::open(app.url()).await;
    browser.go("#/projections/accounts").await;
    browser.until("return document.querySelectorAll('tr[data-key]').length === 3").await;
    let stops = browser.run("return document.querySelectorAll('tr[tabindex=\"0\"]').length").await;
    assert_eq!(stops, 1);
    let focused = |key: &str| format!("return document.activeElement.dataset.key === '{key}'");
    browser.keys("j").await;
    browser.until(&focused("ann")).await;
    browser.keys("jj").await;
    browser.until(&focused("carol")).await;
    browser.keys("k").await;
    browser.until(&focused("bob")).await;
    browser.keys(ENTER).await;
    browser.until("return location.hash === '#/projections/accounts/bob'").await;
    browser.sees("\"id\": \"bob\"").await;
    browser.ends_calm(&[]).await;
}

#[tokio::test]
async fn the_first_tab_stop_skips_to_the_content() {
    let app = TestApp::spawn().await;
    app.open_account("ann", "Ann").await.ok();
    let browser = Browser::open(app.url()).await;
    browser.go("#/projections").await;
    browser.sees("What can be asked").await;
    browser.keys(TAB).await;
    browser.until("return document.activeElement.className === 'skip'").await;
    browser.keys(ENTER).await;
    browser.until("return document.activeElement.id === 'main'").await;
    browser.ends_calm(&[]).await;
}
