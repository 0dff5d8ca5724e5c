//! Projections: their lists, and a view beside the events that made it.

use crate::support::app::TestApp;
use crate::support::browser::Browser;

const ENTER: &str = "\u{e007}";

#[tokio::test]
async fn a_list_offers_what_an_index_serves_and_leads_to_a_view_that_goes_on() {
    let app = TestApp::spawn().await;
    for (id, owner) in [("ann", "Ann"), ("bob", "Bob"), ("ann2", "Ann")] {
        app.open_account(id, owner).await.ok();
    }
    let done = app.deposit("ann", 5).await.ok();
    app.view("accounts", "ann", &done).await.ok();
    let browser = Browser::open(app.url()).await;
    browser.go("#/projections").await;
    browser.press("accounts").await;
    browser.sees("3 shown, that is all").await;
    browser.choose("#q-index", "owner, balance").await;
    browser.sees("Say which owner").await;
    browser.enter("#q-owner", "Ann").await;
    browser.keys(ENTER).await;
    browser.sees("2 shown, that is all").await;
    browser.sees("GET /projections/accounts?owner=Ann&sort=balance").await;
    browser.press("lowest first").await;
    browser.sees("GET /projections/accounts?owner=Ann&sort=-balance").await;

    browser.click("tr[data-key='ann']").await;
    browser.sees("\"balance\": 5").await;
    browser.until("return document.querySelectorAll('.timeline li').length === 2").await;
    app.deposit("ann", 37).await.ok();
    browser.sees("\"balance\": 42").await;
    browser.until("return document.querySelectorAll('.timeline li').length === 3").await;
    browser.ends_calm(&[]).await;
}

#[tokio::test]
async fn a_merged_view_is_opened_by_its_key_and_a_missing_one_says_so() {
    let app = TestApp::spawn().await;
    let done = app.open_account("ann", "Ann").await.ok();
    app.view("account-totals", "all", &done).await.ok();
    let browser = Browser::open(app.url()).await;
    browser.go("#/projections/account-totals").await;
    browser.enter("#q-key", "all").await;
    browser.press("Open the view").await;
    browser.sees("\"accounts\": 1").await;
    browser.sees("A merged view").await;
    browser.go("#/projections/accounts/nobody").await;
    browser.sees("404 view_not_found").await;
    browser.ends_calm(&[404]).await;
}

#[tokio::test]
async fn a_number_that_javascript_would_round_is_shown_exactly() {
    let app = TestApp::spawn().await;
    let mut last = None;
    for id in ["a", "b", "c"] {
        app.open_account(id, "Ann").await.ok();
        last = Some(app.deposit(id, retell::commands::BALANCE_MAX).await.ok());
    }
    app.view("account-totals", "all", &last.expect("some")).await.ok();
    let browser = Browser::open(app.url()).await;
    browser.go("#/projections/account-totals/all").await;
    browser.sees("\"balance\": 27021597764222973").await;
    browser.ends_calm(&[]).await;
}

#[tokio::test]
async fn an_operator_pauses_a_projection_after_being_asked_and_resumes_it() {
    let app = TestApp::spawn().await;
    let browser = Browser::open(app.url()).await;
    browser.go("#/projections/accounts").await;
    browser.press("Pause").await;
    let focus = "return document.querySelector('dialog') && document.activeElement.innerText";
    let focus = browser.until(focus).await;
    assert_eq!(focus, "Keep as it is", "the safe button has the focus");
    browser.press("Keep as it is").await;
    browser.until("return !document.querySelector('dialog')").await;
    assert!(!paused(&app).await);
    browser.press("Pause").await;
    browser.click("dialog .btn.primary").await;
    browser.press("Resume").await;
    browser.press("Pause").await;
    assert!(!paused(&app).await);
    browser.ends_calm(&[]).await;
}

async fn paused(app: &TestApp) -> bool {
    let all = app.get("/projections").await.ok().json();
    let items = all["items"].as_array().expect("items");
    let accounts = items.iter().find(|item| item["name"] == "accounts").expect("it is there");
    accounts["paused"].as_bool().expect("a bool")
}
