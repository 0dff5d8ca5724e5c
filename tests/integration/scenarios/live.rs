//! The service as a process on a real Kafka and a real Redis: loads, kills, losses, strangers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use retell::adapters::kafka::KafkaLog;
use retell::config::KafkaAddress;
use retell::events::Commit;
use retell::log::{Mark, Tracker};
use retell::ports::EventLog;
use serde_json::json;
use uuid::Uuid;

use crate::support::app::Answer;
use crate::support::kafka::{OwnBroker, shared_brokers};
use crate::support::log_config;
use crate::support::process::Process;
use crate::support::redis::{RedisServer, connection, shared_url};

/// Issue 3: sent by `retell send`, Redis emptied, replayed: the same views, byte for byte.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_commands_give_the_same_views_after_flushall_and_replay() {
    let redis = RedisServer::start(&[]);
    let service = Process::start(&shared_brokers(), redis.url()).await;
    let mut lines = String::new();
    for i in 0..10_000 {
        let command = match i < 1_000 {
            true => json!({"type": "OpenAccount", "owner": format!("o{}", i % 7)}),
            false => json!({"type": "DepositMoney", "amount": 1 + i % 5}),
        };
        let line = json!({
            "aggregate": {"type": "account", "id": format!("a{}", i % 1_000)},
            "command": command,
        });
        lines.push_str(&format!("{line}\n"));
    }
    let sent = service.cli(&["send", "-"], &lines).await;
    assert_eq!(sent.code, 0, "{}", sent.stderr);
    let all = |service: Process| async move {
        let mut views = Vec::new();
        for i in 0..1_000 {
            let path = format!("/projections/accounts/a{i}");
            let whole = |view: &Answer| view.status == 200 && view.json()["version"] == 10;
            views.push(service.eventually(&path, whole).await.body);
        }
        (service, views)
    };
    let (service, before) = all(service).await;
    let totals = service.get("/projections/account-totals/all").await.expect("totals").json();
    assert_eq!(totals["accounts"], 1_000);
    let mut connection = connection(redis.url()).await;
    let () = redis::cmd("FLUSHALL").query_async(&mut connection).await.expect("emptied");
    let replayed = service.cli(&["replay"], "").await;
    assert_eq!(replayed.code, 0, "{}", replayed.stderr);
    let (service, after) = all(service).await;
    assert_eq!(after, before);
    let path = "/projections/account-totals/all";
    service.eventually(path, |answer| answer.status == 200 && answer.json() == totals).await;
}

/// L1, L2: killed twice in the middle of a load, every acknowledged command is in the log once.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_under_load_loses_and_doubles_no_acknowledged_command() {
    let (brokers, topic) = (shared_brokers(), format!("test-{}", Uuid::now_v7()));
    let service = Process::start_on(&brokers, &topic, &shared_url()).await.ready().await;
    for i in 0..20 {
        assert_eq!(service.open(&format!("a{i}"), "Ann").await.status, 200);
    }
    let service = Arc::new(tokio::sync::RwLock::new(service));
    let stop = Arc::new(AtomicBool::new(false));
    let load = |worker: usize| {
        let (service, stop) = (service.clone(), stop.clone());
        tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for i in (worker..).step_by(7) {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let (id, deposit) =
                    (format!("a{}", i % 20), json!({"type": "DepositMoney", "amount": 1}));
                let answer = service.read().await.try_command(&id, &deposit).await;
                if let Some(answer) = answer.filter(|answer| answer.status == 200) {
                    let event = answer.json()["events"][0]["id"].as_str().expect("id").to_owned();
                    acknowledged.push((id, answer.json()["version"].as_u64().expect("n"), event));
                }
            }
            acknowledged
        })
    };
    let workers: Vec<_> = (0..8).map(load).collect();
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let mut service = service.write().await;
        service.kill();
        service.spawn();
        service.wait_ready().await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = Vec::new();
    for worker in workers {
        acknowledged.extend(worker.await.expect("no panic"));
    }
    assert!(acknowledged.len() > 100, "only {} acknowledged", acknowledged.len());
    let log = counting(&brokers, &topic).await;
    for (id, version, event) in &acknowledged {
        let history = &log[&format!("account/{id}")];
        let at: Vec<u64> =
            (1..).zip(history).filter(|(_, it)| *it == event).map(|(v, _)| v).collect();
        assert_eq!(at, [*version], "{id}: the event {event} is not once where it was acknowledged");
    }
    let ids: BTreeSet<_> = acknowledged.iter().map(|(id, version, _)| (id, version)).collect();
    assert_eq!(ids.len(), acknowledged.len(), "one version was acknowledged twice");
    let service = service.read().await;
    for (target, history) in &log {
        let id = target.strip_prefix("account/").expect("an account");
        let is_whole =
            |answer: &Answer| answer.status == 200 && answer.json()["version"] == history.len();
        let view =
            service.eventually(&format!("/projections/accounts/{id}"), is_whole).await.json();
        assert_eq!(view["balance"], history.len() - 1, "{id}: each deposit once in the view");
    }
}

/// The events of each aggregate, by their ids, from the records that count.
async fn counting(brokers: &str, topic: &str) -> BTreeMap<String, Vec<String>> {
    let address = KafkaAddress { brokers: brokers.to_owned(), topic: topic.to_owned() };
    let log = KafkaLog::connect(&address, &log_config(4)).expect("log");
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for partition in log.partitions().iter() {
        let mut reader = log.reader(partition, retell::Offset(0)).await.expect("reader");
        let mut tracker = Tracker::default();
        loop {
            let chunk = reader.next(1_000, 1 << 20).await.expect("a chunk");
            for record in &chunk.records {
                let (offset, time) = (record.offset, record.time);
                let mark = tracker.step(offset, time, &record.stamp, &record.value);
                if mark == Mark::Counts {
                    let commit = Commit::decode(&record.value).expect("a commit");
                    let target =
                        format!("{}/{}", commit.aggregate.aggregate_type, commit.aggregate.id);
                    let history = all.entry(target).or_default();
                    assert_eq!(commit.first_version.0, history.len() as u64 + 1);
                    history.extend(commit.events.iter().map(|event| event.id.to_string()));
                }
            }
            if chunk.at_end {
                break;
            }
        }
    }
    all
}

/// A second service started by mistake takes over; the first says so and acknowledges nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_service_by_mistake_deposes_the_first() {
    let (brokers, topic) = (shared_brokers(), format!("test-{}", Uuid::now_v7()));
    let first = Process::start_on(&brokers, &topic, &shared_url()).await.ready().await;
    assert_eq!(first.open("ann", "Ann").await.status, 200);
    let second = Process::start_on(&brokers, &topic, &shared_url()).await.ready().await;
    let done = second.deposit("ann", 5).await.ok();
    assert_eq!(done.json()["version"], 2);
    first.deposit("ann", 7).await.problem(503, "no_owner");
    let not_ready = first.eventually("/health/ready", |answer| answer.status == 503).await;
    assert!(not_ready.json().to_string().contains("deposed"), "{not_ready:?}");
    let view = second.view("ann", done.header("retell-position")).await;
    assert_eq!((view["balance"].as_i64(), view["version"].as_u64()), (Some(5), Some(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_waits_for_a_kafka_that_is_absent_and_heals_when_it_is_lost() {
    let broker = OwnBroker::start();
    broker.crash().await;
    let topic = format!("test-{}", Uuid::now_v7());
    let service = Process::start_on(broker.brokers(), &topic, &shared_url()).await;
    let not_ready = service.eventually("/health/ready", |answer| answer.status == 503).await;
    assert!(not_ready.json().to_string().contains("log_unavailable"), "{not_ready:?}");
    broker.restart().await;
    service.wait_ready().await;
    assert_eq!(service.open("ann", "Ann").await.status, 200);
    broker.crash().await;
    let lost = service.deposit("ann", 5).await;
    assert!([503, 504].contains(&lost.status), "{lost:?}");
    broker.restart().await;
    service.wait_ready().await;
    let deposit = json!({"type": "DepositMoney", "amount": 5});
    let healing = async {
        loop {
            let answer = service.command("ann", &deposit).await;
            if answer.status == 200 {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let done = tokio::time::timeout(Duration::from_secs(30), healing).await.expect("it heals");
    // The deposit that was answered 504 may have been done.
    let version = done.json()["version"].as_u64().expect("version");
    let view = service.view("ann", done.header("retell-position")).await;
    assert_eq!(view["balance"].as_u64(), Some(5 * (version - 1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_answer_503_while_redis_is_lost_and_heal() {
    let redis = RedisServer::start(&[]);
    let service = Process::start(&shared_brokers(), redis.url()).await;
    let done = service.open("ann", "Ann").await.ok();
    service.view("ann", done.header("retell-position")).await;
    redis.kill();
    let lost = service.get("/projections/accounts/ann").await.expect("an answer");
    lost.problem(503, "views_unavailable");
    let done = service.deposit("ann", 5).await.ok();
    redis.restart();
    let view = service.view("ann", done.header("retell-position")).await;
    assert_eq!(view["balance"], 5);
    service.wait_ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_evicts_is_refused() {
    let redis = RedisServer::start(&["--", "--maxmemory-policy", "allkeys-lru"]);
    let topic = format!("test-{}", Uuid::now_v7());
    let mut service = Process::start_on(&shared_brokers(), &topic, redis.url()).await;
    let (status, said) = service.ended().await;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("maxmemory-policy") && said.contains("noeviction"), "{said}");
}

/// What an evicting Redis does not have may have been there: it is not read until it is mended.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_begins_to_evict_is_not_read_until_it_is_set_back() {
    let redis = RedisServer::start(&[]);
    let service = Process::start(&shared_brokers(), redis.url()).await;
    let service = service.restarted_with("RETELL_VIEWS__CHECK_INTERVAL_MS", "50").ready().await;
    let done = service.open("ann", "Ann").await.ok();
    service.view("ann", done.header("retell-position")).await;
    let mut connection = connection(redis.url()).await;
    let mut set_policy = async |policy: &str| {
        let mut set = redis::cmd("CONFIG");
        set.arg("SET").arg("maxmemory-policy").arg(policy);
        let () = set.query_async(&mut connection).await.expect("set");
    };
    set_policy("allkeys-lru").await;
    let path = "/projections/accounts/ann";
    let refused = service.eventually(path, |answer| answer.status == 503).await;
    refused.problem(503, "views_refused");
    assert!(refused.headers.contains_key("retry-after"), "{refused:?}");
    let not_ready = service.get("/health/ready").await.expect("an answer");
    not_ready.problem(503, "not_ready");
    let reason = &not_ready.json()["reasons"][0];
    assert_eq!(reason["code"], "views_refused");
    let detail = reason["detail"].as_str().expect("text");
    assert!(detail.contains("maxmemory-policy is \"allkeys-lru\""), "{detail}");
    assert!(detail.contains("CONFIG SET maxmemory-policy noeviction"), "{detail}");
    let done = service.deposit("ann", 5).await.ok();
    set_policy("noeviction").await;
    let view = service.view("ann", done.header("retell-position")).await;
    assert_eq!(view["balance"], 5);
    service.wait_ready().await;
    let said = service.said().matches("waiting for the view store").count();
    assert_eq!(said, 1, "what lasts is said once:\n{}", service.said());
}

/// R5: which views an evicting Redis forgot nobody knows, so all are built again.
#[tokio::test(flavor = "multi_thread")]
async fn the_views_of_a_redis_that_has_evicted_are_rebuilt() {
    let redis = RedisServer::start(&[]);
    let service = Process::start(&shared_brokers(), redis.url()).await;
    let service = service.restarted_with("RETELL_VIEWS__CHECK_INTERVAL_MS", "50").ready().await;
    for id in ["ann", "bob", "cid"] {
        let done = service.open(id, "Ann").await.ok();
        service.view(id, done.header("retell-position")).await;
    }
    // Something that Redis may evict, so that it does; and one view, as if it were that one.
    let mut connection = connection(redis.url()).await;
    let mut tell = async |command: &str| {
        let mut words = command.split(' ');
        let mut cmd = redis::cmd(words.next().expect("a command"));
        for word in words {
            cmd.arg(word);
        }
        let answer: redis::Value = cmd.query_async(&mut connection).await.expect("done");
        answer
    };
    tell("SET junk x EX 1000").await;
    tell("CONFIG SET maxmemory-policy volatile-lru").await;
    tell("CONFIG SET maxmemory 1").await;
    let path = "/projections/accounts/ann";
    let is_refused = |answer: &Answer| answer.json()["code"] == "views_refused";
    service.eventually(path, is_refused).await;
    let keys = tell("KEYS *:accounts:*:doc:ann").await;
    let keys: Vec<String> = redis::from_redis_value(keys).expect("keys");
    assert_eq!(tell(&format!("DEL {}", keys[0])).await, redis::Value::Int(1));
    tell("CONFIG SET maxmemory 0").await;
    tell("CONFIG SET maxmemory-policy noeviction").await;
    for id in ["ann", "bob", "cid"] {
        let path = format!("/projections/accounts/{id}");
        let is_back = |answer: &Answer| match answer.status {
            200 => true,
            503 => false,
            other => panic!("{other} for a view that the log has: {answer:?}"),
        };
        service.eventually(&path, is_back).await;
    }
    let said = service.said();
    assert!(said.contains("Redis has evicted keys"), "{said}");
}

/// R5: the views of another log under the same keys are never believed.
#[tokio::test(flavor = "multi_thread")]
async fn the_redis_of_another_log_is_rebuilt() {
    let (brokers, redis) = (shared_brokers(), RedisServer::start(&[]));
    let namespace = |service: Process| service.restarted_with("RETELL_VIEWS__NAMESPACE", "same");
    let first = namespace(Process::start(&brokers, redis.url()).await).ready().await;
    first.open("ann", "Ann").await.ok();
    let done = first.deposit("ann", 999).await.ok();
    first.view("ann", done.header("retell-position")).await;
    drop(first);
    let topic = format!("test-{}", Uuid::now_v7());
    let second = Process::start_on(&brokers, &topic, redis.url()).await;
    let second = namespace(second).ready().await;
    let done = second.open("ann", "Bob").await.ok();
    let view = second.view("ann", done.header("retell-position")).await;
    assert_eq!((view["owner"].as_str(), view["balance"].as_i64()), (Some("Bob"), Some(0)));
}
