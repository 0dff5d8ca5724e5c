//! The dashboard as it is sent: who gets it, and what a browser is told to do with it.

use reqwest::Method;

use crate::support::app::{Answer, TestApp};

/// As Chromium and Firefox ask for a page.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

async fn get(app: &TestApp, path: &str, header: (&str, &str)) -> Answer {
    app.ask(app.request(Method::GET, path).header(header.0, header.1)).await
}

#[tokio::test]
async fn a_browser_gets_the_page_and_everyone_else_the_routes() {
    let app = TestApp::spawn().await;
    let page = get(&app, "/", ("accept", BROWSER)).await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.body.starts_with(b"<!doctype html>"));
    assert_eq!(page.header("vary"), "accept");
    for accept in ["*/*", "application/json", "text/html, application/json"] {
        let routes = get(&app, "/", ("accept", accept)).await.ok();
        assert_eq!(routes.json()["service"], "retell", "{accept}");
        assert_eq!(routes.header("vary"), "accept");
    }
    get(&app, "/?page=2", ("accept", BROWSER)).await.problem(400, "unknown_parameter");
}

#[tokio::test]
async fn a_browser_is_told_to_run_nothing_else() {
    let app = TestApp::spawn().await;
    for path in ["/", "/dashboard/app.js", "/dashboard/style/base.css", "/dashboard/icon.svg"] {
        let sent = get(&app, path, ("accept", BROWSER)).await;
        assert_eq!(sent.status, 200, "{sent:?}");
        let policy = sent.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("data:"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(sent.header("x-content-type-options"), "nosniff");
        assert_eq!(sent.header("referrer-policy"), "no-referrer");
    }
}

#[tokio::test]
async fn a_file_that_a_browser_has_is_not_sent_again() {
    let app = TestApp::spawn().await;
    let script = app.get("/dashboard/app.js").await;
    assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(script.header("cache-control"), "no-cache");
    let tag = script.header("etag");
    let again = get(&app, "/dashboard/app.js", ("if-none-match", tag)).await;
    assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, tag));
    let other = get(&app, "/dashboard/app.js", ("if-none-match", "\"other\"")).await;
    assert_eq!((other.status, &other.body), (200, &script.body));
}

#[tokio::test]
async fn there_is_nothing_below_it_but_its_files() {
    let app = TestApp::spawn().await;
    for path in ["/dashboard/none.js", "/dashboard/../Cargo.toml", "/dashboard/files.rs"] {
        app.get(path).await.problem(404, "no_such_route");
    }
    app.get("/dashboard/app.js?v=1").await.problem(400, "unknown_parameter");
    let posted = app.ask(app.request(Method::POST, "/dashboard/app.js")).await;
    posted.problem(405, "method_not_allowed");
}

#[tokio::test]
async fn below_a_base_path_a_browser_is_sent_to_where_relative_links_lead() {
    let app = TestApp::spawn_with(|config| config.http.base_path = "/ops/bank".to_owned()).await;
    let request = format!(
        "GET /ops/bank HTTP/1.1\r\nHost: x\r\nAccept: {BROWSER}\r\nConnection: close\r\n\r\n"
    );
    let answer = app.raw(request.as_bytes()).await.to_lowercase();
    assert!(answer.starts_with("http/1.1 308 ") && answer.contains("location: bank/"), "{answer}");
    let page = get(&app, "/", ("accept", BROWSER)).await;
    assert!(page.body.starts_with(b"<!doctype html>"));
    assert_eq!(app.get("/dashboard/app.js").await.status, 200);
}
