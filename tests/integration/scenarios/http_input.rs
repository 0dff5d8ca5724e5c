//! Bad input: each mistake has its status, and a document that says where and what was expected.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::TestApp;

const ANN: &str = "/commands/account/ann";

#[tokio::test]
async fn a_body_that_is_no_command_says_where_and_what_was_expected() {
    let app = TestApp::spawn().await;
    for (body, code, said) in [
        ("", "malformed_json", "line 1, column 0"),
        ("{\"type\":\n oops}", "malformed_json", "line 2, column 2"),
        ("[]", "not_an_object", "line 1, column 1: expected an object"),
        ("[\"CloseAccount\"]", "not_an_object", "found a list"),
        ("[{\"type\":\"CloseAccount\"}]", "not_an_object", "found a list"),
        ("\n \"CloseAccount\"", "not_an_object", "line 2, column 2: expected an object"),
        ("5", "not_an_object", "{\"type\":\"OpenAccount\"}, found a number"),
        ("null", "not_an_object", "found null"),
        ("[\"CloseAccount\"", "malformed_json", "line 1, column 15"),
        ("{\"type\":\"CloseAccount\"} x", "malformed_json", "column 25"),
        ("{\"amount\":5}", "no_command_type", "OpenAccount"),
        ("{\"type\":5}", "no_command_type", "\"type\""),
        ("{\"type\":\"Deposit\"}", "unknown_command", "DepositMoney"),
        ("{\"type\":\"DepositMoney\"}", "bad_field", "missing field `amount`"),
        ("{\"type\":\"DepositMoney\",\"amount\":\"5\"}", "bad_field", "DepositMoney.amount"),
        ("{\"type\":\"DepositMoney\",\"amount\":null}", "bad_field", "expected i64"),
        ("{\"type\":\"DepositMoney\",\"amount\":5,\"to\":1}", "bad_field", "unknown field `to`"),
        ("{\"type\":\"OpenAccount\",\"owner\":null}", "bad_field", "expected a string"),
    ] {
        let request = app.request(Method::POST, ANN).header("content-type", "application/json");
        let detail = app.ask(request.body(body)).await.problem(400, code);
        assert!(detail.contains(said), "{body}: {detail}");
    }
}

/// What does not fit is refused where it is read; what fits, by the account.
#[tokio::test]
async fn an_amount_that_is_none_says_what_it_is_and_moves_nothing() {
    let app = TestApp::spawn().await;
    app.open_account("ann", "Ann").await.ok();
    let deposit = |amount: &str| {
        let request = app.request(Method::POST, ANN).header("content-type", "application/json");
        app.ask(request.body(format!("{{\"type\":\"DepositMoney\",\"amount\":{amount}}}")))
    };
    for (amount, said) in [
        ("1.5", "DepositMoney.amount: invalid type: floating point `1.5`, expected i64"),
        ("-0", "DepositMoney.amount: invalid type: floating point `-0.0`, expected i64"),
        ("5e0", "DepositMoney.amount: invalid type: floating point `5.0`, expected i64"),
        ("9223372036854775808", "`9223372036854775808`, expected i64"),
        ("18446744073709551616", "expected i64"),
        ("1e40", "expected i64"),
        ("1e400", "DepositMoney.amount: number out of range (line 1, column"),
    ] {
        let detail = deposit(amount).await.problem(400, "bad_field");
        assert!(detail.contains(said), "{amount}: {detail}");
    }
    for (amount, code, said) in [
        ("0", "amount_not_positive", "at least 1, is 0"),
        ("-5", "amount_not_positive", "at least 1, is -5"),
        ("9007199254740992", "balance_overflow", "9007199254740991"),
        ("9223372036854775807", "balance_overflow", "9007199254740991"),
        ("-9223372036854775808", "amount_not_positive", "-9223372036854775808"),
    ] {
        let detail = deposit(amount).await.problem(422, code);
        assert!(detail.contains(said), "{amount}: {detail}");
    }
    let whole = deposit("9007199254740991").await.ok();
    assert_eq!(whole.json()["version"], 2, "nothing else was done");
    let more = deposit("1").await.problem(422, "balance_overflow");
    assert!(more.contains("9007199254740991"), "{more}");
}

#[tokio::test]
async fn a_list_is_no_command_whatever_is_in_it() {
    let app = TestApp::spawn().await;
    app.command("message", "m", &json!({"type": "ProduceMessage", "text": "x"})).await.ok();
    let answer = app.command("message", "m", &json!(["ConsumeMessage"])).await;
    answer.problem(400, "not_an_object");
}

#[tokio::test]
async fn a_body_that_is_no_utf8_is_malformed() {
    let app = TestApp::spawn().await;
    let request = app.request(Method::POST, ANN).header("content-type", "application/json");
    let body = b"{\"type\":\"OpenAccount\",\"owner\":\"\xff\"}".to_vec();
    app.ask(request.body(body)).await.problem(400, "malformed_json");
}

#[tokio::test]
async fn what_is_not_there_is_a_404() {
    let app = TestApp::spawn().await;
    let command = json!({"type": "OpenAccount", "owner": "Ann"});
    let detail = app.command("acount", "ann", &command).await.problem(404, "unknown_aggregate");
    assert!(detail.contains("`acount`"), "{detail}");
    for path in ["/nowhere", "/command", "/commands/account/a/b/c"] {
        app.ask(app.post(path, &command)).await.problem(404, "no_such_route");
    }
}

#[tokio::test]
async fn a_wrong_method_lists_the_right_ones() {
    let app = TestApp::spawn().await;
    for (method, path, allowed) in [
        (Method::GET, ANN, "POST"),
        (Method::PUT, ANN, "POST"),
        (Method::POST, "/projections", "GET,HEAD"),
        (Method::PATCH, "/admin/replays", "GET,HEAD,POST"),
        (Method::DELETE, "/health/live", "GET,HEAD"),
    ] {
        let answer = app.ask(app.request(method, path)).await;
        answer.problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), allowed, "{path}");
    }
}

#[tokio::test]
async fn a_body_of_another_type_is_a_415_that_says_which_is_right() {
    let app = TestApp::spawn().await;
    let plain = app.request(Method::POST, ANN).body("{}");
    let detail = app.ask(plain).await.problem(415, "unsupported_media_type");
    assert!(detail.contains("application/json"), "{detail}");
    let form = app.request(Method::POST, ANN).header("content-type", "text/csv").body("{}");
    let detail = app.ask(form).await.problem(415, "unsupported_media_type");
    assert!(detail.contains("text/csv"), "{detail}");
    let open = app.post(ANN, &json!({"type": "OpenAccount", "owner": "Ann"}));
    let packed = app.ask(open.header("content-encoding", "gzip")).await;
    let detail = packed.problem(415, "unsupported_media_type");
    assert!(detail.contains("Content-Encoding"), "{detail}");
}

#[tokio::test]
async fn a_client_that_does_not_take_json_gets_nothing_done() {
    let app = TestApp::spawn().await;
    let open = app.post(ANN, &json!({"type": "OpenAccount", "owner": "Ann"}));
    app.ask(open.header("accept", "text/html")).await.problem(406, "not_acceptable");
    app.open_account("ann", "Ann").await.ok();
    let view = app.request(Method::GET, "/projections/accounts/ann").header("accept", "text/html");
    app.ask(view).await.problem(406, "not_acceptable");
    let stream = app.request(Method::GET, "/admin/status").header("accept", "text/event-stream");
    app.ask(stream).await.problem(406, "not_acceptable");
}

#[tokio::test]
async fn strange_ids_are_refused_and_unicode_ones_are_not() {
    let app = TestApp::spawn().await;
    let open = r#"{"type":"OpenAccount","owner":"Ann"}"#;
    let long = "x".repeat(10_000);
    let bytes = "%C3%A9".repeat(101);
    for (id, said) in [
        ("a%2Fb", "must not contain `/`"),
        ("..", "must not be"),
        ("%2e", "must not be"),
        ("a%0Ab", "control characters"),
        ("%C2%85", "control characters"),
        ("%ff", "must be UTF-8"),
        ("100%", "two hex digits"),
        (&long, "has 10000"),
        (&bytes, "has 202"),
    ] {
        let answer = app.raw_post(&format!("/commands/account/{id}"), open).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{id}: {answer}");
        assert!(answer.contains("\"bad_id\"") && answer.contains(said), "{id}: {answer}");
    }
    for id in ["Zo%C3%AB", "%F0%9F%A6%80", "a%20b%23", "100%25", "...", "~a+b:c@d"] {
        let answer = app.raw_post(&format!("/commands/account/{id}"), open).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{id}: {answer}");
    }
    let stored = app.open_account("Zoë", "Zoë").await;
    stored.problem(422, "already_open");
}

#[tokio::test]
async fn an_endless_path_is_a_414() {
    let app = TestApp::spawn().await;
    let path = format!("/commands/account/{}", "x".repeat(50_000));
    let answer = app.raw_post(&path, "{}").await;
    assert!(answer.starts_with("HTTP/1.1 414 "), "{answer}");
    assert!(answer.contains("\"uri_too_long\""), "{answer}");
}

#[tokio::test]
async fn what_is_not_understood_is_refused_and_not_ignored() {
    let app = TestApp::spawn().await;
    let open = json!({"type": "OpenAccount", "owner": "Ann"});
    for (header, value) in [("X-Correlation-Id", "two words"), ("X-Causation-Id", "")] {
        let answer = app.ask(app.post(ANN, &open).header(header, value)).await;
        let detail = answer.problem(400, "bad_header");
        assert!(detail.contains(header), "{detail}");
    }
    let command = format!("{ANN}?dry_run=1");
    let detail = app.ask(app.post(&command, &open)).await.problem(400, "unknown_parameter");
    assert!(detail.contains("`dry_run`"), "{detail}");
    for path in [
        "/projections?limit=5",
        "/projections/accounts/ann?at=1",
        "/admin/replays?x",
        "/admin/status?x=1",
        "/health/live?x=1",
        "/health/ready?x=1",
        "/?x=1",
    ] {
        app.get(path).await.problem(400, "unknown_parameter");
    }
    app.open_account("ann", "Ann").await.ok();
}

#[tokio::test]
async fn an_oversized_body_is_read_to_its_end_so_that_the_client_sees_the_413() {
    let app = TestApp::spawn_with(|config| config.http.body_bytes_max = 1_000).await;
    let text = json!({"type": "ProduceMessage", "text": "x".repeat(900)});
    app.command("message", "m", &text).await.ok();
    let answer = app.raw_post("/commands/message/n", &"x".repeat(8 << 20)).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let document: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).expect("body"))
        .unwrap_or_else(|error| panic!("{error}: {answer}"));
    assert_eq!(document["code"], "body_too_large");
    assert!(document["detail"].as_str().expect("detail").contains("1000"), "{document}");
}
