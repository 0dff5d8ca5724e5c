//! The outbox of a service on a real Kafka, read as other teams read it.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use retell::adapters::kafka::{KafkaLog, KafkaTopic, KafkaTopics, Role};
use retell::config::KafkaAddress;
use retell::events::Commit;
use retell::log::{Mark, Tracker};
use retell::ports::{EventLog, Message, PlainTopic, Received};
use retell::{Offset, Partition};
use serde_json::json;
use uuid::Uuid;

use crate::support::app::Answer;
use crate::support::command_line::retell_with;
use crate::support::kafka::{shared_brokers, stranger};
use crate::support::log::in_time;
use crate::support::log_config;
use crate::support::process::Process;
use crate::support::redis::shared_url;

/// A log and an outbox of its own.
struct Scene {
    log: KafkaAddress,
    outbox: KafkaTopic,
}

/// The messages of a partition, and of these what a reader takes.
type Taken = Vec<Received>;

impl Scene {
    fn new() -> Self {
        let log =
            KafkaAddress { brokers: shared_brokers(), topic: format!("test-{}", Uuid::now_v7()) };
        let name = format!("{}.out", log.topic);
        let topics = KafkaTopics::connect(&log, &log_config(4)).expect("the settings are right");
        Self { outbox: topics.open(&name, Role::Outbox), log }
    }

    async fn service(&self) -> Process {
        self.service_with(&[]).await.ready().await
    }

    async fn service_with(&self, more: &[(&str, &str)]) -> Process {
        let outbox = [
            ("RETELL_OUTBOX__ENABLED", "true"),
            ("RETELL_OUTBOX__TOPIC", self.outbox.name()),
            ("RETELL_OUTBOX__SOURCE", "urn:test"),
            ("RETELL_OUTBOX__DATASCHEMA_URL", "https://example.com/schemas/"),
        ];
        let KafkaAddress { brokers, topic } = &self.log;
        let settings = [&outbox, more].concat();
        Process::start_with(brokers, topic, &shared_url(), &settings).await
    }

    /// What a reader takes of the outbox, which drops what is at or below the last it has seen.
    async fn taken(&self) -> Vec<Taken> {
        let mut all = Vec::new();
        for partition in (0..4).map(Partition) {
            let end = self.outbox.span(partition).await.expect("an end").end;
            let messages = self.outbox.before(partition, end, 1_000_000).await.expect("messages");
            let (mut last, mut taken) = (String::new(), Vec::new());
            for received in messages {
                let Some(sequence) = received.message.header("ce_sequence") else { continue };
                if sequence > last.as_str() {
                    last = sequence.to_owned();
                    taken.push(received);
                }
            }
            all.push(taken);
        }
        all
    }

    /// The events that count, by partition, in order: id, subject and data.
    async fn events(&self) -> Vec<Vec<(String, String, String)>> {
        let log = KafkaLog::connect(&self.log, &log_config(4)).expect("log");
        let mut all = Vec::new();
        for partition in log.partitions().iter() {
            let mut reader = log.reader(partition, Offset(0)).await.expect("reader");
            let (mut tracker, mut events) = (Tracker::default(), Vec::new());
            loop {
                let chunk = reader.next(1_000, 1 << 20).await.expect("a chunk");
                for it in &chunk.records {
                    if tracker.step(it.offset, it.time, &it.stamp, &it.value) != Mark::Counts {
                        continue;
                    }
                    let commit = Commit::decode(&it.value).expect("a commit");
                    let subject =
                        format!("{}/{}", commit.aggregate.aggregate_type, commit.aggregate.id);
                    let event = |event: &retell::events::StoredEvent<'_>| {
                        (event.id.to_string(), subject.clone(), event.data.get().to_owned())
                    };
                    events.extend(commit.events.iter().map(event));
                }
                if chunk.at_end {
                    break;
                }
            }
            all.push(events);
        }
        all
    }

    /// Waits until the relay has come to the end, then compares both.
    async fn assert_whole(&self, service: &Process) {
        let is_at_end = |answer: &Answer| {
            let status = answer.json();
            let relays = status["outbox"]["partitions"].as_array().cloned().unwrap_or_default();
            relays.len() == 4
                && relays.iter().all(|it| it["lag"] == 0 && it["state"] == "following")
        };
        service.eventually("/admin/status", is_at_end).await;
        let said = |it: &Received| {
            let header = |name: &str| it.message.header(name).expect("a header").to_owned();
            let value = String::from_utf8_lossy(&it.message.value).into_owned();
            (header("ce_id"), header("ce_subject"), value)
        };
        let taken = self.taken().await;
        let taken: Vec<Vec<_>> = taken.iter().map(|all| all.iter().map(said).collect()).collect();
        assert_eq!(taken, self.events().await, "every event once, in order, and no other");
    }
}

fn admin(brokers: &str) -> AdminClient<DefaultClientContext> {
    stranger(brokers).create().expect("an admin client")
}

/// `kcat -C` from the beginning to the end, as lines.
async fn kcat(brokers: &str, topic: &str, format: &str) -> Vec<String> {
    let mut command = Command::new("kcat");
    command.args(["-C", "-e", "-q", "-b", brokers, "-t", topic, "-f", format]);
    let run = move || command.stdin(Stdio::null()).output();
    let output = tokio::task::spawn_blocking(run).await.expect("no panic");
    let output = output.expect("kcat is installed (apt-get install kcat)");
    assert!(output.status.success(), "kcat: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn kcat_reads_cloud_events_in_binary_mode() {
    let scene = Scene::new();
    let service = scene.service().await;
    service.open("ann", "Zoë").await.ok();
    service.deposit("ann", 500).await.ok();
    scene.assert_whole(&service).await;
    let lines = kcat(&scene.log.brokers, scene.outbox.name(), "%p|%k|%s|%h\n").await;
    assert_eq!(lines.len(), 2, "{lines:?}");
    let parts: Vec<&str> = lines[1].split('|').collect();
    assert_eq!(parts[1..3], ["account/ann", r#"{"amount":500,"balance":500}"#]);
    let headers: BTreeMap<&str, &str> =
        parts[3].split(',').filter_map(|header| header.split_once('=')).collect();
    for (name, value) in [
        ("ce_specversion", "1.0"),
        ("ce_source", "urn:test"),
        ("ce_type", "MoneyDeposited"),
        ("ce_subject", "account/ann"),
        ("ce_dataschema", "https://example.com/schemas/account/MoneyDeposited/1"),
        ("content-type", "application/json"),
        ("ce_aggregateversion", "2"),
    ] {
        assert_eq!(headers.get(name), Some(&value), "{name}");
    }
    let position = headers["ce_position"];
    assert!(position.starts_with(&format!("{}@", parts[0])), "the same partition: {position}");
    let schema = service.get("/schemas/account/MoneyDeposited/1").await.expect("an answer");
    assert_eq!(schema.ok().json()["properties"]["amount"]["type"], "integer");
    service
        .get("/schemas/account/MoneyDeposited/2")
        .await
        .expect("an answer")
        .problem(404, "schema_not_found");
}

/// kill -9 of the service under load, again and again.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_leaves_no_gap_in_the_outbox() {
    let scene = Scene::new();
    let service = scene.service().await;
    for i in 0..20 {
        service.open(&format!("a{i}"), "Ann").await.ok();
    }
    let service = Arc::new(tokio::sync::RwLock::new(service));
    let stop = Arc::new(AtomicBool::new(false));
    let load = |worker: usize| {
        let (service, stop) = (service.clone(), stop.clone());
        tokio::spawn(async move {
            for i in (worker..).step_by(7) {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let deposit = json!({"type": "DepositMoney", "amount": 1});
                service.read().await.try_command(&format!("a{}", i % 20), &deposit).await;
            }
        })
    };
    let workers: Vec<_> = (0..8).map(load).collect();
    for after_ms in [250, 400] {
        tokio::time::sleep(Duration::from_millis(after_ms)).await;
        let mut service = service.write().await;
        service.kill();
        service.spawn();
        service.wait_ready().await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.await.expect("no panic");
    }
    let service = service.read().await;
    scene.assert_whole(&service).await;
    let events: usize = scene.events().await.iter().map(Vec::len).sum();
    assert!(events > 100, "only {events} events");
}

/// A second service takes the log over, and both relay what it writes.
#[tokio::test(flavor = "multi_thread")]
async fn two_relays_are_harmless() {
    let scene = Scene::new();
    let first = scene.service().await;
    for i in 0..10 {
        first.open(&format!("a{i}"), "Ann").await.ok();
    }
    scene.assert_whole(&first).await;
    let second = scene.service().await;
    let junk = Message { value: Bytes::from_static(b"\xff"), ..Message::default() };
    let junk = (0..4).map(|partition| (Partition(partition), junk.clone())).collect();
    in_time("junk", scene.outbox.send(junk)).await.expect("sent");
    for i in 0..10 {
        second.deposit(&format!("a{i}"), 5).await.ok();
    }
    scene.assert_whole(&second).await;
    scene.assert_whole(&first).await;
    let published = async |service: &Process| {
        let status = service.get("/admin/status").await.expect("an answer").json();
        let relays = status["outbox"]["partitions"].as_array().expect("relays").clone();
        relays.iter().filter_map(|relay| relay["published"].as_u64()).sum::<u64>()
    };
    assert_eq!((published(&first).await, published(&second).await), (20, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_could_lose_its_end_is_refused_with_what_mends_it() {
    let scene = Scene::new();
    let topic = NewTopic::new(scene.outbox.name(), 3, TopicReplication::Fixed(1))
        .set("retention.ms", "604800000");
    let made = admin(&scene.log.brokers).create_topics([&topic], &AdminOptions::new()).await;
    made.expect("an answer").remove(0).expect("the topic is made");
    let mut service = scene.service_with(&[]).await;
    let (status, said) = service.ended().await;
    assert_eq!(status.code(), Some(1), "{said}");
    for told in [
        "retention.ms is 604800000, needed is -1: kafka-configs.sh",
        "has 3 partitions, the log has 4, and an outbox has as many as its log",
        "outbox.topic",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
}

#[tokio::test]
async fn an_outbox_without_kafka_is_a_wrong_setting() {
    let settings = [("RETELL_OUTBOX__ENABLED", "true"), ("RETELL_OUTBOX__SOURCE", "a b")];
    let ended = retell_with(&["serve"], &settings, "").await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains("outbox.enabled: it needs a log on Kafka"), "{ended:?}");
}
