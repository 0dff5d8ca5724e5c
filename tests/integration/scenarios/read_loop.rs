//! The read loop in memory: views follow the log, are rebuilt beside the old ones, and heal.

use std::sync::Arc;
use std::time::Duration;

use retell::adapters::SystemClock;
use retell::adapters::memory::{MemoryLog, MemoryViews};
use retell::app::App;
use retell::commands::{Account, AccountCommand, Message};
use retell::config::Config;
use retell::log::{Chain, Stamp, Term};
use retell::ports::{EventLog, NewRecord, ViewStore};
use retell::projections::{Accounts, Messages};
use retell::read::{QueryError, ReplayOptions, ReplayState};
use retell::write::Done;
use retell::{Key, Offset, Partition, Position, Positions, Version};

use crate::support::shipped::Shipped;
use crate::support::writers::partitions;

fn log(count: u32) -> Arc<MemoryLog> {
    Arc::new(MemoryLog::new(partitions(count), Arc::new(SystemClock)))
}

fn store() -> Arc<MemoryViews> {
    Arc::new(MemoryViews::new(Arc::new(SystemClock)))
}

fn positions(done: &[Done]) -> Positions {
    done.iter().map(|done| done.position).collect()
}

/// R3: a query with a position is never answered from before it.
#[tokio::test]
async fn a_view_is_read_as_of_the_command_just_answered() {
    let app = Shipped::start(log(4), store()).await;
    for i in 0..20 {
        let id = format!("a{i}");
        app.open(&id, "Ann").await;
        let done = app.deposit(&id, 500).await;
        let view = app.view(&id, &done).await;
        assert_eq!((view.balance, view.version), (500, Version(2)));
    }
    app.0.stop().await;
}

#[tokio::test]
async fn a_merged_view_sums_the_parts_of_all_partitions() {
    let app = Shipped::start(log(4), store()).await;
    let mut done = Vec::new();
    for i in 0..20 {
        app.open(&format!("a{i}"), "Ann").await;
        done.push(app.deposit(&format!("a{i}"), i + 1).await);
    }
    let totals = app.totals(&positions(&done)).await;
    assert_eq!((totals["accounts"].as_u64(), totals["balance"].as_u64()), (Some(20), Some(210)));
    app.0.stop().await;
}

#[tokio::test]
async fn messages_are_shown_beside_accounts() {
    // Without the policy that consumes a message, perhaps before its view is read.
    let app = App::builder(Config::defaults()).log(log(2)).store(store());
    let app = app.aggregate::<Account>(()).aggregate::<Message>(());
    let app = app.projection(Accounts).projection(Messages).build().await;
    let app = Shipped(app.expect("an application"));
    app.open("m", "Ann").await;
    let done = app.produce("m", "hello").await;
    let bytes = app.bytes("messages", "m", &done.position.into()).await;
    let view: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!((view["text"].as_str(), view["status"].as_str()), (Some("hello"), Some("produced")));
    app.0.stop().await;
}

/// R1: replay equals live. R4: the flip is one step.
#[tokio::test]
async fn a_replay_builds_the_same_views_beside_the_live_ones() {
    let app = Shipped::start(log(4), store()).await;
    let mut done = Vec::new();
    for i in 0..50 {
        app.open(&format!("a{i}"), &format!("o{}", i % 7)).await;
        done.push(app.deposit(&format!("a{i}"), i + 1).await);
    }
    let after = positions(&done);
    let before = app.generation("accounts", |_| true).await;
    let mut old = Vec::new();
    for i in 0..50 {
        old.push(app.bytes("accounts", &format!("a{i}"), &after).await);
    }
    let totals = app.totals(&after).await;
    // A replay goes as far as the live views are, and those that nobody waits for may be behind.
    for i in 0..50 {
        let none = app.0.view::<Messages>(&format!("a{i}"), after.clone()).await;
        assert!(none.expect("the views have come as far").is_none());
    }
    let status = app.replay(None).await;
    assert_eq!(status.state, ReplayState::Done);
    assert!(status.records == status.records_total && status.records >= 3 * 100, "{status:?}");
    app.generation("accounts", |generation| generation != before).await;
    for (i, old) in old.iter().enumerate() {
        assert_eq!(app.bytes("accounts", &format!("a{i}"), &after).await, *old);
    }
    assert_eq!(app.totals(&after).await, totals);
    app.0.stop().await;
}

/// R2: a process that goes on with a store goes on exactly where it was.
#[tokio::test]
async fn a_restart_folds_nothing_twice() {
    let (log, store) = (log(2), store());
    let mut done = Vec::new();
    for _ in 0..5 {
        let app = Shipped::start(log.clone(), store.clone()).await;
        if done.is_empty() {
            done.push(app.open("ann", "Ann").await);
        }
        done.push(app.deposit("ann", 10).await);
        let view = app.view("ann", &done[done.len() - 1]).await;
        assert_eq!(view.balance, 10 * (i64::try_from(done.len()).expect("few") - 1));
        app.0.stop().await;
    }
}

/// R2, R4: a store that is emptied while the process runs is rebuilt from the log, and answers
/// nothing wrong meanwhile.
#[tokio::test]
async fn an_emptied_store_heals_from_the_log() {
    let (log, store) = (log(2), store());
    let app = Shipped::start(log.clone(), store.clone()).await;
    app.open("ann", "Ann").await;
    let done = app.deposit("ann", 7).await;
    app.view("ann", &done).await;
    store.clear();
    let key = Key::new("ann").expect("key");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let answer =
            app.0.views().get("accounts", &key, &Positions::default(), Duration::ZERO).await;
        match answer {
            Ok(found) => {
                assert!(found.view.windows(11).any(|part| part == b"\"balance\":7"));
                break;
            }
            Err(QueryError::Behind(_)) => {}
            Err(other) => panic!("neither the view nor `behind`: {other}"),
        }
        assert!(tokio::time::Instant::now() < deadline, "not healed in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    app.0.stop().await;
}

/// A store with the views of another log is never believed.
#[tokio::test]
async fn the_views_of_another_log_are_rebuilt() {
    let store = store();
    let first = Shipped::start(log(2), store.clone()).await;
    first.open("ann", "Ann").await;
    let done = first.deposit("ann", 999).await;
    first.view("ann", &done).await;
    first.0.stop().await;
    let second = Shipped::start(log(2), store).await;
    second.open("ann", "Bob").await;
    let done = second.deposit("ann", 1).await;
    let view = second.view("ann", &done).await;
    assert_eq!((view.owner.as_str(), view.balance), ("Bob", 1));
    second.0.stop().await;
}

/// R5: not even where nobody folds it is a view of another log believed.
#[tokio::test]
async fn the_views_of_another_log_are_not_shown_while_they_are_paused() {
    let store = store();
    let first = Shipped::start(log(2), store.clone()).await;
    first.open("ann", "Ann").await;
    let done = first.deposit("ann", 999).await;
    first.view("ann", &done).await;
    first.0.stop().await;
    let mut config = retell::config::Config::defaults();
    config.read.paused = vec!["accounts".to_owned()];
    let second = Shipped::start_with(log(2), store, config).await;
    let done = second.open("ann", "Bob").await;
    let (key, wait) = (Key::new("ann").expect("key"), Duration::from_millis(100));
    let asked = second.0.views().get("accounts", &key, &done.position.into(), wait).await;
    assert!(matches!(asked, Err(QueryError::Behind(_))), "{asked:?}");
    second.0.stop().await;
}

#[tokio::test]
async fn a_position_beyond_the_log_is_refused() {
    let app = Shipped::start(log(2), store()).await;
    let done = app.open("ann", "Ann").await;
    let ask = |partition, offset| {
        let position = Position { partition: Partition(partition), offset: Offset(offset) };
        let (app, key) = (&app, Key::new("ann").expect("key"));
        async move {
            app.0.views().get("accounts", &key, &position.into(), Duration::from_secs(1)).await
        }
    };
    let beyond = ask(done.position.partition.0, 10_000).await;
    assert!(matches!(beyond, Err(QueryError::PositionUnknown { .. })), "{beyond:?}");
    let nowhere = ask(17, 0).await;
    assert!(matches!(nowhere, Err(QueryError::PartitionUnknown { .. })), "{nowhere:?}");
    app.0.stop().await;
}

/// R6, L7: garbage that counts parks its aggregate; all others go on.
#[tokio::test]
async fn a_poison_event_parks_its_aggregate_and_no_other() {
    let log = log(1);
    let app = Shipped::start(log.clone(), store()).await;
    app.open("ann", "Ann").await;
    let opened = app.open("bob", "Bob").await;
    app.view("bob", &opened).await;
    let mut appender = log.appender(Partition(0)).await.expect("appender");
    let stamp = Stamp::Commit { term: Term(1), chain: Chain(2) };
    let record = NewRecord { key: Some(b"account/ann"), stamp, value: b"garbage" };
    appender.append(record).expect("taken");
    let done = app.deposit("bob", 5).await;
    assert_eq!(app.view("bob", &done).await.balance, 5);
    let parked = app.0.views().parked();
    let parked: Vec<_> = parked.iter().filter(|it| it.projection == "accounts").collect();
    assert_eq!(parked.len(), 1, "{parked:?}");
    assert_eq!((parked[0].aggregate.as_str(), parked[0].count), ("account/ann", 1));
    app.0.stop().await;
}

#[tokio::test]
async fn a_second_replay_of_the_same_projection_is_told_of_the_first() {
    let app = Shipped::start(log(2), store()).await;
    app.account("ann", AccountCommand::OpenAccount { owner: "Ann".to_owned() }).await;
    app.generation("accounts", |_| true).await;
    let first = app.0.replays().start(Some("accounts"), ReplayOptions::default()).expect("started");
    match app.0.replays().start(Some("accounts"), ReplayOptions::default()) {
        Err(retell::read::ReplayError::Running(running)) => assert_eq!(running, first),
        other => panic!("{other:?}"),
    }
    assert_eq!(app.ended(first).await.state, ReplayState::Done);
    app.0.stop().await;
}

#[tokio::test]
async fn two_processes_on_one_store_show_the_same_views() {
    let (log, store) = (log(2), store());
    let first = Shipped::start(log.clone(), store.clone()).await;
    first.open("ann", "Ann").await;
    let second = Shipped::start(log.clone(), store.clone() as Arc<dyn ViewStore>).await;
    let done = second.deposit("ann", 5).await;
    assert_eq!(second.view("ann", &done).await.balance, 5);
    assert_eq!(first.view("ann", &done).await.balance, 5);
    let done = second.deposit("ann", 6).await;
    assert_eq!(first.view("ann", &done).await.balance, 11);
    second.0.stop().await;
    first.0.stop().await;
}

/// A node that does not fold a projection serves it as another node left it.
#[tokio::test]
async fn a_paused_projection_is_served_but_not_folded() {
    let (log, store) = (log(2), store());
    let folding = Shipped::start(log.clone(), store.clone()).await;
    folding.open("ann", "Ann").await;
    let done = folding.deposit("ann", 5).await;
    folding.view("ann", &done).await;
    folding.0.stop().await;
    let mut config = retell::config::Config::defaults();
    config.read.paused = vec!["accounts".to_owned()];
    let paused = Shipped::start_with(log, store, config).await;
    let later = paused.deposit("ann", 7).await;
    paused.generation("accounts", |_| true).await;
    assert_eq!(paused.view("ann", &done).await.balance, 5);
    let key = Key::new("ann").expect("key");
    let wait = Duration::from_millis(100);
    let waited = paused.0.views().get("accounts", &key, &later.position.into(), wait).await;
    assert!(matches!(waited, Err(QueryError::Behind(_))), "{waited:?}");
    let replay = paused.replay(Some("accounts")).await;
    assert!(matches!(replay.state, ReplayState::Failed { .. }), "{replay:?}");
    paused.0.stop().await;
}
