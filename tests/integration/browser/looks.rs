//! Phone, dark, size, and wherever it is nested.

use serde_json::json;

use crate::support::app::TestApp;
use crate::support::browser::Browser;

/// Every page, with something that is seen once it is whole.
const PAGES: [(&str, &str); 12] = [
    ("#/", "Nothing is parked"),
    ("#/find?q=account/ann", "account/ann is at version 2"),
    ("#/aggregates/account/ann", "State at version 2, against 1"),
    ("#/projections", "What can be asked"),
    ("#/projections/accounts", "that is all"),
    ("#/projections/accounts/ann", "\"owner\""),
    ("#/log", "DepositMoney"),
    ("#/replays", "Earlier runs"),
    ("#/parked", "Nothing is parked"),
    ("#/trace/o-1", "Causation tree"),
    ("#/send?type=account&id=ann", "The same with curl"),
    ("#/sign-in", "Key or token"),
];

async fn filled() -> TestApp {
    let app = TestApp::spawn().await;
    app.open_account("ann", "Ann of the very long name that has to be broken somewhere").await.ok();
    app.open_account(&"an-id-as-long-as-a-uuid-".repeat(4), "Bob").await.ok();
    let done = app.deposit("ann", 5).await.ok();
    app.view("accounts", "ann", &done).await.ok();
    let message = json!({"type": "ProduceMessage", "text": "hello"});
    let produced = app.post("/commands/message/m1", &message).header("x-correlation-id", "o-1");
    app.ask(produced).await.ok();
    app
}

#[tokio::test]
async fn no_page_is_wider_than_a_phone() {
    let app = filled().await;
    let browser = Browser::open(app.url()).await;
    for width in [390, 320] {
        browser.size(width, 700).await;
        for (page, seen) in PAGES {
            browser.go(page).await;
            let is_there = format!("return document.body.textContent.includes({})", json!(seen));
            browser.until(&is_there).await;
            let wide = browser.run("return document.documentElement.scrollWidth").await;
            assert!(wide.as_u64() <= Some(width.into()), "{page} is {wide} wide of {width}");
        }
    }
    browser.ends_calm(&[]).await;
}

#[tokio::test]
async fn dark_follows_the_system_and_a_choice_is_kept() {
    let app = filled().await;
    let browser = Browser::open(app.url()).await;
    let dark =
        "return getComputedStyle(document.documentElement).backgroundColor === 'rgb(19, 20, 23)'";
    browser.sees("Nothing is parked").await;
    assert_eq!(browser.run(dark).await, false);
    browser.prefer_dark(true).await;
    browser.until(dark).await;
    browser.click("[aria-label^='Theme: auto']").await;
    browser.until("return document.documentElement.dataset.theme === 'light'").await;
    assert_eq!(browser.run(dark).await, false);
    browser.go("#/log").await;
    browser.until("return document.documentElement.dataset.theme === 'light'").await;
    browser.prefer_dark(false).await;
    browser.click("[aria-label^='Theme: light']").await;
    browser.until(dark).await;
    browser.ends_calm(&[]).await;
}

#[tokio::test]
async fn the_first_view_takes_less_than_200_kb_and_comes_from_the_service_alone() {
    let app = filled().await;
    let browser = Browser::open(app.url()).await;
    browser.sees("Nothing is parked").await;
    let loaded = browser.run(
        "return performance.getEntries().filter(it => 'encodedBodySize' in it)
           .map(it => [it.name, it.encodedBodySize, it.transferSize])",
    );
    let loaded = loaded.await;
    let loaded = loaded.as_array().expect("entries");
    let bytes: u64 = loaded.iter().map(|it| it[1].as_u64().expect("bytes")).sum();
    assert!(loaded.len() > 10 && (20_000..200_000).contains(&bytes), "{bytes}: {loaded:#?}");
    for one in loaded {
        assert!(one[0].as_str().expect("a URL").starts_with(app.url()), "{one}");
    }
    browser.ends_calm(&[]).await;
}

#[tokio::test]
async fn it_works_below_a_base_path() {
    let app = TestApp::spawn_with(|config| config.http.base_path = "/ops/bank".to_owned()).await;
    let browser = Browser::open(app.url()).await;
    browser.sees("The log is empty").await;
    browser.press("Send command").await;
    browser.sees("Landed, and it counts").await;
    browser.ends_calm(&[]).await;
}

#[tokio::test]
async fn a_page_that_there_is_not_and_a_service_that_is_gone_are_said() {
    let app = filled().await;
    let browser = Browser::open(app.url()).await;
    browser.go("#/nowhere").await;
    browser.sees("No such page").await;
    app.stop().await.expect("stopped");
    browser.run("location.hash = '#/log'").await;
    browser.sees("The service does not answer").await;
    browser.sees("Try again").await;
}
