//! What a client may say about when a command is done: its key, the version expected, its fate.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::support::app::{Answer, TestApp};

const ANN: &str = "/commands/account/ann";

#[tokio::test]
async fn a_command_is_done_only_on_the_version_that_is_expected() {
    let app = TestApp::spawn().await;
    let deposit = json!({"type": "DepositMoney", "amount": 5});
    let open = json!({"type": "OpenAccount", "owner": "Ann"});
    app.ask(app.post(ANN, &deposit).header("If-Match", "*")).await.problem(412, "version_differs");
    let opened = app.ask(app.post(ANN, &open).header("If-None-Match", "*")).await.ok();
    assert_eq!(opened.header("etag"), "\"1\"");
    let withdraw = json!({"type": "WithdrawMoney", "amount": 5});
    let refused = app.ask(app.post(ANN, &withdraw).header("If-Match", "\"1\"")).await;
    refused.problem(422, "insufficient_funds");
    for name in ["etag", "retell-position"] {
        assert_eq!(refused.header(name), opened.header(name));
    }
    for (header, value) in [("If-Match", "\"4\""), ("If-Match", "\"0\""), ("If-None-Match", "*")] {
        let differs = app.ask(app.post(ANN, &deposit).header(header, value)).await;
        differs.problem(412, "version_differs");
        assert_eq!(differs.header("etag"), "\"1\"");
        assert_eq!(differs.header("retell-position"), opened.header("retell-position"));
        assert_eq!(differs.json()["current_version"], 1);
    }
    app.ask(app.post(ANN, &deposit).header("If-Match", "\"1\"")).await.ok();
    app.ask(app.post(ANN, &deposit).header("If-Match", "W/\"2\"")).await.ok();
    let third = app.ask(app.post(ANN, &deposit).header("If-Match", "*")).await.ok();
    assert_eq!(third.json()["version"], 4, "what was answered 412 was not done");
}

#[tokio::test]
async fn what_is_no_version_or_no_key_is_refused() {
    let app = TestApp::spawn().await;
    let open = json!({"type": "OpenAccount", "owner": "Ann"});
    for (header, value) in [("If-Match", "4"), ("If-Match", "\"x\""), ("If-None-Match", "\"4\"")] {
        let answer = app.ask(app.post(ANN, &open).header(header, value)).await;
        let detail = answer.problem(400, "not_a_version");
        assert!(detail.contains(header), "{detail}");
    }
    let both = app.post(ANN, &open).header("If-Match", "*").header("If-None-Match", "*");
    app.ask(both).await.problem(400, "not_a_version");
    for key in ["", "two words", "\"open", "policy:x", "cmd:1"] {
        app.ask(app.post(ANN, &open).header("Idempotency-Key", key)).await.problem(400, "bad_key");
    }
    app.open_account("ann", "Ann").await.ok();
}

#[tokio::test]
async fn a_key_is_the_commands_name() {
    let app = TestApp::spawn().await;
    let open = json!({"type": "OpenAccount", "owner": "Ann"});
    let answer = app.ask(app.post(ANN, &open).header("Idempotency-Key", "\"order-7\"")).await.ok();
    assert_eq!(answer.header("retell-command-id"), "order-7");
    assert_eq!(answer.json()["command_id"], "order-7");
    let refused = app.post(ANN, &json!({"type": "Nothing"})).header("Idempotency-Key", "order-8");
    assert_eq!(app.ask(refused).await.header("retell-command-id"), "order-8");
}

#[tokio::test]
async fn an_id_that_the_server_chooses_is_the_same_for_the_same_key() {
    let app = TestApp::spawn().await;
    let open = json!({"type": "OpenAccount", "owner": "Ann"});
    let post = async |key: Option<&str>| {
        let mut request = app.post("/commands/account", &open);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        app.ask(request).await.ok()
    };
    let id_of = |answer: &Answer| answer.json()["aggregate"]["id"].as_str().expect("id").to_owned();
    let (with_key, other_key) = (post(Some("k-1")).await, post(Some("k-2")).await);
    let (without, again) = (id_of(&post(None).await), id_of(&post(None).await));
    assert_eq!(id_of(&with_key).as_bytes()[14], b'5', "{with_key:?}");
    assert_eq!(without.as_bytes()[14], b'7', "{without}");
    assert!(id_of(&with_key) != id_of(&other_key) && without != again);
    // The same account again, so that its first answer is found.
    let same = post(Some("k-1")).await;
    assert_eq!(same.body, with_key.body);
    assert_eq!(same.header("idempotency-replayed"), "true");
    // Another type of aggregate is another name space.
    let produce = json!({"type": "ProduceMessage", "text": "hello"});
    let message = app.post("/commands/message", &produce).header("Idempotency-Key", "k-1");
    assert_ne!(id_of(&app.ask(message).await.ok()), id_of(&with_key));
}

#[tokio::test]
async fn the_fate_of_a_command_can_be_asked_for() {
    let app = TestApp::spawn().await;
    app.open_account("ann", "Ann").await.ok();
    let deposit = app.deposit("ann", 5).await.ok();
    app.deposit("ann", 6).await.ok();
    let id = deposit.header("retell-command-id").to_owned();
    let found = app.get(&format!("{ANN}/{id}")).await.ok();
    assert_eq!(found.json(), deposit.json());
    for name in ["etag", "retell-position", "retell-command-id"] {
        assert_eq!(found.header(name), deposit.header(name));
    }
    let elsewhere = app.get(&format!("/commands/account/bob/{id}")).await;
    elsewhere.problem(404, "not_committed");
    assert_eq!(elsewhere.header("retell-command-id"), id);
    app.get(&format!("{ANN}/nothing")).await.problem(404, "not_committed");
    app.get(&format!("{ANN}/cmd:1")).await.problem(400, "bad_id");
    app.get(&format!("/commands/acount/ann/{id}")).await.problem(404, "unknown_aggregate");
}

#[tokio::test]
async fn only_a_command_with_a_key_whose_fate_is_open_may_be_sent_again() {
    let app = TestApp::spawn_with(|config| {
        config.http.request_timeout = Duration::from_millis(100);
        config.write.decide_timeout = Duration::from_secs(60);
    })
    .await;
    let wait = app.post("/commands/slow/x", &json!({"type": "Wait"}));
    let answer = app.ask(wait.header("Idempotency-Key", "k")).await;
    answer.problem(504, "outcome_unknown");
    answer.header("retry-after");
    app.go.notify_one();
}

#[tokio::test]
async fn a_full_queue_turns_commands_away_and_recovers_by_itself() {
    let app = TestApp::spawn_with(|config| {
        config.write.decide_timeout = Duration::from_secs(60);
        config.write.queue_len_max = 1;
        config.write.in_flight_max = 1;
    })
    .await;
    let go = json!({"type": "Go"});
    let wait = tokio::spawn(app.post("/commands/slow/x", &json!({"type": "Wait"})).send());
    let mut queued = Vec::new();
    let full = loop {
        // One waits in the queue, the next finds it full.
        let mut one = Box::pin(app.ask(app.post("/commands/slow/x", &go)));
        match tokio::time::timeout(Duration::from_millis(200), &mut one).await {
            Ok(answer) if answer.status == 503 => break answer,
            Ok(_) => {}
            Err(_) => queued.push(one),
        }
    };
    full.problem(503, "queue_full");
    full.header("retry-after");
    app.go.notify_one();
    assert_eq!(wait.await.expect("no panic").expect("an answer").status(), 200);
    for one in queued {
        one.await.ok();
    }
    app.ask(app.request(Method::POST, "/commands/slow/x").json(&go)).await.ok();
}
