//! The command line as a client of a running service: what it prints, and with which code it ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::certificates::{CertificateAuthority, text};
use crate::support::command_line::{client, retell, retell_with};

fn envelope(id: &str, command: &Value) -> String {
    json!({"aggregate": {"type": "account", "id": id}, "command": command}).to_string() + "\n"
}

fn problem(status: u16, code: &str) -> String {
    json!({"status": status, "code": code, "detail": "on purpose"}).to_string()
}

/// Something that answers as a service would at a moment that no service can be held at.
async fn pretend(routes: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("address");
    tokio::spawn(axum::serve(listener, routes).into_future());
    address
}

#[tokio::test]
async fn commands_of_one_aggregate_are_sent_in_the_order_of_the_lines() {
    let app = TestApp::spawn().await;
    let mut lines = String::new();
    for i in 0..20 {
        let open = json!({"type": "OpenAccount", "owner": "Ann"});
        lines += &envelope(&format!("a{i}"), &open);
    }
    // Each of these is refused when it comes before the one before it.
    for amount in 1..=10 {
        for i in 0..20 {
            let id = format!("a{i}");
            lines += &envelope(&id, &json!({"type": "DepositMoney", "amount": amount}));
            lines += &envelope(&id, &json!({"type": "WithdrawMoney", "amount": amount}));
        }
    }
    let ended = client(app.address, &["send", "-", "--json"], &lines).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let summary: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!((&summary["done"], &summary["failed"]), (&json!(420), &json!(0)));
    let last = app.withdraw("a0", 1).await;
    last.problem(422, "insufficient_funds");
}

#[tokio::test]
async fn a_shell_is_told_what_to_complete() {
    let ended = retell(&["completions", "bash"], "").await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let script = ended.stdout
        + "COMP_WORDS=(retell re) COMP_CWORD=1; _retell retell re retell; echo \"${COMPREPLY[@]}\"";
    let bash = move || std::process::Command::new("bash").args(["-c", &script]).output();
    let output = tokio::task::spawn_blocking(bash).await.expect("no panic");
    let output = output.expect("bash runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "replay", "{output:?}");
}

#[tokio::test]
async fn a_line_that_fails_is_told_with_its_number_and_the_others_go_on() {
    let app = TestApp::spawn().await;
    let mut lines = envelope("ann", &json!({"type": "OpenAccount", "owner": "Ann"}));
    lines += "{broken\n\n";
    lines += &envelope("ann", &json!({"type": "WithdrawMoney", "amount": 5}));
    lines += &envelope("ann", &json!({"type": "DepositMoney", "amount": 5}));
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("in.ndjson");
    std::fs::write(&file, lines).expect("written");
    let file = file.to_str().expect("text");
    let ended = client(app.address, &["send", file], "").await;
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stdout.starts_with("2 done, 2 failed, 0 sent again"), "{ended:?}");
    assert!(ended.stderr.contains("line 2: bad_line: column 2"), "{ended:?}");
    let refused = "line 4: account/ann: 422 insufficient_funds: ";
    assert!(ended.stderr.contains(refused), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 2, "no bar where there is no terminal: {ended:?}");
}

/// A service that turns every other command away, although it could be done at once.
#[tokio::test]
async fn a_line_for_which_nothing_was_done_is_sent_again() {
    let asked = Arc::new(AtomicU32::new(0));
    let answer = move || {
        let turned_away = asked.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
        let problem = problem(503, "queue_full");
        std::future::ready(match turned_away {
            true => (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "0")], problem),
            false => (StatusCode::OK, [("etag", "\"1\"")], "{}".to_owned()),
        })
    };
    let routes = Router::new().route("/commands/account/ann", post(answer));
    let address = pretend(routes.route("/health/live", get(|| async {}))).await;
    let line = envelope("ann", &json!({"type": "DepositMoney", "amount": 1}));
    let ended = client(address, &["send", "-", "--json"], &line.repeat(3)).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let summary: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!((&summary["done"], &summary["retries"]), (&json!(3), &json!(3)));
}

/// What may have been done must not be done twice.
#[tokio::test]
async fn a_line_whose_fate_is_open_is_not_sent_again() {
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let answer = move || {
        count.fetch_add(1, Ordering::SeqCst);
        std::future::ready((StatusCode::GATEWAY_TIMEOUT, problem(504, "outcome_unknown")))
    };
    let routes = Router::new().route("/commands/account/ann", post(answer));
    let address = pretend(routes.route("/health/live", get(|| async {}))).await;
    let line = envelope("ann", &json!({"type": "DepositMoney", "amount": 1}));
    let ended = client(address, &["send", "-"], &line).await;
    assert_eq!((ended.code, asked.load(Ordering::SeqCst)), (1, 1), "{ended:?}");
    assert!(ended.stderr.contains("line 1: account/ann: 504 outcome_unknown"), "{ended:?}");
}

#[tokio::test]
async fn a_replay_is_followed_to_its_end() {
    let app = TestApp::spawn().await;
    app.open_account("ann", "Ann").await.ok();
    let ended = client(app.address, &["replay", "accounts"], "").await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.starts_with("replayed accounts: "), "{ended:?}");
    let ended = client(app.address, &["replay", "--json"], "").await;
    let replay: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(replay["state"], "done");
    assert_eq!(
        replay["projections"],
        json!(["account-totals", "accounts", "history", "messages", "traces"])
    );
    let ended = client(app.address, &["replay", "acounts"], "").await;
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("`acounts`"), "{ended:?}");
}

#[tokio::test]
async fn a_verification_is_followed_to_what_it_finds() {
    let app = TestApp::spawn().await;
    let opened = app.open_account("ann", "Ann").await.ok();
    app.view("accounts", "ann", &opened).await.ok();
    let ended = client(app.address, &["verify", "accounts"], "").await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.starts_with("verified accounts: 1 views are what the log"), "{ended:?}");
    let ended = client(app.address, &["verify", "--json"], "").await;
    let verification: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(verification["state"], "equal");
    let ended = client(app.address, &["verify", "acounts"], "").await;
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("`acounts`"), "{ended:?}");
}

#[tokio::test]
async fn a_view_that_differs_is_named_and_is_exit_code_1() {
    let start = || async { (StatusCode::ACCEPTED, [("location", "verifications/7")], "{}") };
    let found = json!({
        "projections": ["accounts"], "state": "differs", "records": 9, "records_total": 9,
        "compared": {"views": 1_200, "differences": 2, "difference": {
            "projection": "accounts", "key": "acc007", "of": "view", "position": "1@55",
            "live": {"balance": 1}, "log": null,
        }},
        "parked": [{
            "projection": "accounts", "aggregate": "account/bob", "position": "2@7",
            "error": "no JSON", "count": 3,
        }],
    });
    let routes = Router::new().route("/admin/verifications", post(start));
    let found = move || std::future::ready(found.to_string());
    let address = pretend(routes.route("/admin/verifications/7", get(found))).await;
    let ended = client(address, &["verify"], "").await;
    assert_eq!(ended.code, 1, "{ended:?}");
    let said = "verified accounts: 2 of 1,200 views differ; the first is \
                accounts/acc007 at 1@55:\n  \
                live {\"balance\":1}\n  log  nothing\n\
                parked: account/bob in accounts, from 2@7 on: no JSON\n";
    assert_eq!(ended.stdout, said);
}

#[tokio::test]
async fn a_replay_that_stops_on_a_difference_says_how_to_go_on() {
    let start = || async { (StatusCode::ACCEPTED, [("location", "replays/7")], "{}") };
    let found = json!({
        "projections": ["accounts"], "state": "differs", "records": 9, "records_total": 9,
        "compared": {"views": 12, "differences": 1, "difference": null},
    });
    let routes = Router::new().route("/admin/replays", post(start));
    let found = move || std::future::ready(found.to_string());
    let address = pretend(routes.route("/admin/replays/7", get(found))).await;
    let ended = client(address, &["replay", "--require-equal"], "").await;
    assert_eq!(ended.code, 1, "{ended:?}");
    for said in ["1 of 12 views differ", "retell replay --flip 7", "retell replay --cancel 7"] {
        assert!(ended.stdout.contains(said), "{ended:?}");
    }
}

#[tokio::test]
async fn a_replay_that_runs_already_is_followed_and_its_result_is_the_exit_code() {
    let start = || async { (StatusCode::CONFLICT, [("location", "replays/7")], "{}") };
    let asked = Arc::new(AtomicU32::new(0));
    let status = move || {
        let state = if asked.fetch_add(1, Ordering::SeqCst) < 2 { "running" } else { "failed" };
        let replay = json!({
            "projections": ["accounts"], "state": state, "error": "the store is full",
            "records": 5, "records_total": 9,
        });
        std::future::ready(replay.to_string())
    };
    let routes = Router::new().route("/admin/replays", post(start));
    let address = pretend(routes.route("/admin/replays/7", get(status))).await;
    let ended = client(address, &["replay", "accounts"], "").await;
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("running already"), "{ended:?}");
    assert_eq!(ended.stdout, "replay of accounts failed: the store is full\n");
}

#[tokio::test]
async fn status_is_for_people_or_as_the_service_says_it() {
    let app = TestApp::spawn_with(|config| config.node.id = "n1".to_owned()).await;
    app.open_account("ann", "Ann").await.ok();
    app.eventually("/admin/status", |answer| {
        let json = answer.json();
        let partitions = json["partitions"].as_array().expect("partitions");
        partitions.iter().any(|it| it["aggregates"] == 1 && it["stored"] == 2 && it["behind"] == 0)
    })
    .await;
    let ended = client(app.address, &["status"], "").await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.starts_with("n1 at "), "{ended:?}");
    let cells = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let titles = ["partition", "aggregates", "hits", "misses", "stored", "behind", "keys"];
    let mut lines = ended.stdout.lines().map(cells).skip_while(|line| *line != titles).skip(1);
    assert!(lines.any(|line| line[1..] == ["1", "1", "0", "2", "0", "0"]), "{ended:?}");
    for name in ["owner", "account-totals", "following"] {
        assert!(ended.stdout.contains(name), "{name}: {ended:?}");
    }
    let ended = client(app.address, &["status", "--json"], "").await;
    let status: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(status["node"]["id"], "n1");
}

#[tokio::test]
async fn a_service_that_is_not_there_is_told_with_what_to_do() {
    // The port is free again, and nobody listens.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("address");
    drop(listener);
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["history", "account/ann"],
        &["replay"],
        &["verify"],
        &["parked"],
        &["parked", "retry", "accounts:5:account%2Fann"],
        &["send", "-"],
    ] {
        let ended = client(address, arguments, "").await;
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.stderr.contains("retell serve"), "{ended:?}");
        assert_eq!(ended.stdout, "", "{ended:?}");
    }
}

/// What is not for a person's eyes is plain text: help, what is done, and what is wrong.
#[tokio::test]
async fn nothing_is_coloured_where_there_is_no_terminal() {
    let app = TestApp::spawn().await;
    app.open_account("ann", "Ann").await.ok();
    let url = format!("http://{}", app.address);
    for arguments in [
        &["--help"][..],
        &["send", "--help"],
        &["bogus"],
        &["config"],
        &["status", "--url", &url],
        &["history", "account/ann", "--url", &url],
        &["replay", "accounts", "--url", &url],
        &["parked", "--url", &url],
        &["status", "--url", "nowhere"],
    ] {
        let ended = retell(arguments, "").await;
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!said.is_empty() && !said.contains('\u{1b}'), "{arguments:?}: {said:?}");
    }
}

/// An image without `ca-certificates`.
const NO_CERTIFICATES: [(&str, &str); 2] =
    [("SSL_CERT_FILE", "/nowhere/cert.pem"), ("SSL_CERT_DIR", "/nowhere")];

#[tokio::test]
async fn a_machine_without_certificates_asks_by_http_and_says_what_https_needs() {
    let app = TestApp::spawn().await;
    let url = format!("http://{}", app.address);
    let ended = retell_with(&["status", "--url", &url], &NO_CERTIFICATES, "").await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let url = url.replace("http:", "https:");
    let ended = retell_with(&["status", "--url", &url], &NO_CERTIFICATES, "").await;
    assert_eq!(ended.code, 1, "{ended:?}");
    for said in ["ca-certificates", "RETELL_CA_FILE"] {
        assert!(ended.stderr.contains(said), "{ended:?}");
    }
    // An authority of one's own is enough.
    let authority = CertificateAuthority::new();
    let own = text(&authority.file("ca.pem"));
    let settings = [&NO_CERTIFICATES[..], &[("RETELL_CA_FILE", &own)]].concat();
    let ended = retell_with(&["status", "--url", &url], &settings, "").await;
    assert!(ended.stderr.contains("no service answers at https://"), "{ended:?}");
}

#[tokio::test]
async fn wrong_usage_ends_with_2() {
    for arguments in [
        &["bogus"][..],
        &["send"],
        &["send", "-", "--in-flight", "0"],
        &["replay", "--records-per-second", "0"],
        &["replay", "accounts", "--flip", "01a20154-4d83-7f59-b747-16d8f43c8e4b"],
        &["replay", "--cancel", "one"],
        &["status", "--url", "nowhere"],
        &["status", "--url", "ftp://127.0.0.1:1"],
        &["topic", "check"],
    ] {
        let ended = retell(arguments, "").await;
        assert_eq!(ended.code, 2, "{arguments:?}: {ended:?}");
    }
    let missing = retell(&["send", "no-such-file"], "").await;
    assert_eq!(missing.code, 1, "{missing:?}");
}
