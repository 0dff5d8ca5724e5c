//! A history of 100,000 events: what it costs to look at its end, in records read.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use cqrs_es::EventStore;
use retell::Partition;
use retell::adapters::SystemClock;
use retell::adapters::memory::{MemoryLog, MemoryViews};
use retell::app::App;
use retell::commands::Account;
use retell::config::Config;
use retell::events::account::AccountEvent;
use retell::ports::EventLog;
use retell::read::ProjectionInfo;
use serde_json::Value;

use crate::support::app::TestApp;
use crate::support::counting::Counting;
use crate::support::writers::{PATIENCE, partitions};

const COMMITS: usize = 2_000;
const EVENTS: usize = 50;
const ALL: usize = COMMITS * EVENTS;
/// What is read beside what is wanted, at most: from one waypoint to the next.
const BESIDE: usize = 300;

fn event(nth: usize) -> AccountEvent {
    match i64::try_from(nth).expect("few") {
        0 => AccountEvent::AccountOpened { owner: "Ann".to_owned() },
        balance => AccountEvent::MoneyDeposited { amount: 1, balance },
    }
}

/// An account with many events on a log that has as many records of others.
async fn with_long_account(log: &Counting, config: Config) -> App {
    let store = Arc::new(MemoryViews::new(Arc::new(SystemClock)));
    let app = App::builder(config).log(Arc::new(log.clone())).store(store).shipped();
    let app = app.build().await.expect("the shipped application");
    app.ready().await;
    let accounts = app.event_store::<Account>();
    for commit in 0..COMMITS {
        let all = (commit * EVENTS..(commit + 1) * EVENTS).map(event).collect();
        let account = accounts.load_aggregate("ann").await.expect("loaded");
        accounts.commit(all, account, HashMap::new()).await.expect("committed");
        let other = accounts.load_aggregate(&format!("a{commit}")).await.expect("loaded");
        accounts.commit(vec![event(0)], other, HashMap::new()).await.expect("committed");
    }
    until_folded(&app, log).await;
    app
}

/// Waits until every projection that is not paused has all of the log.
async fn until_folded(app: &App, log: &Counting) {
    let end = log.end(Partition(0)).await.expect("an end");
    let is_behind = |it: &ProjectionInfo| {
        !it.paused && it.partitions.first().is_none_or(|lane| lane.next < end)
    };
    let folding = async {
        while app.views().list().iter().any(is_behind) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, folding).await.expect("all is folded in time");
}

fn log() -> Counting {
    Counting::of(MemoryLog::new(partitions(1), Arc::new(SystemClock)))
}

#[tokio::test]
async fn the_end_of_a_long_history_costs_what_its_beginning_does() {
    let log = log();
    let app = with_long_account(&log, Config::defaults()).await;
    let app = TestApp::serve(app, Arc::default()).await;
    let last = app.deposit("ann", 1).await.ok();
    app.get_after("/aggregates/account/ann/events?limit=1", &last).await.ok();
    let ask = async |path: String| {
        let (answer, given) = log.given(app.get(&path)).await;
        (answer.ok().json(), given)
    };
    let first_of = |page: &Value| page["items"][0]["version"].as_u64();
    // 20 commits have a page of events, and between them are as many others.
    for from in [1, ALL / 2 + 1, ALL - 999] {
        let path = format!("/aggregates/account/ann/events?from={from}&limit=1000");
        let (page, given) = ask(path).await;
        assert_eq!(
            (first_of(&page), page["items"].as_array().map(Vec::len)),
            (Some(from as u64), Some(1_000))
        );
        assert!(given <= 200, "{given} records were read for the page from {from}");
    }
    // A page of the log begins at a waypoint.
    for from in [1, COMMITS, 2 * COMMITS - 100] {
        let (page, given) = ask(format!("/events?partition=0&from={from}&limit=20")).await;
        assert_eq!(page["items"].as_array().map(Vec::len), Some(20));
        assert!(given <= BESIDE + 1_000, "{given} records were read for the page from {from}");
    }
    // A state is folded from the aggregate's own records and what lies between them, once.
    for version in [50, ALL / 2, ALL - 1] {
        let path = format!("/aggregates/account/ann?version={version}");
        let (state, given) = ask(path).await;
        assert_eq!(state["state"]["balance"], version - 1);
        assert!(given <= 2 * version / EVENTS + BESIDE, "{given} records for version {version}");
    }
}

/// Of an aggregate with few events in a log of many. The clock is paused, because where there is
/// no history it is waited for.
#[tokio::test(start_paused = true)]
async fn an_event_store_reads_the_records_that_the_history_names() {
    for paused in [vec![], vec!["history".to_owned()]] {
        let log = log();
        let mut config = Config::defaults();
        config.read.paused.clone_from(&paused);
        let app = with_long_account(&log, config).await;
        let accounts = app.event_store::<Account>();
        for (id, len) in [("a0", 1), ("a1000", 1), ("nobody", 0)] {
            let (events, given) = log.given(accounts.load_events(id)).await;
            let events = events.expect("events");
            assert_eq!(events.len(), len, "{id}");
            assert!(events.iter().all(|it| it.aggregate_id == id && it.payload == event(0)));
            match (paused.is_empty(), len) {
                (true, _) | (false, 0) => assert!(given <= 100, "{given} records for {id}"),
                (false, _) => assert!(given > 2 * COMMITS, "{given} records for {id}: a scan"),
            }
        }
        // What was committed a moment ago is there.
        let context = accounts.load_aggregate("a0").await.expect("loaded");
        accounts.commit(vec![event(1)], context, HashMap::new()).await.expect("committed");
        let events = accounts.load_events("a0").await.expect("events");
        let payloads: Vec<_> = events.into_iter().map(|event| event.payload).collect();
        assert_eq!(payloads, [event(0), event(1)]);
        app.stop().await;
    }
}
