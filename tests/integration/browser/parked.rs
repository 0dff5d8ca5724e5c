//! Parked sequences: inspected, retried, discarded.

use std::sync::Arc;

use retell::adapters::SystemClock;
use retell::adapters::memory::{MemoryLog, MemoryViews};
use retell::config::Config;

use crate::support::browser::Browser;
use crate::support::fragile::{self, Trap, Traps, deposits, parked};
use crate::support::shipped::Shipped;
use crate::support::writers::partitions;

/// A service whose `fragile` has stopped at the third event of four.
async fn start(traps: &Traps) -> (Shipped, String) {
    traps.set(Trap::Fold(13));
    let log = Arc::new(MemoryLog::new(partitions(1), Arc::new(SystemClock)));
    let store = Arc::new(MemoryViews::new(Arc::new(SystemClock)));
    let app = fragile::start(log, store, traps, Config::defaults()).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("address");
    tokio::spawn(axum::serve(listener, app.0.router()).into_future());
    app.open("ann", "Ann").await;
    for amount in [1, 13, 2] {
        let done = app.deposit("ann", amount).await;
        drop(deposits(&app, "ann", done.position).await);
    }
    parked(&app, "fragile").await;
    (app, format!("http://{address}"))
}

#[tokio::test]
async fn a_parked_aggregate_is_inspected_and_retried_until_it_goes_on() {
    let traps = Traps::default();
    let (_app, url) = start(&traps).await;
    let browser = Browser::open(&url).await;
    browser.press("1 aggregate parked").await;
    browser.click("tr[data-id]").await;
    browser.sees("The event it stopped at").await;
    browser.sees("\"amount\": 13").await;
    browser.sees("on purpose").await;
    browser.press("The view").await;
    browser.sees("Parked since 0@3").await;
    browser.press("Inspect").await;
    browser.press("Retry").await;
    browser.sees("422 still_parked").await;
    traps.clear(Trap::Fold(13));
    browser.press("Retry").await;
    browser.sees("Nothing is parked").await;
    browser.go("#/projections/fragile/ann").await;
    let view = "document.querySelector('.json').innerText.replace(/\\s/g, '')";
    browser.until(&format!("return {view}.includes('[1,13,2]')")).await;
    browser.ends_calm(&[422]).await;
}

#[tokio::test]
async fn a_discard_asks_first_and_says_what_happens_to_the_data() {
    let (app, url) = start(&Traps::default()).await;
    let browser = Browser::open(&url).await;
    browser.go("#/parked").await;
    browser.click("tr[data-id]").await;
    browser.press("Discard").await;
    browser.sees("The log is not changed.").await;
    browser.press("Keep as it is").await;
    browser.until("return !document.querySelector('dialog')").await;
    assert_eq!(app.0.views().parked().len(), 1);
    browser.press("Discard").await;
    browser.click("dialog .btn.danger").await;
    browser
        .until("return document.querySelector('tr[data-id]').innerText.includes('discarded')")
        .await;
    browser.ends_calm(&[]).await;
}
