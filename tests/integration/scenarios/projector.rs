//! How the projector works: what it writes, what it holds, and whom it waits for.

use std::sync::Arc;

use retell::adapters::SystemClock;
use retell::adapters::memory::MemoryLog;
use retell::config::Config;
use retell::log::Checkpoint;
use retell::ports::{Change, Commit, Space, SpaceState, ViewStore};
use retell::projections::AccountView;
use retell::read::ReplayState;
use retell::{Partition, Positions};
use uuid::Uuid;

use crate::support::shelf::Shelf;
use crate::support::shipped::Shipped;
use crate::support::writers::{PATIENCE, partitions};

fn log(count: u32) -> Arc<MemoryLog> {
    Arc::new(MemoryLog::new(partitions(count), Arc::new(SystemClock)))
}

fn patient() -> Config {
    let mut config = Config::defaults();
    config.queries.wait_default = PATIENCE;
    config
}

/// Many events on one key are one write.
#[tokio::test]
async fn a_replay_writes_a_view_once_however_often_it_changed() {
    let shelf = Shelf::new();
    let mut config = patient();
    config.read.chunk_records_max = 50;
    let app = Shipped::start_with(log(1), Arc::new(shelf.clone()), config).await;
    app.open("ann", "Ann").await;
    let mut done = app.deposit("ann", 1).await;
    for _ in 1..500 {
        done = app.deposit("ann", 1).await;
    }
    assert_eq!(app.view("ann", &done).await.balance, 500);
    let before = shelf.puts_of("doc:ann");
    assert_eq!(app.replay(Some("accounts")).await.state, ReplayState::Done);
    assert_eq!(app.view("ann", &done).await.balance, 500);
    assert_eq!(shelf.puts_of("doc:ann") - before, 1);
    app.0.stop().await;
}

/// L8: more views than may be held are read again, fewer are not.
#[tokio::test]
async fn no_more_views_are_held_than_may_be() {
    for (held_max, is_read_again) in [(4, true), (10_000, false)] {
        let shelf = Shelf::new();
        let mut config = patient();
        config.read.cached_views_max = held_max;
        config.read.paused = vec!["account-totals".to_owned(), "messages".to_owned()];
        let app = Shipped::start_with(log(1), Arc::new(shelf.clone()), config).await;
        let mut last = app.open("a0", "Ann").await;
        for i in 1..20 {
            last = app.open(&format!("a{i}"), "Ann").await;
        }
        app.view("a0", &last).await;
        let before = shelf.reads_of("doc:a5"); // which no query asks for
        for i in 0..20 {
            last = app.deposit(&format!("a{i}"), 1).await;
            app.view("a0", &last).await; // folded one by one
        }
        let read = shelf.reads_of("doc:a5") - before;
        assert_eq!(read > 0, is_read_again, "{read} reads with {held_max} held");
        app.0.stop().await;
    }
}

/// R2: what is held is worth nothing once another has committed to the space.
#[tokio::test(start_paused = true)]
async fn views_that_are_held_are_forgotten_when_another_has_committed() {
    let shelf = Shelf::new();
    let app = Shipped::start_with(log(1), Arc::new(shelf.clone()), patient()).await;
    app.open("ann", "Ann").await;
    let done = app.deposit("ann", 1).await;
    let mut view: AccountView = app.view("ann", &done).await;
    let generation = app.generation("accounts", |_| true).await;
    let space = Space::new("accounts", generation, Partition(0));
    let state = shelf.read(&space, &[]).await.expect("read").0;
    let checkpoint = *state.checkpoint().expect("a checkpoint");
    view.movements = 77;
    let value = serde_json::to_vec(&view).expect("JSON").into();
    let put = Change::Put { key: "doc:ann".to_owned(), value, expires_in: None };
    let new = SpaceState::At(Checkpoint { commit: Some(Uuid::from_u128(7)), ..checkpoint });
    let committed = shelf.commit(&space, &state, &new, &[put]).await;
    assert_eq!(committed.expect("committed"), Commit::Committed);
    let done = app.deposit("ann", 1).await;
    assert_eq!(app.view("ann", &done).await.movements, 78, "it went on from what is there");
    app.0.stop().await;
}

/// R6: the store does not answer for one partition.
#[tokio::test]
async fn a_partition_that_stands_still_delays_no_other() {
    let shelf = Shelf::new();
    let app = Shipped::start_with(log(2), Arc::new(shelf.clone()), patient()).await;
    let mut at: [Option<(String, Positions)>; 2] = [None, None];
    for i in 0..20 {
        let id = format!("a{i}");
        let done = app.open(&id, "Ann").await;
        app.view(&id, &done).await;
        at[done.position.partition.0 as usize] = Some((id, done.position.into()));
    }
    let (stuck, _) = at[0].clone().expect("some are in partition 0");
    let (free, _) = at[1].clone().expect("some are in partition 1");
    shelf.hang(|space| space.partition == Partition(0));
    let waiting = app.deposit(&stuck, 1).await;
    for _ in 0..50 {
        let done = app.deposit(&free, 1).await;
        app.view(&free, &done).await;
    }
    shelf.go_on();
    assert_eq!(app.view(&stuck, &waiting).await.balance, 1);
    app.0.stop().await;
}
