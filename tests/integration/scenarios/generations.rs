//! Generations: built beside the live one, compared, flipped, rolled back, dropped; through
//! crashes, and with other processes beside.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use retell::adapters::SystemClock;
use retell::adapters::memory::{ManualClock, MemoryLog, MemoryViews};
use retell::app::App;
use retell::config::Config;
use retell::ports::Clock;
use retell::projections::Accounts;
use retell::read::{OperationError, QueryError, ReplayError, ReplayOptions, ReplayState};
use retell::write::Done;
use retell::{Key, Partition, Position, Positions, Projection};
use tokio::time::Instant;
use uuid::Uuid;

use crate::support::shelf::Shelf;
use crate::support::shipped::Shipped;
use crate::support::tampering::{keys, pointer, pointer_until, put, set_back, tamper};
use crate::support::writers::partitions;

pub(super) const PARTITIONS: u32 = 3;
pub(super) const REQUIRE_EQUAL: ReplayOptions =
    ReplayOptions { records_per_second: None, require_equal: true };

pub(super) fn log() -> Arc<MemoryLog> {
    Arc::new(MemoryLog::new(partitions(PARTITIONS), Arc::new(SystemClock)))
}

pub(super) fn store() -> MemoryViews {
    MemoryViews::new(Arc::new(SystemClock))
}

/// Accounts a0, a1, … with a deposit each; every view is there when it returns.
pub(super) async fn fill(app: &Shipped, accounts: usize) -> Vec<Done> {
    let mut done = Vec::new();
    for i in 0..accounts {
        app.open(&format!("a{i}"), "Ann").await;
        done.push(app.deposit(&format!("a{i}"), 5).await);
    }
    for (i, done) in done.iter().enumerate() {
        app.view(&format!("a{i}"), done).await;
    }
    done
}

async fn balance(app: &Shipped, id: &str) -> Result<i64, QueryError> {
    let key = Key::new(id).expect("key");
    let found = app.0.views().get("accounts", &key, &Positions::default(), Duration::ZERO).await;
    let view: serde_json::Value = serde_json::from_slice(&found?.view).expect("JSON");
    Ok(view["balance"].as_i64().expect("a balance"))
}

async fn is_gone(store: &MemoryViews, generation: Uuid) -> bool {
    keys(store, "accounts", generation, PARTITIONS).await.is_empty()
}

#[tokio::test]
async fn a_replay_counts_the_views_that_differ_names_the_first_and_flips() {
    let store = store();
    let app = Shipped::start(log(), Arc::new(store.clone())).await;
    let done = fill(&app, 20).await;
    for i in [7, 9] {
        let at = done[i].position.partition;
        tamper(&store, "accounts", at, &[put(&format!("a{i}"), r#"{"balance":1}"#)]).await;
    }
    assert_eq!(balance(&app, "a7").await.expect("a view"), 1);
    let replay = app.replay(Some("accounts")).await;
    assert_eq!(replay.state, ReplayState::Done);
    assert_eq!((replay.compared.views, replay.compared.differences), (20, 2), "{replay:?}");
    let first = replay.compared.first.expect("named");
    assert!(["a7", "a9"].contains(&first.key.as_str()), "{first:?}");
    assert_eq!(balance(&app, "a7").await.expect("a view"), 5);
    let again = app.replay(None).await;
    assert_eq!((again.state, again.compared.differences), (ReplayState::Done, 0));
    assert!(again.compared.views > 20, "all projections were compared");
    app.0.stop().await;
}

#[tokio::test]
async fn a_replay_that_requires_equal_views_stops_until_it_is_flipped() {
    let store = store();
    let app = Shipped::start(log(), Arc::new(store.clone())).await;
    let done = fill(&app, 10).await;
    let equal = app.replay_with(Some("accounts"), REQUIRE_EQUAL).await;
    assert_eq!(equal.state, ReplayState::Done, "nothing stops it");
    let before = app.generation("accounts", |_| true).await;
    tamper(&store, "accounts", done[3].position.partition, &[put("a3", r#"{"balance":1}"#)]).await;
    let stopped = app.replay_with(Some("accounts"), REQUIRE_EQUAL).await;
    assert_eq!((stopped.state, stopped.compared.differences), (ReplayState::Differs, 1));
    assert_eq!(app.generation("accounts", |_| true).await, before);
    assert_eq!(balance(&app, "a3").await.expect("a view"), 1, "the old one is live");
    let another = app.0.replays().start(None, ReplayOptions::default());
    assert!(matches!(another, Err(ReplayError::Running(id)) if id == stopped.id), "{another:?}");
    // It follows meanwhile: the flip is at once, and nothing is missing.
    let done = app.deposit("a4", 5).await;
    assert!(app.0.replays().flip(stopped.id).expect("it waits").is_some());
    app.generation("accounts", |generation| generation != before).await;
    assert_eq!(app.view("a4", &done).await.balance, 10);
    assert_eq!(balance(&app, "a3").await.expect("a view"), 5);
    let over = app.0.replays().flip(stopped.id);
    assert!(matches!(over, Err(ReplayError::NotWaiting(_))), "{over:?}");
    app.0.stop().await;
}

#[tokio::test]
async fn a_replay_that_stopped_on_a_difference_can_be_given_up() {
    let store = store();
    let app = Shipped::start(log(), Arc::new(store.clone())).await;
    let done = fill(&app, 10).await;
    let before = app.generation("accounts", |_| true).await;
    tamper(&store, "accounts", done[3].position.partition, &[put("a3", r#"{"balance":1}"#)]).await;
    let stopped = app.replay_with(Some("accounts"), REQUIRE_EQUAL).await;
    assert_eq!(stopped.state, ReplayState::Differs);
    let built = pointer(&store, "accounts").await.building.expect("it was built");
    drop(app.0.replays().cancel(stopped.id));
    let gone = |it: &retell::ports::Pointer| it.building.is_none() && it.dropping.is_empty();
    pointer_until(&store, "accounts", gone).await;
    let status = app.0.replays().get(stopped.id).expect("it is remembered");
    assert_eq!(status.state, ReplayState::Cancelled);
    assert!(is_gone(&store, built).await);
    assert_eq!(app.generation("accounts", |_| true).await, before);
    app.0.stop().await;
}

/// R4: a rollback is one step, to views that were kept up to date.
#[tokio::test]
async fn a_rollback_returns_to_views_that_kept_following() {
    let store = store();
    let app = Shipped::start(log(), Arc::new(store.clone())).await;
    fill(&app, 10).await;
    let before = app.generation("accounts", |_| true).await;
    app.replay(Some("accounts")).await;
    let after = app.generation("accounts", |generation| generation != before).await;
    let done = app.deposit("a3", 20).await;
    app.view("a3", &done).await;
    app.0.operations().roll_back("accounts").await.expect("rolled back");
    assert_eq!(app.generation("accounts", |_| true).await, before);
    assert_eq!(balance(&app, "a3").await.expect("a view"), 25, "nothing is missing");
    let floor = pointer(&store, "accounts").await.floor[&done.position.partition];
    assert!(floor > done.position.offset, "what was shown is not taken back: {floor}");
    let done = app.deposit("a3", 1).await;
    assert_eq!(app.view("a3", &done).await.balance, 26, "it goes on");
    let again = app.0.operations().roll_back("accounts").await;
    assert!(matches!(again, Err(OperationError::NothingBefore)), "{again:?}");
    pointer_until(&store, "accounts", |it| it.dropping.is_empty()).await;
    assert!(is_gone(&store, after).await);
    app.0.stop().await;
}

/// R4: nobody goes back in time by a rollback.
#[tokio::test(start_paused = true)]
async fn a_generation_before_that_is_behind_is_not_rolled_back_to() {
    let shelf = Shelf::new();
    let app = Shipped::start(log(), Arc::new(shelf.clone())).await;
    fill(&app, 10).await;
    let before = app.generation("accounts", |_| true).await;
    app.replay(Some("accounts")).await;
    let after = app.generation("accounts", |generation| generation != before).await;
    shelf.hang(move |space| *space.generation == *before.to_string());
    let done = app.deposit("a3", 20).await;
    app.view("a3", &done).await;
    let refused = app.0.operations().roll_back("accounts").await;
    assert!(matches!(refused, Err(OperationError::Behind(_))), "{refused:?}");
    assert_eq!(app.generation("accounts", |_| true).await, after);
    shelf.go_on();
    app.0.operations().roll_back("accounts").await.expect("rolled back");
    assert_eq!(balance(&app, "a3").await.expect("a view"), 25);
    app.0.stop().await;
}

/// R4: a node that has not heard of a rollback does not show what was rolled back, however long it
/// takes to drop it.
#[tokio::test]
async fn another_node_never_shows_what_was_rolled_back() {
    let (log, store) = (log(), Shelf::new());
    let first = Shipped::start(log.clone(), Arc::new(store.clone())).await;
    let done = fill(&first, 10).await;
    let before = first.generation("accounts", |_| true).await;
    first.replay(Some("accounts")).await;
    let bad = first.generation("accounts", |generation| generation != before).await;
    tamper(&store, "accounts", done[3].position.partition, &[put("a3", r#"{"balance":1}"#)]).await;
    let second = Shipped::start(log, Arc::new(store.clone())).await;
    second.generation("accounts", |generation| generation == bad).await;
    assert_eq!(balance(&second, "a3").await.expect("a view"), 1);
    store.hang(move |space| *space.generation == *bad.to_string());
    first.0.operations().roll_back("accounts").await.expect("rolled back");
    assert_eq!(balance(&second, "a3").await.expect("at once"), 5);
    assert_eq!(second.generation("accounts", |_| true).await, before);
    second.0.stop().await;
    first.0.stop().await;
}

#[tokio::test]
async fn the_generation_before_is_dropped_when_it_was_kept_for_long_enough() {
    let (log, clock) = (log(), ManualClock::new(SystemClock.now()));
    let store = MemoryViews::new(Arc::new(clock.clone()));
    let start = || async {
        let app = App::builder(Config::defaults()).log(log.clone()).clock(Arc::new(clock.clone()));
        let app = app.store(Arc::new(store.clone())).shipped().build().await;
        Shipped(app.expect("the shipped application"))
    };
    let app = start().await;
    fill(&app, 30).await;
    let before = app.generation("accounts", |_| true).await;
    app.replay(Some("accounts")).await;
    clock.advance(Duration::from_secs(3_599));
    app.0.stop().await;
    // The hour is the same one after a restart, and the views are kept up to date by it, too.
    let app = start().await;
    let done = app.deposit("a3", 20).await;
    app.view("a3", &done).await;
    assert_eq!(pointer(&store, "accounts").await.previous, Some(before));
    app.0.operations().roll_back("accounts").await.expect("rolled back");
    assert_eq!(balance(&app, "a3").await.expect("a view"), 25);
    app.replay(Some("accounts")).await;
    clock.advance(Duration::from_secs(3_600));
    pointer_until(&store, "accounts", |it| it.previous.is_none() && it.dropping.is_empty()).await;
    assert!(is_gone(&store, before).await);
    app.0.stop().await;
}

/// What one process builds is looked on at by another, which can give it up.
#[tokio::test]
async fn another_process_shows_a_replay_and_can_cancel_it() {
    let (log, store) = (log(), store());
    let first = Shipped::start(log.clone(), Arc::new(store.clone())).await;
    let done = fill(&first, 10).await;
    tamper(&store, "accounts", done[3].position.partition, &[put("a3", r#"{"balance":1}"#)]).await;
    let stopped = first.replay_with(Some("accounts"), REQUIRE_EQUAL).await;
    assert_eq!(stopped.state, ReplayState::Differs);
    // One that begins later, under another name: the builder lives.
    let mut config = Config::defaults();
    config.node.id = "another".to_owned();
    let second = Shipped::start_with(log, Arc::new(store.clone()), config).await;
    let seen = async {
        while second.0.replays().get(stopped.id).is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), seen).await.expect("it is seen");
    let another = second.0.replays().start(Some("accounts"), ReplayOptions::default());
    assert!(matches!(another, Err(ReplayError::Running(id)) if id == stopped.id), "{another:?}");
    drop(second.0.replays().cancel(stopped.id));
    for app in [&first, &second] {
        let waiting = async {
            while app.0.replays().get(stopped.id).expect("known").state != ReplayState::Cancelled {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("cancelled");
    }
    pointer_until(&store, "accounts", |it| it.building.is_none() && it.dropping.is_empty()).await;
    first.0.stop().await;
    second.0.stop().await;
}

#[tokio::test]
async fn what_an_operator_pauses_stays_paused_until_it_is_resumed() {
    let (log, store) = (log(), store());
    let app = Shipped::start(log.clone(), Arc::new(store.clone())).await;
    fill(&app, 5).await;
    app.0.operations().pause("accounts").await.expect("paused");
    let paused = |app: &Shipped| {
        app.0.views().list().iter().find(|it| it.name == "accounts").is_some_and(|it| it.paused)
    };
    assert!(paused(&app));
    let later = app.deposit("a3", 20).await;
    app.totals(&later.position.into()).await; // others go on
    assert_eq!(balance(&app, "a3").await.expect("served as it was"), 5);
    let replay = app.replay(Some("accounts")).await;
    assert!(matches!(&replay.state, ReplayState::Failed { error } if error.contains("operator")));
    app.0.stop().await;
    let app = Shipped::start(log, Arc::new(store)).await;
    app.generation("accounts", |_| true).await;
    assert!(paused(&app), "after a restart, too");
    let key = Key::new("a3").expect("key");
    let wait = Duration::from_millis(50);
    let waited = app.0.views().get("accounts", &key, &later.position.into(), wait).await;
    assert!(matches!(waited, Err(QueryError::Behind(_))), "{waited:?}");
    app.0.operations().resume("accounts").await.expect("resumed");
    assert_eq!(app.view("a3", &later).await.balance, 25);
    let unknown = app.0.operations().pause("acounts").await;
    assert!(matches!(unknown, Err(OperationError::UnknownProjection(_))), "{unknown:?}");
    app.0.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_limited_replay_is_as_fast_as_it_says() {
    let app = Shipped::start(log(), Arc::new(store())).await;
    fill(&app, 100).await;
    let begun = Instant::now();
    let per_second = NonZeroU32::new(100);
    let options = ReplayOptions { records_per_second: per_second, require_equal: false };
    let replay = app.replay_with(Some("accounts"), options).await;
    let took = begun.elapsed().as_secs_f64();
    assert_eq!(replay.state, ReplayState::Done);
    // Views that are compared are paid for as records are.
    let paid = (replay.records + replay.compared.views) as f64 / 100.0;
    assert!(replay.records >= 200 && replay.compared.views == 100, "{replay:?}");
    assert!((paid..paid + 0.5).contains(&took), "{paid} s were paid for, it took {took} s");
    app.0.stop().await;
}

/// R4: a query finds no half of a generation, whatever the pointer that it knows, and nothing that
/// is older than what was shown.
#[tokio::test]
async fn a_view_below_the_floor_is_not_shown() {
    let store = store();
    let app = Shipped::start(log(), Arc::new(store.clone())).await;
    let done = fill(&app, 10).await;
    app.replay(Some("accounts")).await;
    let pointer = pointer(&store, Accounts::NAME).await;
    assert_eq!(pointer.floor.len(), PARTITIONS as usize);
    for done in &done {
        let floor = pointer.floor[&done.position.partition];
        assert!(floor > done.position.offset, "{pointer:?}");
    }
    assert!(pointer.floor.contains_key(&Partition(0)));
    let Position { partition, offset } = done[3].position;
    set_back(&store, Accounts::NAME, partition, offset).await;
    let older = balance(&app, "a3").await;
    assert!(matches!(older, Err(QueryError::Behind(_))), "{older:?}");
    app.0.stop().await;
}
