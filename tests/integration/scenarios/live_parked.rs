//! Parked sequences on a real Kafka and a real Redis.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use retell::adapters::kafka::KafkaLog;
use retell::config::{Config, KafkaAddress};
use retell::read::ReplayState;
use uuid::Uuid;

use crate::support::fragile::{self, Trap, Traps, deposits, parked_from};
use crate::support::kafka::shared_brokers;
use crate::support::redis::{shared_url, views};
use crate::support::{log_config, writers::PATIENCE};

/// Longer than a view takes to follow, shorter than anybody would wait for a partition.
const DELAY_MAX: Duration = Duration::from_secs(2);

/// R1, R6: a long sequence comes back whole, and its neighbours do not notice.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_of_a_long_sequence_delays_nobody_and_is_as_a_replay() {
    let topic = format!("test-{}", Uuid::now_v7());
    let address = KafkaAddress { brokers: shared_brokers(), topic: topic.clone() };
    let log = Arc::new(KafkaLog::connect(&address, &log_config(1)).expect("a log"));
    let (store, traps) = (Arc::new(views(&shared_url(), &topic)), Traps::default());
    traps.set(Trap::Fold(13));
    let app = Arc::new(fragile::start(log, store, &traps, Config::defaults()).await);
    for id in ["ann", "bob"] {
        app.open(id, "Ann").await;
    }
    app.deposit("ann", 13).await;
    // What is retried, and others in between, which it must read past.
    for _ in 0..40 {
        join_all((0..50).map(|i| app.deposit(if i % 2 == 0 { "ann" } else { "bob" }, 1))).await;
    }
    let last = app.deposit("ann", 2).await;
    assert_eq!(deposits(&app, "ann", last.position).await, Some(vec![]));
    let held = parked_from(&app, "fragile", 1_002).await;
    assert_eq!(held.count, 1_002);
    traps.clear(Trap::Fold(13));

    let stop = Arc::new(AtomicBool::new(false));
    let (neighbour, stopped) = (app.clone(), stop.clone());
    let reading = tokio::spawn(async move {
        let mut slowest = Duration::ZERO;
        while !stopped.load(Ordering::SeqCst) {
            let done = neighbour.deposit("bob", 1).await;
            let begun = Instant::now();
            drop(deposits(&neighbour, "bob", done.position).await);
            slowest = slowest.max(begun.elapsed());
        }
        slowest
    });
    let retried = tokio::time::timeout(PATIENCE, app.0.views().retry_parked(&held.id)).await;
    let retried = retried.expect("in time").expect("it can be folded now");
    stop.store(true, Ordering::SeqCst);
    let slowest = reading.await.expect("no panic");
    assert!(slowest < DELAY_MAX, "a neighbour's view took {slowest:?}");
    assert_eq!((retried.applied, retried.parked.is_none()), (1_002, true));
    let whole = deposits(&app, "ann", last.position).await.expect("a view");
    assert_eq!((whole.len(), whole[0], whole[1_001]), (1_002, 13, 2));
    assert_eq!(app.replay(Some("fragile")).await.state, ReplayState::Done);
    assert_eq!(deposits(&app, "ann", last.position).await, Some(whole));
}
