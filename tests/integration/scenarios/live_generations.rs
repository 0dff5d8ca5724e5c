//! Generations on a real Kafka and a real Redis: verified, rolled back, killed in the middle, of
//! two revisions side by side.

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use super::revisions::serve_two_revisions;
use crate::support::kafka::{new_log, shared_brokers};
use crate::support::log_config;
use crate::support::process::Process;
use crate::support::redis::{connection, shared_url, views};

/// `accounts` accounts with some deposits each, sent by the command line.
async fn filled(service: &Process, accounts: usize, lines: usize) {
    let mut input = String::new();
    for i in 0..lines {
        let command = match i < accounts {
            true => json!({"type": "OpenAccount", "owner": format!("o{}", i % 7)}),
            false => json!({"type": "DepositMoney", "amount": 1 + i % 5}),
        };
        let id = format!("a{}", i % accounts);
        let line = json!({"aggregate": {"type": "account", "id": id}, "command": command});
        input.push_str(&format!("{line}\n"));
    }
    let sent = service.cli(&["send", "-"], &input).await;
    assert_eq!(sent.code, 0, "{}", sent.stderr);
}

/// R1: what somebody changes in Redis is found and named; a replay heals it.
#[tokio::test(flavor = "multi_thread")]
async fn verify_finds_a_view_that_was_changed_in_redis() {
    let topic = format!("test-{}", Uuid::now_v7());
    let service = Process::start_on(&shared_brokers(), &topic, &shared_url()).await.ready().await;
    filled(&service, 100, 400).await;
    let verified = service.cli(&["verify"], "").await;
    assert_eq!(verified.code, 0, "{verified:?}");
    let mut connection = connection(&shared_url()).await;
    // The hidden generation of the verification may still be on its way out.
    let listed = service.get("/projections").await.expect("an answer").ok().json();
    let of_accounts = |it: &&Value| it["name"] == "accounts";
    let accounts = listed["items"].as_array().expect("a list").iter().find(of_accounts);
    let live = accounts.and_then(|it| it["generation"].as_str()).expect("live");
    let pattern = format!("retell:{{{topic}:accounts:{live}:*:doc:a7");
    let found: Vec<String> =
        redis::cmd("KEYS").arg(pattern).query_async(&mut connection).await.expect("keys");
    assert_eq!(found.len(), 1, "{found:?}");
    let () = redis::cmd("SET")
        .arg(&found[0])
        .arg(r#"{"id":"a7","balance":1}"#)
        .query_async(&mut connection)
        .await
        .expect("set");
    let verified = service.cli(&["verify"], "").await;
    assert_eq!(verified.code, 1, "{verified:?}");
    assert!(verified.stdout.contains("accounts/a7 at "), "{verified:?}");
    let replayed = service.cli(&["replay", "accounts", "--require-equal"], "").await;
    assert_eq!(replayed.code, 1, "{replayed:?}");
    assert!(replayed.stdout.contains("1 of 100 views differ"), "{replayed:?}");
    let flip = replayed.stdout.split_whitespace().skip_while(|word| *word != "--flip").nth(1);
    let flipped = service.cli(&["replay", "--flip", flip.expect("how")], "").await;
    assert_eq!(flipped.code, 0, "{flipped:?}");
    let verified = service.cli(&["verify"], "").await;
    assert_eq!(verified.code, 0, "{verified:?}");
}

/// R4: the views before a replay are live again at once, with all that came since.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_on_real_servers_is_one_step() {
    let topic = format!("test-{}", Uuid::now_v7());
    let service = Process::start_on(&shared_brokers(), &topic, &shared_url()).await.ready().await;
    filled(&service, 100, 400).await;
    let replayed = service.cli(&["replay", "accounts"], "").await;
    assert_eq!(replayed.code, 0, "{replayed:?}");
    let done = service.deposit("a3", 1_000).await.ok();
    let before = service.view("a3", done.header("retell-position")).await;
    let path = "/admin/projections/accounts/rollback";
    let back = service.post(path, &json!({})).await.ok();
    let after = service.get("/projections/accounts/a3").await.expect("an answer").ok();
    assert_eq!(after.json(), before);
    service.post(path, &json!({})).await.problem(409, "nothing_before");
    let verified = service.cli(&["verify"], "").await;
    assert_eq!(verified.code, 0, "{verified:?}");
    // Of the one that was rolled back nothing is left, and of what was hidden neither.
    let live = back.json()["generation"].as_str().expect("live").to_owned();
    let mut connection = connection(&shared_url()).await;
    let only_live = async {
        loop {
            let keys: Vec<String> = redis::cmd("KEYS")
                .arg(format!("retell:{{{topic}:accounts:*}}:*"))
                .query_async(&mut connection)
                .await
                .expect("keys");
            if keys.iter().all(|key| key.contains(&live)) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let dropped = tokio::time::timeout(std::time::Duration::from_secs(20), only_live).await;
    dropped.expect("what is not live is dropped");
}

/// R2: kill -9 in the middle of a replay: the next process goes on with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_killed_in_the_middle_goes_on() {
    let topic = format!("test-{}", Uuid::now_v7());
    // It flushes all the time.
    let more = [("RETELL_REPLAY__MEMORY_BYTES_MAX", "1")];
    let mut service = Process::start_with(&shared_brokers(), &topic, &shared_url(), &more).await;
    service.wait_ready().await;
    filled(&service, 300, 1_500).await;
    let order = json!({"projection": "accounts", "records_per_second": 1_000});
    let started = service.post("/admin/replays", &order).await;
    assert_eq!(started.status, 202, "{started:?}");
    let path = format!("/admin/{}", started.header("location"));
    let some = |answer: &crate::support::app::Answer| {
        answer.json()["records"].as_u64().is_some_and(|records| records > 200)
    };
    let killed_at = service.eventually(&path, some).await.json();
    assert_eq!(killed_at["state"], "running", "{killed_at}");
    service.kill();
    service.spawn();
    let ended = service.eventually(&path, |answer| answer.json()["state"] == "done").await.json();
    assert_eq!(ended["records_per_second"], 1_000, "as it was asked for: {ended}");
    assert_eq!(ended["compared"]["differences"], 0, "{ended}");
    let verified = service.cli(&["verify"], "").await;
    assert_eq!(verified.code, 0, "{verified:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_revisions_share_a_real_log_and_a_real_redis() {
    let log = new_log(&shared_brokers(), &log_config(4)).await;
    let store = views(&shared_url(), &format!("test-{}", Uuid::now_v7()));
    serve_two_revisions(Arc::new(log), Arc::new(store)).await;
}
