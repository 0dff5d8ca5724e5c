//! Idempotency keys over HTTP: the first answer again, and what is answered when it cannot be.

use std::sync::Arc;
use std::time::Duration;

use reqwest::RequestBuilder;
use retell::Offset;
use retell::ports::EventLog;
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp, memory_log};
use crate::support::unheard::Unheard;

const ANN: &str = "/commands/account/ann";
const SLOW: &str = "/commands/slow/x";
/// Headers that a repeated answer has as the first one.
const SAME: [&str; 4] = ["content-type", "etag", "retell-command-id", "retell-position"];

fn deposit() -> Value {
    json!({"type": "DepositMoney", "amount": 5})
}

fn withdraw() -> Value {
    json!({"type": "WithdrawMoney", "amount": 50})
}

/// A command with a key, in a request with a name: a problem repeats that.
fn keyed(app: &TestApp, path: &str, command: &Value, key: &str) -> RequestBuilder {
    app.post(path, command).header("Idempotency-Key", key).header("X-Request-Id", "r-1")
}

async fn ask(app: &TestApp, command: &Value, key: &str) -> Answer {
    app.ask(keyed(app, ANN, command, key)).await
}

#[track_caller]
fn assert_first(answer: &Answer) {
    assert_eq!(answer.headers.get("idempotency-replayed"), None, "{answer:?}");
}

/// The same answer, but that it says so.
#[track_caller]
fn assert_again(again: &Answer, first: &Answer) {
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    for name in SAME {
        assert_eq!(again.headers.get(name), first.headers.get(name), "{name}");
    }
}

/// L4: also when the state is another by now, and from another process on the same log.
#[tokio::test]
async fn a_repeated_command_is_answered_as_the_first_time() {
    let log = Arc::new(memory_log());
    let app = TestApp::spawn_on(log.clone(), |_| {}).await;
    app.open_account("ann", "Ann").await.ok();
    let first = ask(&app, &deposit(), "d-1").await.ok();
    assert_first(&first);
    assert_eq!(first.header("etag"), "\"2\"");
    app.deposit("ann", 1).await.ok();
    assert_again(&ask(&app, &deposit(), "\"d-1\"").await, &first);
    app.stop().await.expect("an end");
    let app = TestApp::spawn_on(log, |_| {}).await;
    assert_again(&ask(&app, &deposit(), "d-1").await, &first);
    let next = app.deposit("ann", 1).await.ok();
    assert_eq!(next.json()["version"], 4, "it was done once");
    assert_eq!(next.json()["events"][0]["data"]["balance"], 7);
}

#[tokio::test]
async fn a_repeated_refusal_is_the_same_answer_again() {
    let log = Arc::new(memory_log());
    let app = TestApp::spawn_on(log.clone(), |_| {}).await;
    app.open_account("ann", "Ann").await.ok();
    let first = ask(&app, &withdraw(), "w-1").await;
    first.problem(422, "insufficient_funds");
    assert_first(&first);
    assert_eq!(first.header("etag"), "\"1\"", "the version that it was decided on");
    // By now it would not be refused.
    app.deposit("ann", 500).await.ok();
    let again = ask(&app, &withdraw(), "w-1").await;
    again.problem(422, "insufficient_funds");
    assert_again(&again, &first);
    app.stop().await.expect("an end");
    let app = TestApp::spawn_on(log, |_| {}).await;
    assert_again(&ask(&app, &withdraw(), "w-1").await, &first);
    let fate = app.request(reqwest::Method::GET, &format!("{ANN}/w-1"));
    assert_again(&app.ask(fate.header("X-Request-Id", "r-1")).await, &first);
    ask(&app, &withdraw(), "w-2").await.ok();
}

#[tokio::test]
async fn a_key_is_for_one_command_of_one_aggregate() {
    let app = TestApp::spawn().await;
    app.open_account("ann", "Ann").await.ok();
    app.open_account("bob", "Bob").await.ok();
    let first = ask(&app, &deposit(), "k").await.ok();
    ask(&app, &withdraw(), "k").await.problem(422, "key_reused");
    let spaced = app.request(reqwest::Method::POST, ANN).header("content-type", "application/json");
    let spaced =
        spaced.header("Idempotency-Key", "k").body(r#"{"type": "DepositMoney","amount":5}"#);
    app.ask(spaced).await.problem(422, "key_reused");
    let elsewhere = app.ask(keyed(&app, "/commands/account/bob", &deposit(), "k")).await.ok();
    assert_first(&elsewhere);
    assert_again(&ask(&app, &deposit(), "k").await, &first);
}

#[tokio::test]
async fn what_was_never_decided_spends_no_key() {
    let app = TestApp::spawn().await;
    let nothing = json!({"type": "Nothing"});
    ask(&app, &nothing, "k").await.problem(400, "unknown_command");
    let differs = keyed(&app, ANN, &deposit(), "k").header("If-Match", "*");
    app.ask(differs).await.problem(412, "version_differs");
    app.get(&format!("{ANN}/k")).await.problem(404, "not_committed");
    let opened = ask(&app, &json!({"type": "OpenAccount", "owner": "Ann"}), "k").await.ok();
    assert_first(&opened);
}

/// The first one is not decided yet: whoever repeats it waits as long as a request may take.
#[tokio::test]
async fn a_duplicate_of_what_is_being_decided_is_a_409() {
    let app = TestApp::spawn_with(|config| {
        config.http.request_timeout = Duration::from_millis(100);
        config.write.decide_timeout = Duration::from_secs(60);
    })
    .await;
    let wait = json!({"type": "Wait"});
    let first = app.ask(keyed(&app, SLOW, &wait, "k")).await;
    first.problem(504, "outcome_unknown");
    first.header("retry-after");
    app.ask(keyed(&app, SLOW, &wait, "k")).await.problem(409, "in_flight");
    app.get(&format!("{SLOW}/k")).await.problem(409, "in_flight");
    app.go.notify_one();
    let done = app.eventually(&format!("{SLOW}/k"), |answer| answer.status == 200).await;
    assert_eq!(done.json()["version"], 1);
    assert_again(&app.ask(keyed(&app, SLOW, &wait, "k")).await, &done);
}

/// The first one is in the log, but the log has not said so.
#[tokio::test]
async fn a_duplicate_of_what_is_not_acknowledged_is_a_409() {
    let log = Unheard::of(memory_log());
    let app = TestApp::spawn_on(Arc::new(log.clone()), |config| {
        config.http.request_timeout = Duration::from_millis(100);
    })
    .await;
    app.open_account("ann", "Ann").await.ok();
    log.fall_silent();
    ask(&app, &deposit(), "k").await.problem(504, "outcome_unknown");
    ask(&app, &deposit(), "k").await.problem(409, "in_flight");
    log.speak();
    let done = app.eventually(&format!("{ANN}/k"), |answer| answer.status == 200).await;
    assert_again(&ask(&app, &deposit(), "k").await, &done);
    assert_eq!(app.deposit("ann", 1).await.ok().json()["version"], 3, "it was done once");
}

async fn appended(log: &impl EventLog) -> Vec<Offset> {
    let mut ends = Vec::new();
    for partition in log.partitions().iter() {
        ends.push(log.end(partition).await.expect("end"));
    }
    ends
}

/// L8: a new key finds no room, before anything is appended; all else goes on.
#[tokio::test]
async fn a_key_that_cannot_be_kept_is_a_503_and_nothing_else_is() {
    let log = memory_log();
    // One for each partition.
    let app = TestApp::spawn_on(Arc::new(log.clone()), |config| config.write.kept_keys_max = 4);
    let app = app.await;
    app.open_account("ann", "Ann").await.ok();
    let first = ask(&app, &deposit(), "k-1").await.ok();
    let before = appended(&log).await;
    for command in [deposit(), withdraw()] {
        let full = ask(&app, &command, "k-2").await;
        let detail = full.problem(503, "keys_full");
        assert!(detail.contains("write.kept_keys_max"), "{detail}");
        full.header("retry-after");
    }
    app.get(&format!("{ANN}/k-2")).await.problem(404, "not_committed");
    assert_again(&ask(&app, &deposit(), "k-1").await, &first);
    assert_eq!(appended(&log).await, before, "nothing was appended");
    let without = app.deposit("ann", 1).await.ok();
    let id = without.header("retell-command-id").to_owned();
    assert_eq!(without.json()["version"], 3);
    let sent_back = ask(&app, &json!({"type": "DepositMoney", "amount": 1}), &id).await;
    assert_again(&sent_back, &without);
    let mut elsewhere = 0;
    for i in 0..20 {
        let open = json!({"type": "OpenAccount", "owner": "Ann"});
        let answer = app.ask(keyed(&app, &format!("/commands/account/a{i}"), &open, "k")).await;
        match answer.status {
            200 => elsewhere += 1,
            _ => drop(answer.problem(503, "keys_full")),
        }
    }
    assert_eq!(elsewhere, 3, "one in each other partition");
}
