//! A key or token: asked for, kept in the tab, and what its roles show.

use serde_json::json;

use crate::support::app::TestApp;
use crate::support::browser::Browser;
use crate::support::callers::{Caller, KeyFile};

#[tokio::test]
async fn a_key_is_asked_for_and_its_roles_decide_what_is_shown() {
    let (admin, reader) =
        (Caller::new("olga", "read,audit,write,admin"), Caller::new("rita", "read"));
    let keys = KeyFile::of(&[&admin, &reader]);
    let app = TestApp::spawn_with(|config| keys.set(config)).await;
    let open = json!({"type": "OpenAccount", "owner": "Ann"});
    app.command_as(&admin.key, "/commands/account/ann", &open).await.ok();
    let browser = Browser::open(app.url()).await;
    let nav = "[...document.querySelectorAll('nav a')].map(it => it.innerText.trim()).join()";

    browser.sees("Key or token").await;
    browser.enter("#s-key", "rk_wrong").await;
    browser.press("Continue").await;
    browser.sees("The service does not know this key.").await;

    browser.enter("#s-key", &reader.key).await;
    browser.press("Continue").await;
    browser.until(&format!("return {nav} === 'Home,Projections'")).await;
    browser.sees("rita").await;
    browser.sees("accounts").await;
    // Beyond the role there is a sentence, and a way to another key.
    browser.run("location.hash = '#/log'").await;
    browser.sees("403 missing_role").await;
    browser.press("Use another key").await;
    browser.press("Forget this key").await;

    browser.sees("Key or token").await;
    browser.enter("#s-key", &admin.key).await;
    browser.press("Continue").await;
    browser.until(&format!("return {nav} === 'Home,Log,Projections,Replays,Parked'")).await;
    browser.sees("Nothing is parked").await;
    // Streams carry the key, too; it stays in the tab, and in no cookie.
    browser.go("#/log").await;
    browser.sees("AccountOpened").await;
    let amount = json!({"type": "DepositMoney", "amount": 5});
    app.command_as(&admin.key, "/commands/account/ann", &amount).await.ok();
    browser.sees("MoneyDeposited").await;
    let kept = "return [sessionStorage.length, localStorage.length, document.cookie]";
    assert_eq!(browser.run(kept).await, json!([1, 0, ""]));
    browser.ends_calm(&[401, 403]).await;
}
