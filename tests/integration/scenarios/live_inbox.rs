//! The inbox of a service on a real Kafka: other producers, kills, and partitions that move.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer};
use retell::adapters::kafka::{KafkaLog, KafkaTopic, KafkaTopics, Role};
use retell::config::KafkaAddress;
use retell::events::Commit;
use retell::log::{Mark, Partitions, Tracker};
use retell::ports::{EventLog, Message, PlainTopic};
use retell::{Offset, Partition};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::app::Answer;
use crate::support::command_line::retell_with;
use crate::support::forge::{Forged, forge};
use crate::support::kafka::{shared_brokers, stranger};
use crate::support::log::in_time;
use crate::support::log_config;
use crate::support::process::Process;
use crate::support::redis::shared_url;
use crate::support::stranger::kcat;

use super::http_metrics::value;

const PARTITIONS: u32 = 4;
const ACCOUNTS: usize = 12;

/// A log, and topics of its own for commands and their answers.
struct Scene {
    log: KafkaAddress,
    commands: KafkaTopic,
    results: KafkaTopic,
}

impl Scene {
    async fn new() -> Self {
        let topic = format!("test-{}", Uuid::now_v7());
        let log = KafkaAddress { brokers: shared_brokers(), topic };
        let topics = KafkaTopics::connect(&log, &log_config(PARTITIONS));
        let topics = topics.expect("the settings are right");
        let open = |name: &str, role| {
            let name = format!("{}.{name}", log.topic);
            topics.open(&name, role)
        };
        let (commands, results) = (open("commands", Role::Inbox), open("results", Role::Results));
        commands.check().await.expect("made");
        results.check().await.expect("made");
        Self { commands, results, log }
    }

    async fn service(&self) -> Process {
        let inbox = [
            ("RETELL_INBOX__ENABLED", "true"),
            ("RETELL_INBOX__TOPIC", self.commands.name()),
            ("RETELL_INBOX__RESULTS_TOPIC", self.results.name()),
            ("RETELL_INBOX__GROUP", self.commands.name()),
            // One that was killed is missed soon.
            ("RETELL_LOG__KAFKA__PROPERTIES__SESSION_TIMEOUT_MS", "1000"),
            ("RETELL_LOG__KAFKA__PROPERTIES__HEARTBEAT_INTERVAL_MS", "200"),
        ];
        let KafkaAddress { brokers, topic } = &self.log;
        Process::start_with(brokers, topic, &shared_url(), &inbox).await.ready().await
    }

    /// Opens the accounts, then puts so many deposits into each, of amounts that count up. Every
    /// second one has a key.
    async fn send(&self, from: usize, deposits: usize) {
        let all = Partitions::new(PARTITIONS).expect("some");
        let mut messages = Vec::new();
        for number in from..from + deposits {
            for account in 0..ACCOUNTS {
                let id = format!("a{account}");
                let command = match number {
                    0 => json!({"type": "OpenAccount", "owner": "Ann"}),
                    amount => json!({"type": "DepositMoney", "amount": amount}),
                };
                let mut envelope =
                    json!({"aggregate": {"type": "account", "id": id}, "command": command});
                if number % 2 == 1 {
                    envelope["key"] = format!("k-{number}").into();
                }
                let message = Message {
                    key: Some(Bytes::from(id.clone())),
                    value: Bytes::from(envelope.to_string()),
                    ..Message::default()
                };
                messages.push((all.of(&id), message));
            }
        }
        in_time("the commands", self.commands.send(messages)).await.expect("sent");
    }

    /// All answers, with the keys of their messages.
    async fn answers(&self) -> Vec<(String, Value)> {
        let mut all = Vec::new();
        for partition in (0..PARTITIONS).map(Partition) {
            let end = self.results.span(partition).await.expect("an end").end;
            let messages = self.results.before(partition, end, 1_000_000).await;
            for received in messages.expect("messages") {
                let key = received.message.key.expect("a key");
                let answer = serde_json::from_slice(&received.message.value).expect("JSON");
                all.push((String::from_utf8(key.to_vec()).expect("text"), answer));
            }
        }
        all
    }

    /// Waits until every message has an answer; returns the answers.
    async fn answered(&self) -> Vec<(String, Value)> {
        let mut places = BTreeSet::new();
        for partition in (0..PARTITIONS).map(Partition) {
            let end = self.commands.span(partition).await.expect("an end").end;
            places.extend((0..end.0).map(|offset| format!("{partition}@{offset}")));
        }
        let asking = async {
            loop {
                let answers = self.answers().await;
                let of =
                    |(_, answer): &(String, Value)| answer["inbox"].as_str().map(str::to_owned);
                let found: BTreeSet<String> = answers.iter().filter_map(of).collect();
                if found.is_superset(&places) {
                    return answers;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        in_time("the answers", asking).await
    }

    /// What was put into each account, in order; and how often each command id is in the log.
    async fn deposits(&self) -> (BTreeMap<String, Vec<u64>>, BTreeMap<String, usize>) {
        let log = KafkaLog::connect(&self.log, &log_config(PARTITIONS)).expect("log");
        let (mut amounts, mut ids) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::new());
        for partition in log.partitions().iter() {
            let mut reader = log.reader(partition, Offset(0)).await.expect("reader");
            let mut tracker = Tracker::default();
            loop {
                let chunk = reader.next(1_000, 1 << 20).await.expect("a chunk");
                for it in &chunk.records {
                    if tracker.step(it.offset, it.time, &it.stamp, &it.value) != Mark::Counts {
                        continue;
                    }
                    let commit = Commit::decode(&it.value).expect("a commit");
                    let id = commit.aggregate.id.to_string();
                    *ids.entry(format!("{id} {}", commit.command_id)).or_default() += 1;
                    for event in &commit.events {
                        let data: Value = serde_json::from_str(event.data.get()).expect("JSON");
                        let amount = data["amount"].as_u64();
                        amounts.entry(id.clone()).or_default().extend(amount);
                    }
                }
                if chunk.at_end {
                    break;
                }
            }
        }
        (amounts, ids)
    }

    /// Every command has exactly one effect, in the order of its key, and an answer.
    async fn assert_once(&self, sent: usize) {
        for (key, answer) in self.answered().await {
            assert_eq!(answer["status"], 200, "{key}: {answer}");
            assert_eq!(answer["command_id"], key);
        }
        let (amounts, ids) = self.deposits().await;
        let wanted: Vec<u64> = (1..sent as u64).collect();
        assert_eq!(amounts.len(), ACCOUNTS);
        for (id, amounts) in amounts {
            assert_eq!(amounts, wanted, "{id}");
        }
        assert!(ids.values().all(|count| *count == 1), "{ids:?}");
    }
}

/// Writes lines with Kafka's own Java client; where each is, and when it was made.
async fn java(brokers: &str, topic: &str, lines: String) -> Vec<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/dev/kafka");
    let mut command = Command::new(script);
    command.args(["produce", brokers, topic]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let run = move || {
        let mut child = command.spawn().expect("dev/kafka runs");
        child.stdin.take().expect("piped").write_all(lines.as_bytes()).expect("it reads");
        child.wait_with_output().expect("it ends")
    };
    let output = tokio::task::spawn_blocking(run).await.expect("no panic");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

fn open(id: &str, key: Option<&str>) -> String {
    let command = json!({"type": "OpenAccount", "owner": "Zoë"});
    let mut line = json!({"aggregate": {"type": "account", "id": id}, "command": command});
    if let Some(key) = key {
        line["key"] = key.into();
    }
    line.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn producers_of_other_languages_and_foreign_bytes_are_answered() {
    let scene = Scene::new().await;
    let service = scene.service().await;
    let (brokers, topic) = (scene.log.brokers.as_str(), scene.commands.name());
    let headers = [(&b"\xff\xfe"[..], None), (b"traceparent", Some(&b"\x00"[..]))];
    let forged = Forged { key: None, value: None, headers: &headers };
    forge(brokers, topic, &[forged]).await;
    let lines = format!("{}\nno envelope\n", open("ann", Some("o-1")));
    kcat(brokers, topic, &["-H", "X-Correlation-Id=c-1"], &lines).await;
    let by_java = format!("{}\n{}\n", open("ben", Some("o-2")), open("cid", None));
    let places = java(brokers, topic, by_java).await;
    let mut answers: BTreeMap<String, Value> = scene.answered().await.into_iter().collect();
    let mut take = |key: &str| answers.remove(key).unwrap_or_else(|| panic!("no answer to {key}"));
    for key in ["o-1", "o-2"] {
        assert_eq!(take(key)["status"], 200);
    }
    // Who sends without a key knows the command's id from what the broker said.
    assert_eq!(take(&format!("inbox:{topic}:{}", places[1]))["status"], 200);
    for (key, answer) in &answers {
        assert!(key.starts_with(&format!("inbox:{topic}:0@")), "{key}");
        assert_eq!((&answer["status"], &answer["code"]), (&json!(400), &json!("bad_line")));
    }
    assert_eq!(answers.len(), 2, "{answers:?}");
    let traced = service.get("/traces/c-1").await.expect("an answer").ok().json();
    assert_eq!(traced["items"].as_array().map(Vec::len), Some(1), "{traced}");
    let is_done = |answer: &Answer| {
        let inbox = answer.json()["inbox"].clone();
        let all = inbox["partitions"].as_array().cloned().unwrap_or_default();
        inbox["answered"] == 5 && inbox["problems"] == 2 && all.iter().all(|it| it["lag"] == 0)
    };
    service.eventually("/admin/status", is_done).await;
    let metrics = service.get("/metrics").await.expect("an answer");
    let metrics = String::from_utf8_lossy(&metrics.body);
    let told = |name: &str| value(&metrics, name);
    assert_eq!(told("retell_inbox_answers_total").as_deref(), Some("5"), "{metrics}");
    assert_eq!(told("retell_inbox_problems_total").as_deref(), Some("2"), "{metrics}");
}

/// kill -9 in the middle of a load, twice.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_does_each_command_of_the_inbox_once() {
    let scene = Scene::new().await;
    let mut service = scene.service().await;
    let mut sent = 0;
    for after_ms in [150, 60] {
        scene.send(sent, 60).await;
        sent += 60;
        tokio::time::sleep(Duration::from_millis(after_ms)).await;
        service.kill();
        scene.send(sent, 20).await;
        sent += 20;
        service.spawn();
    }
    service.wait_ready().await;
    scene.assert_once(sent).await;
}

/// A member that takes partitions and does nothing with them, then leaves.
#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_move_between_members_lose_nothing() {
    let scene = Scene::new().await;
    let _service = scene.service().await;
    scene.send(0, 20).await;
    let (brokers, topic) = (scene.log.brokers.clone(), scene.commands.name().to_owned());
    let idle = tokio::task::spawn_blocking(move || {
        let mut config = stranger(&brokers);
        config.set("group.id", &topic).set("enable.auto.commit", "false");
        config.set("partition.assignment.strategy", "cooperative-sticky");
        let member: BaseConsumer = config.create().expect("a consumer");
        member.subscribe(&[&topic]).expect("subscribed");
        while member.assignment().expect("an assignment").count() == 0 {
            let _ = member.poll(Duration::from_millis(20));
        }
        // It leaves the group.
        drop(member);
    });
    let mut sent = 20;
    while !idle.is_finished() {
        scene.send(sent, 5).await;
        sent += 5;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    idle.await.expect("no panic");
    scene.send(sent, 20).await;
    scene.assert_once(sent + 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_takes_the_log_over_takes_the_inbox_over() {
    let scene = Scene::new().await;
    let first = scene.service().await;
    scene.send(0, 20).await;
    let second = scene.service().await;
    scene.send(20, 20).await;
    scene.assert_once(40).await;
    let is_elsewhere = |answer: &Answer| answer.json()["inbox"]["state"] == "elsewhere";
    first.eventually("/admin/status", is_elsewhere).await;
    let is_taking = |answer: &Answer| answer.json()["inbox"]["state"] == "following";
    second.eventually("/admin/status", is_taking).await;
}

#[tokio::test]
async fn an_inbox_without_kafka_is_a_wrong_setting() {
    let settings = [("RETELL_INBOX__ENABLED", "true")];
    let ended = retell_with(&["serve"], &settings, "").await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains("inbox.enabled: it needs a log on Kafka"), "{ended:?}");
}
