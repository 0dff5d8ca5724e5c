//! Flushes of a build: broken off by a crash, or by a store that does not answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use retell::read::ReplayState;

use crate::support::shipped::Shipped;
use crate::support::stuck::{Fate, Stuck};

use super::generations::{PARTITIONS, REQUIRE_EQUAL, fill, log, store};

/// R2: killed in the middle of a flush, a replay is gone on with as it was asked for.
#[tokio::test]
async fn a_replay_goes_on_after_a_crash_in_the_middle_of_a_flush() {
    let (log, store) = (log(), store().with_changes_max(16));
    let app = Shipped::start(log.clone(), Arc::new(store.clone())).await;
    let done = fill(&app, 40).await;
    app.0.stop().await;
    for flushes in [0, 1, 5] {
        let stuck = Stuck::after(store.clone(), flushes);
        let app = Shipped::start(log.clone(), Arc::new(stuck.clone())).await;
        let before = app.generation("accounts", |_| true).await;
        let replay = app.0.replays().start(Some("accounts"), REQUIRE_EQUAL).expect("started");
        stuck.stuck.notified().await;
        drop(app);
        let app = Shipped::start(log.clone(), Arc::new(store.clone())).await;
        app.generation("accounts", |generation| generation != before).await;
        let ended = app.ended(replay).await;
        assert_eq!((&ended.state, ended.require_equal), (&ReplayState::Done, true), "{ended:?}");
        assert_eq!(ended.compared.differences, 0, "{ended:?}");
        for (i, done) in done.iter().enumerate() {
            assert_eq!(app.view(&format!("a{i}"), done).await.balance, 5);
        }
        app.0.stop().await;
    }
}

/// What is in memory is worth more than beginning again.
#[tokio::test]
async fn a_flush_that_is_not_answered_goes_on_where_it_is() {
    let (log, store) = (log(), store().with_changes_max(16));
    let app = Shipped::start(log.clone(), Arc::new(store.clone())).await;
    let done = fill(&app, 40).await;
    app.0.stop().await;
    for (fate, flushes) in
        [(Fate::Lost, 0), (Fate::Unheard, 0), (Fate::Lost, 3), (Fate::Unheard, 3)]
    {
        let stuck = Stuck::with(store.clone(), flushes, fate);
        let app = Shipped::start(log.clone(), Arc::new(stuck.clone())).await;
        app.generation("accounts", |_| true).await;
        let begun = stuck.begun.load(Ordering::SeqCst);
        let replay = app.replay_with(Some("accounts"), REQUIRE_EQUAL).await;
        assert_eq!((&replay.state, replay.compared.differences), (&ReplayState::Done, 0));
        let begun = stuck.begun.load(Ordering::SeqCst) - begun;
        assert_eq!(begun, u64::from(PARTITIONS), "{fate:?} after {flushes}: no partition twice");
        for (i, done) in done.iter().enumerate() {
            assert_eq!(app.view(&format!("a{i}"), done).await.balance, 5);
        }
        app.0.stop().await;
    }
}
