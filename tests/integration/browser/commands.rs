//! A form for any command, and the curl that does the same.

use std::process::Command;

use serde_json::Value;

use crate::support::app::TestApp;
use crate::support::browser::Browser;

#[tokio::test]
async fn a_form_is_made_from_the_schema_and_sends_what_its_curl_says() {
    let app = TestApp::spawn().await;
    let browser = Browser::open(app.url()).await;
    browser.go("#/send?type=account&id=zoe").await;
    browser.press("OpenAccount").await;
    browser.enter("#f-owner", "Zoë O'Hara").await;
    let said = r#"-d '{"type":"OpenAccount","owner":"Zoë O'\''Hara"}'"#;
    browser.sees(said).await;
    browser.press("Send command").await;
    browser.sees("AccountOpened. Version 1").await;

    browser.press("DepositMoney").await;
    browser.enter("#f-amount", "7").await;
    browser.press("Make it safe to repeat").await;
    browser.enter("#f-key", "d-1").await;
    browser.sees("-H 'Idempotency-Key: d-1'").await;
    let curl = browser.run("return document.querySelector('.curl code').textContent").await;
    let curl = format!("{} -s --noproxy '*'", curl.as_str().expect("text"));
    let run = move || Command::new("sh").args(["-c", &curl]).output();
    let output = tokio::task::spawn_blocking(run).await.expect("no panic").expect("a shell");
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON of the service");
    assert_eq!(
        (&answer["version"], &answer["events"][0]["data"]["amount"]),
        (&2.into(), &7.into())
    );

    // The same key and the same body: the browser is given the first answer.
    browser.press("Send command").await;
    browser.sees("MoneyDeposited. Version 2").await;
    browser.ends_calm(&[]).await;
}

#[tokio::test]
async fn a_refusal_is_shown_with_its_reason_and_nothing_is_lost() {
    let app = TestApp::spawn().await;
    app.open_account("ann", "Ann").await.ok();
    let browser = Browser::open(app.url()).await;
    browser.go("#/aggregates/account/ann").await;
    browser.press("WithdrawMoney").await;
    browser.enter("#f-amount", "5").await;
    browser.press("Send command").await;
    browser.sees("the balance is 0, 5 were asked for").await;
    browser.sees("422 insufficient_funds").await;
    let amount = browser.run("return document.querySelector('#f-amount').value").await;
    assert_eq!(amount, "5");
    browser.ends_calm(&[422]).await;
}
