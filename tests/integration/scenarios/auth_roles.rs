//! Roles: each route needs its own, of all types or of one.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::callers::{Caller, KeyFile};

/// Every route that the service lists, asked for by somebody without a role, and by nobody.
#[tokio::test]
async fn no_route_answers_who_lacks_its_role() {
    let poor = Caller::new("poor", "-");
    let keys = KeyFile::of(&[&poor]);
    let app = TestApp::spawn_with(|config| keys.set(config)).await;
    let mut closed = 0;
    for route in app.get("/").await.ok().json()["routes"].as_array().expect("routes") {
        let (method, path) = route.as_str().expect("text").split_once(' ').expect("two words");
        let first = path.split('/').nth(1).unwrap_or_default();
        let role = match first {
            "commands" => "write",
            "projections" => "read",
            "aggregates" | "events" | "traces" => "audit",
            "admin" => "admin",
            _ => continue,
        };
        let method: Method = method.parse().expect("a method");
        let path = path.replace(['{', '}'], "");
        let nobody = app.ask(app.request(method.clone(), &path)).await;
        nobody.problem(401, "no_credentials");
        let answer = app.ask(app.request(method, &path).bearer_auth(&poor.key)).await;
        if path == "/admin/me" {
            answer.ok();
            continue;
        }
        let detail = answer.problem(403, "missing_role");
        assert!(detail.contains(&format!("lacks the role {role}")), "{path}: {detail}");
        let scope = format!("scope=\"{role}\"");
        assert!(answer.header("www-authenticate").contains(&scope), "{path}");
        closed += 1;
    }
    assert!(closed > 25, "{closed}");
}

#[tokio::test]
async fn a_role_of_one_type_opens_that_type_only() {
    let ann = Caller::new("ann", "read:accounts,audit:account,write:account");
    let keys = KeyFile::of(&[&ann]);
    let app = TestApp::spawn_with(|config| keys.set(config)).await;
    let open = json!({"type": "OpenAccount", "owner": "Ann"});
    app.command_as(&ann.key, "/commands/account/ann", &open).await.ok();
    let produce = json!({"type": "ProduceMessage", "text": "x"});
    let other = app.command_as(&ann.key, "/commands/message/m", &produce).await;
    assert!(other.problem(403, "missing_role").contains("write, or write:message"));
    for (path, may) in [
        ("/projections/accounts?limit=1", true),
        ("/projections/messages", false),
        ("/projections/messages/m", false),
        ("/aggregates/account/ann/events", true),
        // Names are compared as they are meant, not as they are written.
        ("/aggregates/%61ccount/ann/events", true),
        ("/aggregates/message/m", false),
        ("/events", false),
        ("/traces/x", false),
    ] {
        let answer = app.get_as(&ann.key, path).await;
        assert_eq!(answer.status != 403, may, "{path}: {answer:?}");
    }
    let listed = app.get_as(&ann.key, "/projections").await.ok().json();
    let names = listed["items"].as_array().expect("items").iter().map(|item| &item["name"]);
    assert_eq!(names.collect::<Vec<_>>(), ["accounts"]);
}

#[tokio::test]
async fn each_line_of_a_batch_needs_the_role_for_its_type() {
    let ann = Caller::new("ann", "write:account");
    let keys = KeyFile::of(&[&ann]);
    let app = TestApp::spawn_with(|config| keys.set(config)).await;
    let line = |kind: &str, command: Value| {
        json!({"aggregate": {"type": kind, "id": "a"}, "command": command}).to_string()
    };
    let own = line("account", json!({"type": "OpenAccount", "owner": "A"}));
    let other = line("message", json!({"type": "ProduceMessage", "text": "x"}));
    let lines = format!("{own}\n{other}");
    let batch = app.request(Method::POST, "/commands").bearer_auth(&ann.key);
    let batch = app.ask(batch.header("content-type", "application/x-ndjson").body(lines)).await;
    let text = String::from_utf8_lossy(&batch.body).into_owned();
    let answers: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(
        (&answers[0]["status"], &answers[1]["status"]),
        (&json!(200), &json!(403)),
        "{text}"
    );
    assert_eq!(answers[1]["code"], "missing_role");
}

#[tokio::test]
async fn a_refusal_comes_though_the_client_is_still_sending() {
    let poor = Caller::new("poor", "-");
    let keys = KeyFile::of(&[&poor]);
    let app = TestApp::spawn_with(|config| keys.set(config)).await;
    let body = vec![b' '; 4 * 1024 * 1024];
    let request = app.request(Method::POST, "/commands/account/ann").body(body.clone());
    app.ask(request).await.problem(401, "no_credentials");
    let request = app.request(Method::POST, "/commands/account/ann").body(body);
    app.ask(request.bearer_auth(&poor.key)).await.problem(403, "missing_role");
}

#[tokio::test]
async fn every_answer_has_the_headers_that_keep_a_browser_safe() {
    let app = TestApp::spawn().await;
    for path in ["/admin/me", "/health/live", "/nowhere", "/projections/accounts/none"] {
        let answer = app.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin", "{path}");
        let policy = "default-src 'none'; frame-ancestors 'none'";
        assert_eq!(answer.header("content-security-policy"), policy, "{path}");
    }
}

/// CORS is off: another site's page gets no word of permission, whatever it asks.
#[tokio::test]
async fn no_other_site_is_given_leave() {
    let app = TestApp::spawn().await;
    for method in [Method::GET, Method::OPTIONS] {
        let asked = app.request(method, "/admin/status").header("origin", "https://evil.example");
        let answer = app.ask(asked.header("access-control-request-method", "POST")).await;
        let is_leave = |name: &&str| name.starts_with("access-control-");
        assert_eq!(answer.headers.keys().map(|name| name.as_str()).find(is_leave), None);
    }
}
