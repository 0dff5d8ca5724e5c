//! Nothing that comes from the log is ever markup.

use serde_json::json;

use crate::support::app::TestApp;
use crate::support::browser::Browser;

/// What would run if any text of it became an element.
const ID: &str = "<img src=x onerror=document.title='owned'>";
const TEXT: &str =
    "<svg onload=\"document.title='owned'\"><script>alert(1)<img src=x onerror=alert(1)>";

#[tokio::test]
async fn ids_and_texts_of_the_log_are_shown_and_never_run() {
    let app = TestApp::spawn().await;
    let id = "%3Cimg%20src%3Dx%20onerror%3Ddocument.title%3D'owned'%3E";
    let open = json!({"type": "OpenAccount", "owner": TEXT});
    let opened =
        app.post(&format!("/commands/account/{id}"), &open).header("x-correlation-id", "o-<b>");
    let opened = app.ask(opened).await.ok();
    assert_eq!(opened.json()["aggregate"]["id"], ID);
    let position = opened.header("retell-position").to_owned();
    app.get_after("/traces/o-%3Cb%3E", &opened).await.ok();
    let browser = Browser::open(app.url()).await;
    for (page, seen) in [
        (format!("#/find?q={position}"), TEXT),
        (format!("#/aggregates/account/{id}"), TEXT),
        ("#/projections/accounts".to_owned(), TEXT),
        (format!("#/projections/accounts/{id}"), TEXT),
        (format!("#/log?open={position}"), ID),
        ("#/trace/o-%3Cb%3E".to_owned(), ID),
        ("#/find?q=%3Cimg%20src%3Dx%3E".to_owned(), "<img src=x>"),
        ("#/%3Cimg%20src%3Dx%3E".to_owned(), "No such page"),
    ] {
        browser.go(&page).await;
        // As JSON, quotes are escaped.
        let shown = json!(seen).to_string();
        let is_there = format!(
            "const text = document.body.textContent;
             return text.includes({shown}) || text.includes({})",
            json!(shown)
        );
        browser.until(&is_there).await;
        let foreign = "main :is(img, script, b, [onload], [onerror])";
        let count = format!("return document.querySelectorAll('{foreign}').length");
        let foreign = browser.run(&count).await;
        assert_eq!(foreign, 0, "{page}");
        let title = browser.run("return document.title").await;
        assert!(title.as_str().is_some_and(|title| title != "owned"), "{page}: {title}");
    }
    browser.ends_calm(&[]).await;
}
