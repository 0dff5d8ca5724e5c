//! Old and new binaries on one log and one store: events change, and nothing is lost or decided
//! wrongly.

use std::sync::Arc;

use retell::adapters::SystemClock;
use retell::adapters::memory::{MemoryLog, MemoryViews};
use retell::app::App;
use retell::log::{Chain, Stamp, Term};
use retell::ports::{EventLog, NewRecord, Pointer, ViewStore};
use retell::projections::Accounts;
use retell::read::{LaneState, ReplayState};
use retell::write::{CommandError, Failure};
use retell::{Partition, Position, Projection, Version};
use uuid::Uuid;

use crate::support::parcel::{Binary, NotNow, OldParcels, ParcelCommand};
use crate::support::shipped::Shipped;
use crate::support::writers::partitions;

fn log(count: u32) -> Arc<MemoryLog> {
    Arc::new(MemoryLog::new(partitions(count), Arc::new(SystemClock)))
}

fn store() -> Arc<MemoryViews> {
    Arc::new(MemoryViews::new(Arc::new(SystemClock)))
}

/// Why a binary does not know the history of a parcel.
#[track_caller]
fn unreadable<T: std::fmt::Debug>(answer: Result<T, CommandError<NotNow>>) -> String {
    match answer {
        Err(CommandError::Failed(Failure::HistoryUnreadable { detail, .. })) => detail,
        other => panic!("{other:?}"),
    }
}

/// What keeps the binary's parcels from being folded, where something does.
fn newer_events(app: &App) -> Option<(Partition, String)> {
    let list = app.views().list();
    let parcels = list.iter().find(|info| info.name == OldParcels::NAME).expect("parcels");
    parcels.partitions.iter().find_map(|lane| match &lane.state {
        LaneState::NewerEvents { detail } => Some((lane.partition, detail.clone())),
        _ => None,
    })
}

/// R1: what an upcaster makes of an old event is the same when it is decided on, when it is
/// folded as it comes, and when it is replayed.
#[tokio::test]
async fn old_events_are_read_through_the_upcaster_live_and_on_replay() {
    let (log, store) = (log(2), store());
    let old = Binary::old(log.clone(), store.clone()).await;
    let sent = old.send("a", "Ann").await;
    assert_eq!(old.view("a", &sent).await.history, ["ParcelSent"]);
    old.app.stop().await;

    let new = Binary::new(log, store).await;
    let again = new.try_parcel("a", ParcelCommand::Send { to: "Bob".to_owned() }).await;
    let Err(CommandError::Refused { error, .. }) = again else { panic!("{again:?}") };
    assert!(error.0.contains(r#"recipient: Some("Ann")"#), "{error}");
    let opened = new.parcel("a", ParcelCommand::Open {}).await;
    assert_eq!(opened.version, Version(2));
    let sent = new.send("b", "Bob").await;
    assert_eq!(sent.events[0].schema, 2);
    let live = (new.view("a", &opened).await, new.view("b", &sent).await);
    assert_eq!((live.0.recipient.as_str(), live.1.recipient.as_str()), ("Ann", "Bob"));
    assert_eq!(live.0.history, ["ParcelSent", "ParcelOpened"]);

    let new = Shipped(new.app);
    assert_eq!(new.replay(Some("parcels")).await.state, ReplayState::Done);
    let view = |id, position: Position| new.0.view::<OldParcels>(id, position);
    let replayed = (view("a", opened.position).await, view("b", sent.position).await);
    assert_eq!(
        (replayed.0.ok().flatten(), replayed.1.ok().flatten()),
        (Some(live.0), Some(live.1))
    );
    new.0.stop().await;
}

/// L7: a binary that meets what it does not know decides nothing on it, and everything else.
#[tokio::test]
async fn an_old_binary_decides_nothing_on_a_history_that_it_cannot_read() {
    let (log, store) = (log(1), store());
    let old = Binary::old(log.clone(), store.clone()).await;
    for id in ["a", "b", "c"] {
        old.send(id, "Ann").await;
    }
    old.app.stop().await;
    let new = Binary::new(log.clone(), store.clone()).await;
    new.parcel("a", ParcelCommand::Return {}).await; // another event type
    new.send("d", "Dan").await; // a higher schema
    new.app.stop().await;

    let old = Binary::old(log.clone(), store).await;
    let end = log.end(Partition(0)).await.expect("end");
    let returned = unreadable(old.try_parcel("a", ParcelCommand::Open {}).await);
    assert!(returned.contains("event type `ParcelReturned` is unknown"), "{returned}");
    let sent = unreadable(old.try_parcel("d", ParcelCommand::Open {}).await);
    assert!(sent.contains("`ParcelSent` has schema 2, this binary knows 1"), "{sent}");
    let again = ParcelCommand::Send { to: "Eve".to_owned() };
    unreadable(old.try_parcel("d", again).await); // never: it does not exist yet
    assert_eq!(log.end(Partition(0)).await.expect("end"), end, "nothing was appended");
    let opened = old.parcel("b", ParcelCommand::Open {}).await;
    assert_eq!(opened.version, Version(2), "the others are not concerned");
    assert_eq!(old.app.commands().status()[0].unreadable, 2);
    old.app.stop().await;
}

/// R2: nothing newer is parked or skipped; what an old binary leaves, a new one folds.
#[tokio::test]
async fn views_stop_at_a_newer_event_and_a_newer_binary_goes_on() {
    let (log, store) = (log(2), store());
    let old = Binary::old(log.clone(), store.clone()).await;
    let (mut a, mut other) = (old.send("a", "Ann").await, None);
    for i in 0..8 {
        let id = format!("b{i}");
        let sent = old.send(&id, "Bob").await;
        other = other.or((sent.position.partition != a.position.partition).then_some(id));
    }
    let other = other.expect("some parcel is in the other partition");
    old.view("a", &a).await;

    let new = Binary::new(log.clone(), store.clone()).await;
    a = new.parcel("a", ParcelCommand::Return {}).await;
    old.deposed().await;
    // Whoever follows the partition now, the old binary or the new one, the view gets there.
    assert_eq!(new.view("a", &a).await.history, ["ParcelSent", "ParcelReturned"]);
    let opened = new.parcel(&other, ParcelCommand::Open {}).await;
    assert_eq!(new.view(&other, &opened).await.history, ["ParcelSent", "ParcelOpened"]);
    assert!(new.app.views().parked().is_empty() && old.app.views().parked().is_empty());
    new.app.stop().await;
    old.app.stop().await;
}

/// The same with an old binary that is alone: it stops there and says so, and only there.
#[tokio::test]
async fn an_old_binary_says_which_views_wait_for_a_newer_one() {
    let (log, store, beside) = (log(1), store(), store());
    let old = Binary::old(log.clone(), store.clone()).await;
    let sent = old.send("a", "Ann").await;
    old.view("a", &sent).await;
    let new = Binary::new(log.clone(), beside).await;
    let returned = new.parcel("a", ParcelCommand::Return {}).await;
    old.until("stopped", |app| newer_events(app).is_some()).await;
    let (partition, detail) = newer_events(&old.app).expect("it stays so");
    assert_eq!(partition, returned.position.partition);
    assert!(detail.starts_with(&format!("record {}", returned.position)), "{detail}");
    let reasons = old.reasons().await;
    assert!(reasons.iter().any(|(code, it)| *code == "newer_events" && it.contains(&detail)));
    assert_eq!(reasons.iter().filter(|(code, _)| *code == "newer_events").count(), 1);
    assert_eq!(old.view("a", &sent).await.history, ["ParcelSent"], "as of before it");
    assert!(old.app.views().parked().is_empty(), "nothing is parked");

    // A projection that does not read parcels is not concerned.
    let new = Shipped(new.app);
    let opened = new.open("ann", "Ann").await;
    let old = Shipped(old.app);
    assert_eq!(old.view("ann", &opened).await.owner, "Ann");
    old.0.stop().await;
    new.0.stop().await;

    let new = Binary::new(log, store).await;
    let view = new.view("a", &returned).await;
    assert_eq!(view.history, ["ParcelSent", "ParcelReturned"]);
    assert_eq!(new.reasons().await, []);
    new.app.stop().await;
}

/// Without views to go on from, an old binary leaves building them to a newer one.
#[tokio::test]
async fn an_old_binary_with_an_emptied_store_leaves_building_to_a_newer_one() {
    let (log, store) = (log(2), store());
    let new = Binary::new(log.clone(), store.clone()).await;
    new.send("a", "Ann").await;
    let returned = new.parcel("a", ParcelCommand::Return {}).await;
    new.app.stop().await;
    store.clear();

    let old = Binary::old(log.clone(), store.clone()).await;
    let cannot = |app: &App| app.views().list().iter().any(|it| it.newer_events.is_some());
    old.until("told", cannot).await;
    let reasons = old.reasons().await;
    let newer: Vec<_> = reasons.iter().filter(|(code, _)| *code == "newer_events").collect();
    assert_eq!(newer.len(), 1, "{reasons:?}");
    assert!(newer[0].1.starts_with("parcels: record "), "{newer:?}");
    let old = Shipped(old.app);
    let replay = old.replay(Some("parcels")).await;
    assert!(matches!(replay.state, ReplayState::Failed { .. }), "{replay:?}");

    let new = Binary::new(log, store).await;
    let view = new.view("a", &returned).await;
    assert_eq!(view.history, ["ParcelSent", "ParcelReturned"]);
    let built = Shipped(new.app).generation("parcels", |_| true).await;
    assert_eq!(old.generation("parcels", |_| true).await, built, "the old one serves it too");
    assert!(!cannot(&old.0));
    old.0.stop().await;
}

/// A record of a newer format counts, and holds back its aggregate and those who read it.
#[tokio::test]
async fn a_record_of_a_newer_format_is_treated_as_a_newer_event() {
    let log = log(1);
    let old = Binary::old(log.clone(), store()).await;
    let sent = old.send("a", "Ann").await;
    old.send("b", "Bob").await;
    old.view("a", &sent).await;
    let stamp = Stamp::Commit { term: Term(1), chain: Chain(2) };
    forge(&log, "parcel/a", stamp, r#"{"v":2,"of":"another shape"}"#).await;
    let opened = old.parcel("b", ParcelCommand::Open {}).await;
    assert_eq!(opened.version, Version(2));
    let detail = unreadable(old.try_parcel("a", ParcelCommand::Open {}).await);
    assert!(detail.contains("record version 2, this binary reads up to 1"), "{detail}");
    old.until("stopped", |app| newer_events(app).is_some()).await;
    let (_, detail) = newer_events(&old.app).expect("it stays so");
    assert!(detail.contains("record version 2"), "{detail}");
    assert!(old.app.views().parked().is_empty(), "nothing is parked");
    old.app.stop().await;
}

/// An aggregate type that nobody here has registered stops nobody, whatever its records are.
#[tokio::test]
async fn records_of_an_unknown_aggregate_type_stop_nobody() {
    let (log, store) = (log(1), store());
    let new = Binary::new(log.clone(), store.clone()).await;
    new.send("a", "Ann").await;
    new.parcel("a", ParcelCommand::Return {}).await;
    let stamp = Stamp::Commit { term: Term(1), chain: Chain(2) };
    forge(&log, "parcel/a", stamp, r#"{"v":2}"#).await;
    new.app.stop().await;

    let without = Shipped::start(log, store).await;
    let opened = without.open("ann", "Ann").await;
    assert_eq!(without.view("ann", &opened).await.owner, "Ann");
    without.0.ready().await;
    let status = without.0.commands().status().remove(0);
    assert_eq!((status.unreadable, status.alarms), (0, 0));
    without.0.stop().await;
}

/// Two processes may build one generation together; what the first finishes is kept.
#[tokio::test]
async fn what_two_processes_build_together_is_kept() {
    let (log, store) = (log(2), store());
    let before = Shipped::start(log.clone(), store.clone()).await;
    let opened = before.open("ann", "Ann").await;
    before.0.stop().await;
    store.clear();
    let building = Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0001);
    let pointer = Pointer { building: Some(building), ..Pointer::default() };
    let set = store.set_pointer(Accounts::NAME, Accounts::REVISION, None, &pointer).await;
    assert!(set.expect("set"), "the store was empty");

    let start = || Shipped::start(log.clone(), store.clone());
    let (first, second) = tokio::join!(start(), start());
    for app in [&first, &second] {
        app.generation(Accounts::NAME, |_| true).await;
        app.view("ann", &opened).await;
    }
    let third = start().await;
    let deposited = third.deposit("ann", 5).await;
    for app in [&first, &second, &third] {
        assert_eq!(app.view("ann", &deposited).await.balance, 5);
    }
    let pointers = store.pointers(Accounts::NAME).await.expect("pointers");
    assert_eq!(pointers[&Accounts::REVISION].live, Some(building), "it was not built again");
    for app in [first, second, third] {
        app.0.stop().await;
    }
}

/// Appends what somebody else would.
async fn forge(log: &MemoryLog, key: &str, stamp: Stamp, value: &str) {
    let mut appender = log.appender(Partition(0)).await.expect("appender");
    let record = NewRecord { key: Some(key.as_bytes()), stamp, value: value.as_bytes() };
    appender.append(record).expect("taken");
}
