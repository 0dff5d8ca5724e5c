//! The inbox on topics in memory: one effect and an answer for each message, whatever is in it and
//! wherever it is killed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use retell::adapters::SystemClock;
use retell::adapters::memory::MemoryLog;
use retell::ports::{EventLog, Message, PlainTopic};
use retell::react::inbox::InboxState;
use serde_json::{Value, json};

use crate::support::inbox::{Desk, deposit, envelope, open};
use crate::support::log::{P0, in_time};
use crate::support::outbox::Fragile;
use crate::support::writers::{Writers, partitions};

use super::write_loop::slow_writers;

async fn writers() -> (Arc<MemoryLog>, Writers) {
    let log = Arc::new(MemoryLog::new(partitions(2), Arc::new(SystemClock)));
    let shared: Arc<dyn EventLog> = log.clone();
    (log, Writers::start(shared, "node").owner().await)
}

#[tokio::test]
async fn each_command_is_answered_as_a_batch_would_and_under_its_id() {
    let (_log, writers) = writers().await;
    let desk = Desk::new();
    let mut stale = deposit("ann", 7, Some("stale"));
    stale["expected_version"] = 1.into();
    let withdraw = envelope("ann", &json!({"type": "WithdrawMoney", "amount": 9}), Some("no"));
    let unknown = json!({"aggregate": {"type": "ship", "id": "x"}, "command": {"type": "Sail"}});
    let none = envelope("ann", &json!({"type": "Fly"}), Some("fly"));
    desk.put_json(&[open("ann", "o-1"), deposit("ann", 5, None), stale, withdraw, unknown, none])
        .await;
    let running = desk.open(&writers.commands);
    let status = running.answered(6).await;
    assert_eq!((status.problems, status.repeated), (4, 0));
    let opened = desk.answer("o-1");
    assert_eq!((&opened["status"], &opened["version"]), (&json!(200), &json!(1)));
    assert_eq!(opened["events"][0]["type"], "AccountOpened");
    assert_eq!((&opened["inbox"], &opened["command_id"]), (&json!("0@0"), &json!("o-1")));
    let time = desk.commands.messages(P0)[1].time.millis();
    let deposited = desk.answer(&format!("inbox:commands:0@1:{time}"));
    assert_eq!((&deposited["status"], &deposited["version"]), (&json!(200), &json!(2)));
    for (key, status, code) in [
        ("stale", 412, "version_differs"),
        ("no", 422, "insufficient_funds"),
        (&format!("inbox:commands:0@4:{time}"), 404, "unknown_aggregate"),
        ("fly", 400, "unknown_command"),
    ] {
        let problem = desk.answer(key);
        assert_eq!((&problem["status"], &problem["code"]), (&json!(status), &json!(code)));
        assert_eq!(problem["command_id"], key);
    }
    assert_eq!(desk.answer("no")["version"], 2, "what it was decided on");
}

#[tokio::test]
async fn foreign_bytes_are_answered_with_problems_and_stop_nothing() {
    let (_log, writers) = writers().await;
    let desk = Desk::new();
    let running = desk.open(&writers.commands);
    let foreign: [&[u8]; 6] =
        [b"", b"\xff\xfe\x00", b"{", b"[]", b"null", br#"{"aggregate":{"type":"a","id":"b/c"}}"#];
    desk.put(&foreign).await;
    let bad = Message {
        headers: vec![("X-Correlation-Id".to_owned(), Bytes::from_static(b"a b"))],
        value: Bytes::from(open("bob", "b-1").to_string()),
        ..Message::default()
    };
    let good = Message {
        headers: vec![
            ("x-correlation-id".to_owned(), Bytes::from_static(b"c-1")),
            ("\u{0}".to_owned(), Bytes::from_static(b"\xff\n")),
        ],
        value: Bytes::from(open("ann", "a-1").to_string()),
        ..Message::default()
    };
    desk.commands.send(vec![(P0, bad), (P0, good)]).await.expect("sent");
    let status = running.answered(8).await;
    assert_eq!(status.problems, 7);
    for (offset, received) in desk.commands.messages(P0).iter().take(6).enumerate() {
        let key = format!("inbox:commands:0@{offset}:{}", received.time.millis());
        let problem = desk.answer(&key);
        assert_eq!((&problem["status"], &problem["code"]), (&json!(400), &json!("bad_line")));
        assert_eq!(problem["inbox"], format!("0@{offset}"));
    }
    assert_eq!(desk.answer("b-1")["code"], "bad_header");
    assert_eq!(desk.answer("a-1")["status"], 200);
}

#[tokio::test]
async fn a_command_that_comes_again_has_its_first_outcome_again() {
    let (_log, writers) = writers().await;
    let desk = Desk::new();
    let running = desk.open(&writers.commands);
    desk.put_json(&[open("ann", "o-1"), deposit("ann", 5, Some("d-1"))]).await;
    desk.put_json(&[deposit("ann", 5, Some("d-1")), deposit("ann", 6, Some("d-1"))]).await;
    running.answered(4).await;
    let said: Vec<Value> =
        desk.answers().into_iter().filter(|(key, _)| key == "d-1").map(|(_, it)| it).collect();
    let by = |inbox: &str| said.iter().find(|it| it["inbox"] == inbox).expect("an answer").clone();
    let (first, mut again) = (by("0@1"), by("0@2"));
    assert_eq!(again["replayed"], true);
    again.as_object_mut().expect("an object").remove("replayed");
    again["inbox"] = "0@1".into();
    assert_eq!(again, first);
    assert_eq!(by("0@3")["code"], "key_reused");
}

/// What is not answered is done again, with the same outcome.
#[tokio::test]
async fn a_message_is_done_only_when_its_answer_is_durable() {
    let (_log, writers) = writers().await;
    let desk = Desk::new();
    desk.put_json(&[open("ann", "o-1"), deposit("ann", 5, Some("d-1"))]).await;
    // One answer at most is there of the first send, and the inbox begins again.
    let fragile = Fragile::breaking_after(&desk.results, vec![0]);
    let running = desk.open_with(&writers.commands, fragile);
    running.answered(2).await;
    assert_eq!(desk.answer("d-1")["replayed"], true);
    assert_eq!(desk.answer("d-1")["version"], 2);
    running.end().await;
    let again = desk.open(&writers.commands);
    desk.put_json(&[deposit("ann", 1, Some("d-2"))]).await;
    assert_eq!(again.answered(1).await.answered, 1, "what was answered is not taken again");
    assert_eq!(desk.answer("d-2")["version"], 3);
}

/// What is slow the first time is in time when it is tried again; who came later waits for it.
#[tokio::test]
async fn a_command_that_is_tried_again_is_not_overtaken_by_a_later_one_of_its_aggregate() {
    let (writers, go) = slow_writers().await;
    let desk = Desk::new();
    let sent = |id: &str, command: &str| {
        let (of, key) = (json!({"type": "slow", "id": id}), format!("{id}-{command}"));
        json!({"aggregate": of, "command": {"type": command}, "key": key})
    };
    // While the first is under way the next two come, and are sent together.
    let first = json!({"aggregate": {"type": "slow", "id": "a"}, "command": {"type": "Go"}});
    desk.put_json(&[first, sent("a", "Wait"), sent("a", "Go"), sent("b", "Go")]).await;
    let running = desk.open(&writers.commands);
    running.eventually(|status| status.repeated > 0).await;
    desk.put_json(&[sent("c", "Go")]).await;
    let others_are_done = async {
        while writers.commands.status()[0].outcomes < 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    in_time("other aggregates", others_are_done).await;
    assert_eq!(desk.answers().len(), 1, "answers have the order of their messages");
    go.notify_one();
    running.answered(5).await;
    let version = |key: &str| desk.answer(key)["version"].clone();
    assert_eq!((version("a-Wait"), version("a-Go")), (json!(2), json!(3)));
}

#[tokio::test]
async fn a_node_that_does_not_write_leaves_the_inbox_to_others() {
    let (log, first) = writers().await;
    let desk = Desk::new();
    let left = desk.open(&first.commands);
    desk.put_json(&[open("ann", "o-1")]).await;
    left.answered(1).await;
    let second = Writers::start(log, "other").owner().await;
    desk.put_json(&[deposit("ann", 5, Some("d-1"))]).await;
    left.eventually(|status| matches!(status.state, InboxState::Elsewhere { .. })).await;
    let taken = desk.open(&second.commands);
    taken.answered(1).await;
    assert_eq!(desk.answer("d-1")["version"], 2);
}
