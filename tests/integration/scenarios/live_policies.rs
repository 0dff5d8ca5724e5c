//! Policies on a real Kafka and a real Redis: killed, emptied and set back under load.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use retell::adapters::kafka::KafkaLog;
use retell::config::KafkaAddress;
use retell::events::Commit;
use retell::log::{Mark, Tracker};
use retell::ports::EventLog;
use retell::{Offset, Target};
use serde_json::json;
use tokio::sync::RwLock;
use uuid::Uuid;

use crate::support::kafka::shared_brokers;
use crate::support::log::in_time;
use crate::support::log_config;
use crate::support::process::Process;
use crate::support::redis::RedisServer;

/// The commands that count, by message: `ProduceMessage` and what followed, refusals too.
async fn commands(brokers: &str, topic: &str) -> BTreeMap<String, Vec<String>> {
    let address = KafkaAddress { brokers: brokers.to_owned(), topic: topic.to_owned() };
    let log = KafkaLog::connect(&address, &log_config(4)).expect("the settings are right");
    let mut commands: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for partition in log.partitions().iter() {
        let mut reader = log.reader(partition, Offset(0)).await.expect("a reader");
        let mut tracker = Tracker::default();
        loop {
            let chunk = reader.next(1_000, 1 << 20).await.expect("a chunk");
            for record in &chunk.records {
                let (at, time) = (record.offset, record.time);
                if tracker.step(at, time, &record.stamp, &record.value) != Mark::Counts {
                    continue;
                }
                let commit = Commit::decode(&record.value).expect("a commit");
                let target = Target::parse(record.key.as_deref().expect("a key")).expect("a key");
                commands.entry(target.to_string()).or_default().push(commit.command.into_owned());
            }
            if chunk.at_end {
                break;
            }
        }
    }
    commands
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_and_flushall_under_load_make_a_policy_repeat_and_skip_nothing() {
    let redis = RedisServer::start(&[]);
    let (brokers, topic) = (shared_brokers(), format!("test-{}", Uuid::now_v7()));
    let service = Process::start_on(&brokers, &topic, redis.url()).await.ready().await;
    let service = Arc::new(RwLock::new(service));
    let stop = Arc::new(AtomicBool::new(false));
    let load = |worker: usize| {
        let (service, stop) = (service.clone(), stop.clone());
        tokio::spawn(async move {
            for i in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let (id, command) =
                    (format!("{worker}-{i}"), json!({"type": "ProduceMessage", "text": "hello"}));
                let service = service.read().await;
                drop(service.try_command_to("message", &id, &command).await);
            }
        })
    };
    let workers: Vec<_> = (0..8).map(load).collect();
    for round in 0..4 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        if round % 2 == 0 {
            redis.empty().await;
        }
        if round > 0 {
            let mut service = service.write().await;
            service.kill();
            service.spawn();
            service.wait_ready().await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.await.expect("no panic");
    }
    let all_consumed = async {
        loop {
            let commands = commands(&brokers, &topic).await;
            if commands.values().all(|commands| commands.len() > 1) {
                return commands;
            }
        }
    };
    let commands = in_time("all messages to be consumed", all_consumed).await;
    assert!(commands.len() > 100, "only {} messages", commands.len());
    for (message, commands) in &commands {
        assert_eq!(commands[..], ["ProduceMessage", "ConsumeMessage"], "{message}");
    }
}
