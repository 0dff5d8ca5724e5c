//! The message timer of the original design.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use retell::adapters::SystemClock;
use retell::adapters::memory::MemoryViews;
use retell::config::Config;
use retell::events::Commit;
use retell::log::{Mark, Tracker};
use retell::ports::EventLog;
use retell::{Offset, Target};

use crate::support::app::{Answer, TestApp, memory_log};
use crate::support::log::read_to_end;

fn ticking(config: &mut Config) {
    config.timer.enabled = true;
    config.timer.interval = Duration::from_millis(40);
    config.timer.text = "It is {time}.".to_owned();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_message_a_tick_however_many_nodes_there_are() {
    let log: Arc<dyn EventLog> = Arc::new(memory_log());
    let store = Arc::new(MemoryViews::new(Arc::new(SystemClock)));
    let first = TestApp::start_over(log.clone(), store.clone(), ticking).await;
    first.ready().await;
    let second = TestApp::start_over(log.clone(), store, ticking).await;
    let has_five = |answer: &Answer| {
        answer.status == 200 && answer.json()["items"].as_array().is_some_and(|it| it.len() >= 5)
    };
    let path = "/projections/messages?status=consumed&limit=5";
    let listed = second.eventually(path, has_five).await.json();
    let message = &listed["items"][0];
    let id = message["id"].as_str().expect("an id");
    let time = id.strip_prefix("timer-").expect("an id of the timer's");
    assert_eq!(message["text"], format!("It is {time}."));
    let status = second.get("/admin/status").await.ok().json();
    assert_eq!(status["timer"]["enabled"], true, "{}", status["timer"]);
    assert_eq!(status["timer"]["interval_ms"], 40);
    assert!(status["timer"]["last"].is_string(), "{}", status["timer"]);
    first.stop().await.expect("stopped");
    second.stop().await.expect("stopped");
    let mut ticks: BTreeMap<String, usize> = BTreeMap::new();
    for partition in log.partitions().iter() {
        let mut reader = log.reader(partition, Offset(0)).await.expect("a reader");
        let mut tracker = Tracker::default();
        for record in read_to_end(reader.as_mut()).await {
            let (at, time) = (record.offset, record.time);
            if tracker.step(at, time, &record.stamp, &record.value) == Mark::Counts {
                let commit = Commit::decode(&record.value).expect("a commit");
                let target = Target::parse(record.key.as_deref().expect("a key")).expect("a key");
                if let Some(time) = commit.command_id.strip_prefix("timer:") {
                    assert_eq!(target.id(), format!("timer-{time}"));
                    assert!(commit.refused.is_none(), "{:?}", commit.refused);
                    *ticks.entry(time.to_owned()).or_default() += 1;
                }
            }
        }
    }
    assert!(ticks.len() >= 5 && ticks.values().all(|&count| count == 1), "{ticks:?}");
}

#[tokio::test]
async fn a_timer_that_is_not_enabled_says_so() {
    let app = TestApp::spawn().await;
    let status = app.get("/admin/status").await.ok().json();
    assert_eq!(status["timer"]["enabled"], false);
    assert_eq!(status["timer"]["last"], serde_json::Value::Null);
}
