//! Verification: the live views beside what the log makes of them, while the service serves.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use retell::adapters::SystemClock;
use retell::adapters::memory::{MemoryLog, MemoryViews};
use retell::config::Config;
use retell::log::{Chain, Stamp, Term};
use retell::ports::{Change, EventLog, NewRecord};
use retell::read::{Sampled, VerificationError, VerificationState, What};
use retell::write::Done;
use retell::{Partition, Positions};

use crate::support::shipped::Shipped;
use crate::support::stuck::Stuck;
use crate::support::tampering::{
    delete, index_delete, index_put, keys, pointer, pointer_until, put, tamper,
};
use crate::support::writers::partitions;

const PARTITIONS: u32 = 3;

fn log() -> Arc<MemoryLog> {
    Arc::new(MemoryLog::new(partitions(PARTITIONS), Arc::new(SystemClock)))
}

fn store() -> MemoryViews {
    MemoryViews::new(Arc::new(SystemClock))
}

/// Accounts a0, a1, … with a deposit each; every view is there when it returns.
async fn filled(log: Arc<MemoryLog>, store: &MemoryViews, accounts: usize) -> (Shipped, Vec<Done>) {
    let app = Shipped::start(log, Arc::new(store.clone())).await;
    let mut done = Vec::new();
    for i in 0..accounts {
        app.open(&format!("a{i}"), &format!("o{}", i % 3)).await;
        done.push(app.deposit(&format!("a{i}"), 5).await);
    }
    let all: Positions = done.iter().map(|done| done.position).collect();
    app.totals(&all).await;
    for (i, done) in done.iter().enumerate() {
        app.view(&format!("a{i}"), done).await;
    }
    (app, done)
}

/// R1: every live view equals the fold of the log at its checkpoint.
#[tokio::test]
async fn views_that_nobody_touched_are_what_the_log_makes_of_them() {
    let store = store();
    let (app, _) = filled(log(), &store, 500).await;
    let found = app.verify(None).await;
    assert_eq!(found.state, VerificationState::Equal, "{found:?}");
    assert_eq!((found.compared.differences, found.records), (0, found.records_total));
    // One view an account; of the totals at least one part in each partition.
    assert!(found.compared.views >= 500 + u64::from(PARTITIONS), "{found:?}");
    let all = ["account-totals", "accounts", "history", "messages", "traces"];
    assert_eq!(found.projections, all);
    app.0.stop().await;
}

#[tokio::test]
async fn a_view_that_was_changed_is_named_with_both_sides() {
    let store = store();
    let (app, done) = filled(log(), &store, 20).await;
    let at = done[7].position.partition;
    tamper(&store, "accounts", at, &[put("a7", r#"{"id":"a7","balance":1}"#)]).await;
    let found = app.verify(Some("accounts")).await;
    assert_eq!(found.state, VerificationState::Differs);
    assert_eq!((found.compared.views, found.compared.differences), (20, 1));
    let first = found.compared.first.expect("named");
    assert_eq!((first.projection, first.key.as_str()), ("accounts", "a7"));
    assert_eq!((&first.of, first.position.partition), (&What::View, at));
    assert!(first.position.offset >= done[7].position.offset);
    let balance =
        |side: &Option<serde_json::Value>| side.as_ref().expect("both")["balance"].clone();
    assert_eq!((balance(&first.live), balance(&first.log)), (1.into(), 5.into()));
    assert_eq!(app.verify(Some("messages")).await.state, VerificationState::Equal);
    app.replay(Some("accounts")).await;
    assert_eq!(app.verify(None).await.state, VerificationState::Equal, "it is healed");
    app.0.stop().await;
}

/// Whatever somebody does to a view, only one side has something, or both have another thing.
#[tokio::test]
async fn what_only_one_side_has_is_a_difference_too() {
    let store = store();
    let (app, done) = filled(log(), &store, 20).await;
    let at = |i: usize| done[i].position.partition;
    let one = Partition(1);
    tamper(&store, "accounts", at(3), &[delete("a3")]).await;
    tamper(&store, "accounts", at(4), &[delete("a4"), index_delete("a4")]).await;
    tamper(&store, "accounts", at(5), &[index_delete("a5")]).await;
    tamper(&store, "accounts", one, &[put("zoe", "{}"), index_put("zoe")]).await;
    tamper(&store, "accounts", one, &[index_put("nobody")]).await;
    tamper(&store, "account-totals", one, &[put("all", r#"{"accounts":0}"#)]).await;
    let found = app.verify(Some("accounts")).await;
    assert_eq!(found.compared.differences, 5, "{found:?}");
    let found = app.verify(Some("account-totals")).await;
    assert_eq!(found.compared.differences, 1, "{found:?}");
    assert_eq!(found.compared.first.expect("named").key, "all");
    app.0.stop().await;
}

/// Lists are answered from indexes: what one has and the log does not is a difference.
#[tokio::test]
async fn a_member_of_an_index_that_the_log_does_not_know_is_named_with_its_view() {
    let store = store();
    let (app, done) = filled(log(), &store, 20).await;
    let member = bytes::Bytes::from_static(b"\x00doc:a3");
    let odd = Change::IndexPut { index: "balance".to_owned(), member };
    tamper(&store, "accounts", done[3].position.partition, &[odd]).await;
    let found = app.verify(Some("accounts")).await;
    assert_eq!(found.compared.differences, 1, "{found:?}");
    let first = found.compared.first.expect("named");
    assert_eq!(first.key, "a3");
    assert_eq!((&first.of, &first.log), (&What::Index("balance".to_owned()), &None));
    app.0.stop().await;
}

/// A live space that lost nearly all is compared page by page, too.
#[tokio::test]
async fn views_that_only_the_log_has_are_counted_however_many_they_are() {
    let store = store();
    let (app, done) = filled(log(), &store, 1_400).await;
    for (i, done) in done.iter().enumerate().filter(|(i, _)| i % 50 > 0) {
        let key = format!("a{i}");
        let changes = [delete(&key), index_delete(&key)];
        tamper(&store, "accounts", done.position.partition, &changes).await;
    }
    let found = app.verify(Some("accounts")).await;
    assert_eq!((found.compared.views, found.compared.differences), (1_400, 1_372), "{found:?}");
    app.0.stop().await;
}

/// The service serves while it is verified, and the views move under the comparison.
#[tokio::test]
async fn views_that_change_meanwhile_are_compared_as_of_one_position() {
    let store = store();
    let (app, _) = filled(log(), &store, 600).await;
    let id = app.0.verifications().start(None).expect("started");
    let running = || {
        let status = app.0.verifications().get(id).expect("it is remembered");
        status.state == VerificationState::Running
    };
    let mut commands = 0;
    while running() || commands < 50 {
        let done = app.deposit(&format!("a{}", commands % 600), 1).await;
        app.view(&format!("a{}", commands % 600), &done).await;
        commands += 1;
    }
    let found = app.verified(id).await;
    assert_eq!(found.state, VerificationState::Equal, "after {commands} commands: {found:?}");
    app.0.stop().await;
}

/// R6: what is parked is listed, and not held against the views.
#[tokio::test]
async fn what_is_parked_is_listed_and_put_aside() {
    let (log, store) = (log(), store());
    let (app, done) = filled(log.clone(), &store, 20).await;
    let poisoned = done[2].position.partition;
    let chain =
        Chain(done.iter().filter(|done| done.position.partition == poisoned).count() as u64);
    let mut appender = log.appender(poisoned).await.expect("appender");
    let stamp = Stamp::Commit { term: Term(1), chain: Chain(2 * chain.0) };
    let record = NewRecord { key: Some(b"account/a2"), stamp, value: b"garbage" };
    appender.append(record).expect("taken");
    let others = done.iter().enumerate();
    let (i, _) = others
        .clone()
        .find(|(i, it)| *i != 2 && it.position.partition == poisoned)
        .expect("another in that partition");
    let after = app.deposit(&format!("a{i}"), 5).await;
    app.view(&format!("a{i}"), &after).await;
    tamper(&store, "accounts", poisoned, &[put("a2", "{}")]).await;
    let found = app.verify(Some("accounts")).await;
    assert_eq!(found.state, VerificationState::Equal, "{found:?}");
    assert_eq!(found.parked.len(), 1, "{found:?}");
    assert_eq!(found.parked[0].aggregate, "account/a2");
    app.0.stop().await;
}

#[tokio::test]
async fn nothing_hidden_is_left_when_it_has_ended() {
    let store = store();
    let (app, done) = filled(log(), &store, 30).await;
    app.verify(Some("accounts")).await;
    let is_clean =
        |pointer: &retell::ports::Pointer| pointer.hidden.is_empty() && pointer.dropping.is_empty();
    pointer_until(&store, "accounts", is_clean).await;
    tamper(&store, "accounts", done[0].position.partition, &[put("a0", "{}")]).await;
    let found = app.verify(Some("accounts")).await;
    assert_eq!(found.state, VerificationState::Differs);
    pointer_until(&store, "accounts", is_clean).await;
    app.0.stop().await;
}

/// A process that dies while it verifies leaves a hidden generation; its next life drops it.
#[tokio::test]
async fn what_a_crash_leaves_hidden_is_dropped_by_the_next_process() {
    let (log, store) = (log(), store().with_changes_max(16));
    let (app, _) = filled(log.clone(), &store, 30).await;
    app.0.stop().await;
    let stuck = Stuck::after(store.clone(), 3);
    let app = Shipped::start(log.clone(), Arc::new(stuck.clone())).await;
    app.generation("accounts", |_| true).await;
    app.0.verifications().start(Some("accounts")).expect("started");
    stuck.stuck.notified().await;
    let hidden: Vec<_> = pointer(&store, "accounts").await.hidden.into_keys().collect();
    assert_eq!(hidden.len(), 1);
    assert!(!keys(&store, "accounts", hidden[0], PARTITIONS).await.is_empty(), "it has views");
    drop(app);
    let app = Shipped::start(log, Arc::new(store.clone())).await;
    pointer_until(&store, "accounts", |it| it.hidden.is_empty() && it.dropping.is_empty()).await;
    assert!(keys(&store, "accounts", hidden[0], PARTITIONS).await.is_empty());
    assert_eq!(app.verify(Some("accounts")).await.state, VerificationState::Equal);
    app.0.stop().await;
}

#[tokio::test]
async fn a_second_verification_is_told_of_the_first_and_it_can_be_cancelled() {
    let (log, views) = (log(), store().with_changes_max(16));
    let stuck = Stuck::after(views.clone(), 0);
    let (app, _) = filled(log.clone(), &views, 30).await;
    app.0.stop().await;
    let app = Shipped::start(log, Arc::new(stuck.clone())).await;
    app.generation("accounts", |_| true).await;
    let first = app.0.verifications().start(Some("accounts")).expect("started");
    stuck.stuck.notified().await;
    match app.0.verifications().start(None) {
        Err(VerificationError::Running(running)) => assert_eq!(running, first),
        other => panic!("{other:?}"),
    }
    drop(app.0.verifications().cancel(first));
    assert_eq!(app.verified(first).await.state, VerificationState::Cancelled);
    pointer_until(&views, "accounts", |it| it.hidden.is_empty() && it.dropping.is_empty()).await;
    app.0.stop().await;
}

/// R1, watched all the time: one part of the views after the other is compared.
#[tokio::test]
async fn samples_find_a_view_that_was_changed_without_being_asked() {
    let (log, store) = (log(), store());
    let (app, done) = filled(log.clone(), &store, 60).await;
    app.0.stop().await;
    let mut config = Config::defaults();
    config.verify.sample_interval = Duration::from_millis(1);
    config.verify.sample_percent = 25;
    config.verify.sample_records_per_second_max = NonZeroU32::MAX;
    let app = Shipped::start_with(log, Arc::new(store.clone()), config).await;
    let sampled = |app: &Shipped| {
        let list = app.0.views().list();
        list.into_iter().find(|it| it.name == "accounts").expect("accounts").sampled
    };
    let until = async |is: &dyn Fn(&Sampled) -> bool| {
        let waiting = async {
            while !is(&sampled(&app)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        assert!(waited.is_ok(), "never: {:?}", sampled(&app));
        sampled(&app)
    };
    let all = until(&|sampled| sampled.samples >= 4).await;
    assert_eq!(all.differences, 0, "{all:?}");
    let per_round = all.views as f64 / (all.samples as f64 / 4.0);
    assert!((45.0..75.0).contains(&per_round), "about all 60 views in 4 samples: {all:?}");
    tamper(&store, "accounts", done[7].position.partition, &[put("a7", "{}")]).await;
    let found = until(&|sampled| sampled.differences > 0).await;
    assert_eq!(found.difference.expect("named").key, "a7");
    // Who asks for all does not wait for a sample.
    assert_eq!(app.verify(Some("accounts")).await.compared.views, 60);
    app.0.stop().await;
}
