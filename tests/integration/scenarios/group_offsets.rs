//! How far projections are, as Kafka's own tools see it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use retell::adapters::SystemClock;
use retell::adapters::memory::{MemoryBookmarks, MemoryLog, MemoryViews};
use retell::app::App;
use retell::config::Config;
use retell::log::Checkpoint;
use retell::ports::{Bookmarks, EventLog, LogError};
use retell::{Offset, Partition};
use uuid::Uuid;

use crate::support::kafka::{group, shared_brokers};
use crate::support::process::Process;
use crate::support::redis::shared_url;
use crate::support::shipped::Shipped;
use crate::support::writers::{PATIENCE, partitions};

const PARTITIONS: u32 = 3;

async fn start(log: &MemoryLog, bookmarks: Arc<dyn Bookmarks>, config: Config) -> Shipped {
    let store = Arc::new(MemoryViews::new(Arc::new(SystemClock)));
    let app = App::builder(config).log(Arc::new(log.clone())).store(store).shipped();
    Shipped(app.bookmarks(bookmarks).build().await.expect("the shipped application"))
}

fn noting_every(interval: Duration) -> Config {
    let mut config = Config::defaults();
    config.read.group_offsets_interval = interval;
    config
}

async fn ends(log: &MemoryLog) -> Vec<Offset> {
    let mut ends = Vec::new();
    for partition in log.partitions().iter() {
        ends.push(log.end(partition).await.expect("an end"));
    }
    ends
}

/// How far a projection is noted to be.
async fn noted(bookmarks: &MemoryBookmarks, name: &str) -> Vec<Offset> {
    let mut all = Vec::new();
    for partition in partitions(PARTITIONS).iter() {
        let found = bookmarks.find(name, partition).await.expect("an answer");
        all.extend(found.map(|checkpoint| checkpoint.next));
    }
    all
}

#[tokio::test]
async fn how_far_each_projection_is_is_noted_beside_the_log() {
    let log = MemoryLog::new(partitions(PARTITIONS), Arc::new(SystemClock));
    let bookmarks = Arc::new(MemoryBookmarks::default());
    let mut config = noting_every(Duration::from_millis(1));
    config.read.paused = vec!["messages".to_owned()];
    let app = start(&log, bookmarks.clone(), config).await;
    for i in 0..20 {
        app.open(&format!("a{i}"), "Ann").await;
    }
    for name in ["accounts", "account-totals", "history", "traces"] {
        let name = format!("projection.{name}");
        let caught_up = async {
            while noted(&bookmarks, &name).await != ends(&log).await {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, caught_up).await.expect("it is noted up to the end");
    }
    // Who does not fold it does not say how far it is.
    assert_eq!(noted(&bookmarks, "projection.messages").await, []);
    app.0.stop().await;
}

/// Keeps nothing, and does not say so.
struct Silent;

#[async_trait]
impl Bookmarks for Silent {
    async fn find(&self, _: &str, _: Partition) -> Result<Option<Checkpoint>, LogError> {
        Ok(None)
    }

    async fn keep(&self, _: &str, _: Partition, _: &Checkpoint) -> Result<(), LogError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_keeps_no_offsets_keeps_no_view_from_going_on() {
    let log = MemoryLog::new(partitions(PARTITIONS), Arc::new(SystemClock));
    let app = start(&log, Arc::new(Silent), noting_every(Duration::from_millis(1))).await;
    app.open("ann", "Ann").await;
    for balance in 1..=20 {
        let done = app.deposit("ann", 1).await;
        assert_eq!(app.view("ann", &done).await.balance, balance);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    app.0.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kafkas_own_tools_show_the_lag_of_a_projection() {
    let (brokers, topic) = (shared_brokers(), format!("test-{}", Uuid::now_v7()));
    let more = [("RETELL_READ__GROUP_OFFSETS_INTERVAL_MS", "20")];
    let service = Process::start_with(&brokers, &topic, &shared_url(), &more).await.ready().await;
    for i in 0..20 {
        service.open(&format!("a{i}"), "Ann").await.ok();
    }
    let name = format!("{topic}.projection.accounts");
    let at_the_head = async {
        loop {
            let group = group(&brokers, &name).await;
            if group.len() == 4 && group.iter().all(|(_, lag)| *lag == 0) {
                return group.iter().map(|(offset, _)| offset).sum::<u64>();
            }
        }
    };
    let records = tokio::time::timeout(PATIENCE, at_the_head).await.expect("it is at the head");
    assert!(records >= 4 + 20, "{records}: a claim for each partition, and the commits");
    // What nobody folds falls behind.
    let service = service.restarted_with("RETELL_READ__PAUSED", "accounts").ready().await;
    service.deposit("a1", 5).await.ok();
    let lag: u64 = group(&brokers, &name).await.iter().map(|(_, lag)| lag).sum();
    assert_eq!(lag, 4 + 1, "the claims of the new process, and the deposit");
}
