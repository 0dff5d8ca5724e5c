//! The pictures in `docs/`: made by this, not drawn.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::support::app::TestApp;
use crate::support::browser::Browser;

#[tokio::test]
#[ignore = "it writes docs/dashboard/*.png: cargo test --all-features pictures -- --ignored"]
async fn pictures_of_the_main_pages() {
    let app = TestApp::spawn().await;
    for (id, owner) in [("ann", "Ann"), ("bob", "Bob"), ("carol", "Carol"), ("dave", "Dave")] {
        app.open_account(id, owner).await.ok();
        for amount in [12_000, 450, 3_900] {
            app.deposit(id, amount).await.ok();
        }
    }
    app.withdraw("ann", 1_290).await.ok();
    let withdraw = json!({"type": "WithdrawMoney", "amount": 990_000});
    let refused = app.post("/commands/account/bob", &withdraw).header("idempotency-key", "w-1");
    app.ask(refused).await.problem(422, "insufficient_funds");
    let message = json!({"type": "ProduceMessage", "text": "Your order 7741 has shipped"});
    let produced = app.post("/commands/message/m-7741", &message);
    let produced = app.ask(produced.header("x-correlation-id", "order-7741")).await.ok();
    let found = format!("#/find?q={}", produced.header("retell-position"));
    let browser = Browser::open(app.url()).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/dashboard");
    fs::create_dir_all(&folder).expect("docs");
    for (name, page, seen, (width, height), dark) in [
        ("home", "#/", "Nothing is parked", (1200, 720), false),
        ("answer", &*found, "MessageConsumed", (1200, 800), false),
        ("aggregate", "#/aggregates/account/ann", "State at version 5", (1200, 720), true),
        ("log", "#/log", "insufficient_funds", (1200, 720), false),
        ("phone", &*found, "consume-message", (390, 760), false),
    ] {
        browser.size(width, height).await;
        browser.prefer_dark(dark).await;
        browser.go(page).await;
        browser.sees(seen).await;
        browser
            .until(
                "return document.fonts.status === 'loaded' && !document.querySelector('.loading')",
            )
            .await;
        browser.run("document.activeElement.blur()").await;
        let picture = browser.picture().await;
        fs::write(folder.join(format!("{name}.png")), picture).expect("written");
    }
    browser.prefer_dark(false).await;
    browser.ends_calm(&[]).await;
}
