//! The inbox on topics in memory: one effect and an answer for each message, whatever is in it and
//! wherever it is killed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use retell::Offset;
use retell::adapters::SystemClock;
use retell::adapters::memory::{MemoryLog, MemoryTopic};
use retell::events::Commit;
use retell::http::InboxWording;
use retell::log::{Mark, Tracker};
use retell::ports::{EventLog, LogRecord, Message, PlainTopic};
use retell::react::inbox::{Inbox, InboxParts, InboxState, InboxStatus};
use retell::shutdown::Shutdown;
use retell::write::Commands;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::log::{P0, P1, in_time, read_to_end};
use crate::support::on_paused_time;
use crate::support::outbox::Fragile;
use crate::support::writers::{Writers, partitions};

use super::write_loop::slow_writers;

/// A topic of commands and one of their answers.
struct Desk {
    commands: MemoryTopic,
    results: MemoryTopic,
}

/// A running inbox; dropping it is a crash.
struct Running {
    inbox: Inbox,
    stop: Shutdown,
    tasks: JoinSet<()>,
}

impl Desk {
    fn new() -> Self {
        let topic = |name: &str| MemoryTopic::new(name, partitions(2), Arc::new(SystemClock));
        Self { commands: topic("commands"), results: topic("results") }
    }

    fn open(&self, commands: &Commands) -> Running {
        self.open_with(commands, Arc::new(self.results.clone()))
    }

    fn open_with(&self, commands: &Commands, results: Arc<dyn PlainTopic>) -> Running {
        let parts = InboxParts {
            commands: commands.clone(),
            topic: Arc::new(self.commands.clone()),
            results,
            wording: Arc::new(InboxWording),
            group: "retell".to_owned(),
            in_flight_max: 16,
        };
        let (stop, mut tasks) = (Shutdown::default(), JoinSet::new());
        Running { inbox: Inbox::start(parts, &stop, &mut tasks), stop, tasks }
    }

    async fn put(&self, values: &[&[u8]]) {
        let message =
            |value: &&[u8]| Message { value: Bytes::copy_from_slice(value), ..Message::default() };
        let messages = values.iter().map(|value| (P0, message(value))).collect();
        self.commands.send(messages).await.expect("sent");
    }

    async fn put_json(&self, values: &[Value]) {
        let values: Vec<_> = values.iter().map(|value| value.to_string().into_bytes()).collect();
        self.put(&values.iter().map(Vec::as_slice).collect::<Vec<_>>()).await;
    }

    /// Every answer, by the key of its message.
    fn answers(&self) -> Vec<(String, Value)> {
        let messages = [P0, P1].map(|partition| self.results.messages(partition)).concat();
        let answer = |message: &Message| {
            let key = message.key.as_deref().expect("a key");
            let json = serde_json::from_slice(&message.value).expect("JSON");
            (String::from_utf8(key.to_vec()).expect("text"), json)
        };
        messages.iter().map(|received| answer(&received.message)).collect()
    }

    fn answer(&self, key: &str) -> Value {
        let mut all = self.answers();
        all.retain(|(found, _)| found == key);
        assert_eq!(all.len(), 1, "{key}: {all:?}");
        all.swap_remove(0).1
    }
}

impl Running {
    async fn eventually(&self, is: impl Fn(&InboxStatus) -> bool) -> InboxStatus {
        let asking = async {
            loop {
                let status = self.inbox.status();
                if is(&status) {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        in_time("the inbox", asking).await
    }

    async fn answered(&self, count: u64) -> InboxStatus {
        self.eventually(|status| status.answered >= count && status.in_flight == 0).await
    }

    async fn end(mut self) {
        self.stop.request();
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("no panic");
        }
    }
}

async fn writers() -> (Arc<MemoryLog>, Writers) {
    let log = Arc::new(MemoryLog::new(partitions(2), Arc::new(SystemClock)));
    let shared: Arc<dyn EventLog> = log.clone();
    (log, Writers::start(shared, "node").owner().await)
}

fn envelope(id: &str, command: &Value, key: Option<&str>) -> Value {
    let mut envelope = json!({"aggregate": {"type": "account", "id": id}, "command": command});
    if let Some(key) = key {
        envelope["key"] = key.into();
    }
    envelope
}

fn open(id: &str, key: &str) -> Value {
    envelope(id, &json!({"type": "OpenAccount", "owner": "Ann"}), Some(key))
}

fn deposit(id: &str, amount: i64, key: Option<&str>) -> Value {
    envelope(id, &json!({"type": "DepositMoney", "amount": amount}), key)
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

#[derive(Clone, Debug)]
enum Step {
    Put(u8, bool),
    Junk,
    Run(u8),
    /// The inbox is killed; the next one's sends break off.
    Crash(Vec<usize>),
    /// The writers, too.
    CrashAll,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Killed anywhere: one effect for each command, in the order of its aggregate, and an answer.
    #[test]
    fn an_inbox_that_is_killed_anywhere_does_each_command_once(steps in vec(step(), 1..40)) {
        on_paused_time(live(steps));
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3_u8, any::<bool>()).prop_map(|(id, has_key)| Step::Put(id, has_key)),
        1 => Just(Step::Junk),
        6 => (0..30_u8).prop_map(Step::Run),
        2 => vec(0..4_usize, 0..3).prop_map(Step::Crash),
        1 => Just(Step::CrashAll),
    ]
}

async fn live(steps: Vec<Step>) {
    let log = Arc::new(MemoryLog::new(partitions(2), Arc::new(SystemClock)));
    let start = async || Writers::start(log.clone(), "node").owner().await;
    let (mut writers, desk) = (start().await, Desk::new());
    let ids: Vec<String> = (0..3).map(|id| format!("a{id}")).collect();
    desk.put_json(&ids.iter().map(|id| open(id, "open")).collect::<Vec<_>>()).await;
    let mut running = Some(desk.open(&writers.commands));
    // The amount of each deposit is its number, so that its event tells which it is.
    let (mut wanted, mut messages): (BTreeMap<&str, Vec<i64>>, u64) = (BTreeMap::new(), 3);
    let mut number = 0;
    for step in steps {
        match step {
            Step::Put(id, has_key) => {
                number += 1;
                let (id, key) = (&ids[usize::from(id)], format!("k-{number}"));
                desk.put_json(&[deposit(id, number, has_key.then_some(&key))]).await;
                wanted.entry(id).or_default().push(number);
                messages += 1;
            }
            Step::Junk => {
                desk.put(&[b"\xff"]).await;
                messages += 1;
            }
            Step::Run(ticks) => {
                for _ in 0..ticks {
                    tokio::task::yield_now().await;
                }
            }
            Step::Crash(breaks) => {
                drop(running.take());
                let results = Fragile::breaking_after(&desk.results, breaks);
                running = Some(desk.open_with(&writers.commands, results));
            }
            Step::CrashAll => {
                drop(running.take());
                drop(writers);
                writers = start().await;
                running = Some(desk.open(&writers.commands));
            }
        }
    }
    let running = running.expect("one runs");
    // One that had nothing left to do has answered nothing.
    desk.put_json(&[deposit("a0", 1_000_000, Some("last"))]).await;
    messages += 1;
    wanted.entry(&ids[0]).or_default().push(1_000_000);
    let is_done = |status: &InboxStatus| status.next.get(&P0).map(|next| next.0) == Some(messages);
    running.eventually(is_done).await;
    let answers = desk.answers();
    for offset in 0..messages {
        let place = format!("0@{offset}");
        assert!(answers.iter().any(|(_, answer)| answer["inbox"] == place), "{place}");
    }
    for id in &ids {
        let wanted = wanted.get(id.as_str()).cloned().unwrap_or_default();
        assert_eq!(deposits(&log, id).await, wanted, "{id}");
    }
}

/// The amounts that were put into an account, in order, from the records that count.
async fn deposits(log: &MemoryLog, id: &str) -> Vec<i64> {
    let mut amounts = Vec::new();
    for partition in log.partitions().iter() {
        let mut reader = log.reader(partition, Offset(0)).await.expect("a reader");
        for record in counting(&read_to_end(&mut *reader).await) {
            let commit = Commit::decode(&record.value).expect("a commit");
            if commit.aggregate.id != id {
                continue;
            }
            for event in &commit.events {
                let data: Value = serde_json::from_str(event.data.get()).expect("JSON");
                amounts.extend(data["amount"].as_i64());
            }
        }
    }
    amounts
}

fn counting(records: &[LogRecord]) -> impl Iterator<Item = &LogRecord> {
    let mut tracker = Tracker::default();
    records
        .iter()
        .filter(move |it| tracker.step(it.offset, it.time, &it.stamp, &it.value) == Mark::Counts)
}
