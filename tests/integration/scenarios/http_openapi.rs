//! What the service says of itself: the document of its routes, and the page made of it.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;

use reqwest::Method;
use retell::adapters::SystemClock;
use retell::adapters::memory::MemoryViews;
use retell::app::App;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::app::{TestApp, memory_log};
use crate::support::default_config;

/// The route table.
const ROUTES: &str = include_str!("../../../src/http/mod.rs");
/// The table from problems to their codes.
const ANSWERS: &str = include_str!("../../../src/http/problem/answer.rs");

#[tokio::test]
async fn every_route_is_documented_and_no_other() {
    let document = document(&TestApp::spawn().await).await;
    let documented: BTreeSet<String> = operations(&document)
        .map(|(_, method, operation)| {
            format!("{} {}", method.to_uppercase(), operation["x-route"].as_str().expect("route"))
        })
        .collect();
    assert_eq!(documented, routes());
}

#[tokio::test]
async fn every_code_of_a_problem_is_documented_and_no_other() {
    let document = document(&TestApp::spawn().await).await;
    let known = &document["components"]["schemas"]["ProblemCode"]["enum"];
    let known: BTreeSet<&str> =
        known.as_array().expect("codes").iter().filter_map(Value::as_str).collect();
    let mut answered: BTreeSet<&str> = codes().collect();
    answered.extend(["unknown_replay", "unknown_verification"]);
    assert_eq!(known, answered);
    let mut said = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        for (status, answer) in operation["responses"].as_object().expect("answers") {
            let schema = &answer["content"]["application/problem+json"]["schema"]["allOf"][1];
            let codes = schema["properties"]["code"]["enum"].as_array().into_iter().flatten();
            for code in codes {
                let code = code.as_str().expect("a code");
                assert!(known.contains(code), "{method} {path}: {status} {code}");
                said.insert(code);
            }
        }
    }
    // These are of a route that is none, of a line of a batch, or beside the codes of a domain.
    let elsewhere = [
        "method_not_allowed",
        "unknown_aggregate",
        "bad_line",
        "line_too_long",
        "out_of_turn",
        "key_reused",
    ];
    assert_eq!(&known - &said, BTreeSet::from(elsewhere));
}

#[tokio::test]
async fn the_headers_that_every_answer_has_are_documented_problems_too() {
    let document = document(&TestApp::spawn().await).await;
    for (path, method, operation) in operations(&document) {
        let sends = method == "post" && path.starts_with("/commands/");
        for (status, answer) in operation["responses"].as_object().expect("answers") {
            let has = |name: &str| answer["headers"].get(name).is_some();
            assert!(has("X-Request-Id"), "{method} {path}: {status}");
            assert!(has("Retell-Command-Id") || !sends, "{method} {path}: {status}");
        }
    }
}

#[tokio::test]
async fn every_aggregate_and_projection_has_its_schemas() {
    let document = document(&TestApp::spawn().await).await;
    let schemas = &document["components"]["schemas"];
    let deposit = &schemas["account.command.DepositMoney"];
    assert_eq!(deposit["properties"]["type"], json!({"const": "DepositMoney"}));
    assert_eq!(deposit["required"], json!(["type", "amount"]));
    assert_eq!(deposit["properties"]["amount"]["minimum"], 1);
    let sent = &document["paths"]["/commands/account/{id}"]["post"]["requestBody"];
    let reference = &sent["content"]["application/json"]["schema"]["$ref"];
    assert_eq!(reference, "#/components/schemas/account.command");
    assert_eq!(schemas["account.command"]["oneOf"].as_array().expect("commands").len(), 4);
    assert_eq!(schemas["account.event.MoneyDeposited"]["required"], json!(["amount", "balance"]));
    let balance = &schemas["accounts.view"]["properties"]["balance"];
    assert_eq!(balance["maximum"], i64::MAX, "what a format means is said");
    let listed = &document["paths"]["/projections/accounts"]["get"];
    let names = listed["parameters"].as_array().expect("parameters").iter();
    let names: BTreeSet<_> = names.map(|it| it["name"].as_str().expect("a name")).collect();
    for name in ["owner", "balance.gte", "opened_at.lt", "sort", "limit", "cursor"] {
        assert!(names.contains(name), "{name}: {names:?}");
    }
    assert!(document["paths"].get("/projections/account-totals").is_none(), "it has no list");
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    let document = document(&TestApp::spawn().await).await;
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 100, "{}", found.len());
    for reference in found {
        let place = reference.strip_prefix('#').expect("within the document");
        assert!(document.pointer(place).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn the_document_is_of_this_service_and_is_not_sent_twice() {
    let app = TestApp::spawn_with(|config| config.http.base_path = "/bank".to_owned()).await;
    let sent = app.get("/openapi.json").await.ok();
    assert_eq!(sent.json()["servers"], json!([{"url": "/bank"}]));
    let again = app.request(Method::GET, "/openapi.json");
    let again = app.ask(again.header("If-None-Match", sent.header("etag"))).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
}

#[tokio::test]
async fn the_page_shows_every_operation_and_needs_nothing_from_outside() {
    let app = TestApp::spawn().await;
    let document = document(&app).await;
    let page = app.get("/docs").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.header("content-security-policy").starts_with("default-src 'none'; style-src"));
    let html = String::from_utf8(page.body.to_vec()).expect("text");
    for (path, method, operation) in operations(&document) {
        let id = operation["operationId"].as_str().expect("an id");
        assert_eq!(html.matches(&format!(" id=\"{id}\"")).count(), 1, "{method} {path}");
    }
    assert!(!html.contains("://"), "a link to elsewhere");
    assert!(!html.contains("<script"));
    assert_eq!(app.get("/docs/style.css").await.header("content-type"), "text/css; charset=utf-8");
}

/// See `dev/fuzz` for what is asked, and what a schema cannot say.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nothing_is_answered_that_the_document_does_not_say() {
    let shipped = App::builder(default_config())
        .log(Arc::new(memory_log()))
        .store(Arc::new(MemoryViews::new(Arc::new(SystemClock))))
        .shipped();
    let app = TestApp::serve(shipped.build().await.expect("it"), Arc::new(Notify::new())).await;
    app.ready().await;
    let url = format!("http://{}", app.address);
    let asking = tokio::task::spawn_blocking(move || {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/dev/fuzz-api");
        Command::new(script).arg(url).output().expect("dev/fuzz-api runs")
    });
    let asked = asking.await.expect("no panic");
    let said = String::from_utf8_lossy(&asked.stdout);
    let why = String::from_utf8_lossy(&asked.stderr);
    assert!(asked.status.success(), "{said}\n{why}");
    assert!(said.contains("No issues found"), "{said}");
}

async fn document(app: &TestApp) -> Value {
    app.get("/openapi.json").await.ok().json()
}

fn operations(document: &Value) -> impl Iterator<Item = (&String, &String, &Value)> {
    document["paths"].as_object().expect("paths").iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("methods").iter();
        methods.map(move |(method, operation)| (path, method, operation))
    })
}

/// The routes of the table, each with its methods: `.route("/a", get(…).post(…))`.
fn routes() -> BTreeSet<String> {
    let table = ROUTES.split("Router::new()").nth(1).expect("the table");
    let table = table.split("let routes = match").next().expect("its end");
    let mut routes = BTreeSet::new();
    for route in table.split(".route(\"").skip(1) {
        let (path, handlers) = route.split_once('"').expect("a path");
        for method in ["get", "post", "delete", "put", "patch"] {
            if handlers.contains(&format!("{method}(")) {
                routes.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    assert!(routes.len() > 30, "{routes:?}");
    routes
}

/// The codes of the table: texts of small letters and underscores.
fn codes() -> impl Iterator<Item = &'static str> {
    let table = ANSWERS.split("impl Problem").nth(1).expect("the table");
    let is_code = |text: &&str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    table.split('"').skip(1).step_by(2).filter(is_code)
}

fn references<'d>(value: &'d Value, found: &mut Vec<&'d str>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                found.push(reference);
            }
            members.values().for_each(|member| references(member, found));
        }
        _ => {}
    }
}
