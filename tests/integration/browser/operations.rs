//! Replays and verifications: live progress, cancel, flip, rollback.

use std::sync::Arc;

use retell::adapters::SystemClock;
use retell::adapters::memory::MemoryViews;

use crate::support::app::{TestApp, memory_log};
use crate::support::browser::Browser;
use crate::support::tampering::{put, tamper};
use crate::support::writers::partitions;

async fn filled(app: &TestApp) {
    let mut last = None;
    for i in 0..40 {
        last = Some(app.open_account(&format!("a{i}"), "Ann").await.ok());
    }
    app.view("accounts", "a39", &last.expect("some")).await.ok();
}

#[tokio::test]
async fn a_replay_is_watched_and_cancelled_after_being_asked() {
    let app = TestApp::spawn().await;
    filled(&app).await;
    let browser = Browser::open(app.url()).await;
    browser.go("#/replays?projection=accounts").await;
    browser.enter("#r-rate", "8").await;
    browser.press("Start replay").await;
    browser.sees("Replay of accounts").await;
    browser.until("return document.querySelector('.job .bar').value > 0").await;
    browser.press("Cancel").await;
    let focus = "return document.querySelector('dialog') && document.activeElement.innerText";
    let focus = browser.until(focus).await;
    assert_eq!(focus, "Keep as it is", "the safe button has the focus");
    browser.click("dialog .btn.danger").await;
    browser.sees("Cancelled. The live generation was not touched.").await;
    let last = app.get("/admin/replays").await.ok().json()["items"][0].clone();
    assert_eq!(last["state"], "cancelled", "{last}");
    browser.ends_calm(&[]).await;
}

#[tokio::test]
async fn a_replay_flips_and_is_rolled_back_and_a_verification_finds_all_equal() {
    let app = TestApp::spawn().await;
    filled(&app).await;
    let browser = Browser::open(app.url()).await;
    browser.go("#/replays?projection=accounts").await;
    browser.press("Verify").await;
    browser.sees("40 views compared, all equal.").await;
    let before = generation(&app).await;
    browser.press("Start replay").await;
    browser.sees("The new generation serves.").await;
    assert_ne!(generation(&app).await, before);
    browser.press("Roll back").await;
    browser.click("dialog .btn.danger").await;
    browser.sees("Rolled back. The generation before serves again.").await;
    assert_eq!(generation(&app).await, before);
    browser.ends_calm(&[]).await;
}

#[tokio::test]
async fn a_replay_that_finds_a_difference_shows_it_and_waits_for_a_person() {
    let store = MemoryViews::new(Arc::new(SystemClock));
    let log = Arc::new(memory_log());
    let app = TestApp::start_over(log, Arc::new(store.clone()), |_| {}).await;
    app.ready().await;
    filled(&app).await;
    let view = String::from_utf8(app.get("/projections/accounts/a0").await.ok().body.to_vec());
    let other = view.expect("text").replace("Ann", "Mallory");
    let partition = partitions(4).of("account/a0");
    tamper(&store, "accounts", partition, &[put("a0", &other)]).await;
    let browser = Browser::open(app.url()).await;
    browser.go("#/replays?projection=accounts").await;
    browser.click("#r-equal").await;
    browser.press("Start replay").await;
    browser.sees("1 of 40 views differ.").await;
    browser.sees("Stopped before the flip, as asked; the live generation serves.").await;
    browser.sees("\"owner\": \"Mallory\"").await;
    browser.press("Flip anyway").await;
    browser.click("dialog .btn.primary").await;
    browser.sees("The new generation serves.").await;
    let view = app.get("/projections/accounts/a0").await.ok().json();
    assert_eq!(view["owner"], "Ann");
    browser.ends_calm(&[]).await;
}

async fn generation(app: &TestApp) -> String {
    let all = app.get("/projections").await.ok().json();
    let items = all["items"].as_array().expect("items");
    let accounts = items.iter().find(|item| item["name"] == "accounts").expect("it is there");
    accounts["generation"].as_str().expect("live").to_owned()
}
