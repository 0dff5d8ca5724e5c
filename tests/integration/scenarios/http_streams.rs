//! Event streams over HTTP: of views and of the log, resumed by positions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use retell::adapters::SystemClock;
use retell::adapters::memory::{MemoryLog, MemoryViews};
use retell::config::Config;
use retell::log::{Flaw, Stamp};
use retell::ports::{EventLog, NewRecord};
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::sse::{Event, EventSource};
use crate::support::writers::{PATIENCE, partitions};

/// A log and a store that outlive a service.
#[derive(Clone)]
struct Ground(Arc<MemoryLog>, Arc<MemoryViews>);

impl Ground {
    fn new(count: u32) -> Self {
        let log = MemoryLog::new(partitions(count), Arc::new(SystemClock));
        Self(Arc::new(log), Arc::new(MemoryViews::new(Arc::new(SystemClock))))
    }

    async fn serve(&self, change: impl FnOnce(&mut Config)) -> TestApp {
        let app = TestApp::start_over(self.0.clone(), self.1.clone(), change).await;
        app.ready().await;
        app
    }
}

async fn follow(app: &TestApp, path: &str) -> EventSource {
    EventSource::open(app.request(Method::GET, path)).await.begun().await
}

async fn resume(app: &TestApp, path: &str, id: &str) -> EventSource {
    let request = app.request(Method::GET, path).header("Last-Event-ID", id);
    EventSource::open(request).await
}

fn is_put(key: &str, balance: i64) -> impl Fn(&Event) -> bool {
    let data = (json!(key), json!(balance));
    move |event| {
        event.name == "put"
            && (&event.data["key"], &event.data["view"]["balance"]) == (&data.0, &data.1)
    }
}

/// Reads until an event is as wanted; all before it must be puts.
async fn until(stream: &mut EventSource, wanted: impl Fn(&Event) -> bool) {
    loop {
        let event = stream.next().await.expect("no end");
        if wanted(&event) {
            return;
        }
        assert_eq!(event.name, "put", "{event:?}");
    }
}

/// Reads puts until each of these accounts has its balance.
async fn until_all(stream: &mut EventSource, wanted: &BTreeMap<String, Value>) {
    let mut told = BTreeMap::new();
    while told != *wanted {
        let event = stream.next().await.expect("no end");
        assert_eq!(event.name, "put", "{event:?}");
        let key = event.data["key"].as_str().expect("a key").to_owned();
        assert!(wanted.contains_key(&key), "nothing happened to {key}");
        told.insert(key, event.data["view"]["balance"].clone());
    }
}

#[tokio::test]
async fn a_stream_tells_what_changes_and_nothing_of_the_past() {
    let app = Ground::new(3).serve(|_| {}).await;
    let opened = app.open_account("ann", "Ann").await.ok();
    app.view("accounts", "ann", &opened).await.ok();
    let mut all = follow(&app, "/projections/accounts").await;
    let mut one = follow(&app, "/projections/accounts/bob").await;
    let mut totals = follow(&app, "/projections/account-totals/all").await;
    app.open_account("bob", "Bob").await.ok();
    app.deposit("ann", 5).await.ok();
    let last = app.deposit("bob", 7).await.ok();
    until(&mut one, is_put("bob", 7)).await;
    until(&mut totals, is_put("all", 12)).await;
    let balances = [("ann", 5), ("bob", 7)].map(|(id, balance)| (id.to_owned(), json!(balance)));
    until_all(&mut all, &balances.into()).await;
    // What was told may have been newer than its place; the last record is told as well.
    while one.id != last.header("retell-position") {
        assert!(is_put("bob", 7)(&one.next().await.expect("no end")));
    }
}

#[tokio::test]
async fn a_stream_goes_on_where_it_was_after_a_restart() {
    let ground = Ground::new(3);
    let app = ground.serve(|_| {}).await;
    let mut stream = follow(&app, "/projections/accounts").await;
    app.open_account("ann", "Ann").await.ok();
    until(&mut stream, is_put("ann", 0)).await;
    let id = stream.id.clone();
    let mut wanted: BTreeMap<String, Value> = [("ann".to_owned(), json!(5))].into();
    for i in 0..20 {
        app.open_account(&format!("a{i}"), "Bob").await.ok();
        wanted.insert(format!("a{i}"), json!(0));
    }
    app.deposit("ann", 5).await.ok();
    app.stop().await.expect("stopped");
    while let Some(event) = stream.next().await {
        assert_eq!(event.name, "put", "the stream ends with the service: {event:?}");
    }
    let app = ground.serve(|_| {}).await;
    let mut stream = resume(&app, "/projections/accounts", &id).await;
    until_all(&mut stream, &wanted).await;
    // With the position of an answer, too; what the client has seen since goes before it.
    let first = app.deposit("ann", 1).await.ok();
    app.deposit("ann", 1).await.ok();
    let position = first.header("retell-position");
    let path = format!("/projections/accounts/ann?after={position}");
    let mut stream = follow(&app, &path).await;
    until(&mut stream, is_put("ann", 7)).await;
    let same = app.request(Method::GET, "/projections/accounts/ann");
    let mut same = EventSource::open(same.header("Retell-Position", position)).await;
    until(&mut same, is_put("ann", 7)).await;
    let mut again = resume(&app, &path, &stream.id).await;
    app.deposit("ann", 1).await.ok();
    let event = again.next().await.expect("no end");
    assert!(is_put("ann", 8)(&event), "{event:?}");
}

#[tokio::test]
async fn who_is_too_far_behind_must_begin_anew() {
    let app = Ground::new(3).serve(|config| config.streams.resume_records_max = 5).await;
    let first = app.open_account("ann", "Ann").await.ok();
    let mut last = None;
    for amount in 1..30 {
        last = Some(app.deposit("ann", amount).await.ok());
    }
    app.view("accounts", "ann", &last.expect("some")).await.ok();
    let path = "/projections/accounts/ann";
    let mut late = resume(&app, path, first.header("retell-position")).await;
    assert_eq!(late.next().await.expect("no end").name, "reset");
    let done = app.deposit("ann", 1).await.ok();
    until(&mut late, is_put("ann", 436)).await;
    app.deposit("ann", 1).await.ok();
    let mut timely = resume(&app, path, done.header("retell-position")).await;
    let event = timely.next().await.expect("no end");
    assert!(is_put("ann", 437)(&event), "{event:?}");
    let position = first.header("retell-position");
    let mut log = resume(&app, "/events", position).await;
    assert_eq!(log.next().await.expect("no end").name, "reset");
}

#[tokio::test]
async fn more_views_than_a_stream_may_hold_are_a_reset() {
    let app = Ground::new(1).serve(|config| config.streams.resume_keys_max = 9).await;
    let mut opened = Vec::new();
    for i in 0..20 {
        let done = app.open_account(&format!("a{i}"), "Ann").await.ok();
        opened.push(done.header("retell-position").to_owned());
        app.view("accounts", &format!("a{i}"), &done).await.ok();
    }
    let mut many = resume(&app, "/projections/accounts", &opened[9]).await;
    assert_eq!(many.next().await.expect("no end").name, "reset");
    let mut few = resume(&app, "/projections/accounts", &opened[10]).await;
    let wanted = (11..20).map(|i| (format!("a{i}"), json!(0)));
    until_all(&mut few, &wanted.collect()).await;
}

#[tokio::test]
async fn there_are_no_more_streams_than_may_be() {
    let app = Ground::new(3).serve(|config| config.streams.streams_max = 2).await;
    let first = follow(&app, "/projections/accounts").await;
    let second = follow(&app, "/events").await;
    let ask =
        || app.request(Method::GET, "/projections/accounts").header("Accept", "text/event-stream");
    // A stream would not end.
    let full = tokio::time::timeout(PATIENCE, app.ask(ask())).await.expect("no stream");
    full.problem(503, "streams_full");
    full.header("retry-after");
    drop(first);
    let opened = async {
        while ask().send().await.expect("an answer").status() != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, opened).await.expect("there is room again");
    drop(second);
}

#[tokio::test]
async fn an_open_stream_does_not_hold_a_service_that_stops() {
    let app = Ground::new(3).serve(|_| {}).await;
    let mut views = follow(&app, "/projections/accounts").await;
    let mut log = follow(&app, "/events").await;
    let begun = std::time::Instant::now();
    app.stop().await.expect("it stops");
    assert!(begun.elapsed() < Duration::from_secs(5), "it waited: {:?}", begun.elapsed());
    assert_eq!((views.next().await, log.next().await), (None, None));
}

/// L5: once and in order, with the marks that a page has.
#[tokio::test]
async fn a_stream_of_the_log_has_every_record_once_and_in_order() {
    let ground = Ground::new(3);
    let app = ground.serve(|_| {}).await;
    let whole = app.request(Method::GET, "/events?from=2001-01-01T00:00:00Z");
    let mut stream = EventSource::open(whole).await;
    let mut deposits = follow(&app, "/events?type=MoneyDeposited").await;
    let mut last = None;
    for i in 0..120 {
        let id = format!("a{i}");
        app.open_account(&id, "Ann").await.ok();
        if i % 10 == 0 {
            for partition in ground.0.partitions().iter() {
                let mut appender = ground.0.appender(partition).await.expect("an appender");
                let stamp = Stamp::Foreign(Flaw::Missing("kind"));
                appender.append(NewRecord { key: None, stamp, value: b"hello" }).expect("taken");
                appender.settled(&mut Vec::new()).await;
            }
            last = Some(app.deposit(&id, 1 + i).await.ok());
        }
    }
    app.get_after("/aggregates/account/a110", &last.expect("some")).await.ok();
    let page = app.get("/events?limit=1000").await.ok().json();
    let page = page["items"].as_array().expect("items");
    assert!(page.len() > 170, "{}", page.len());
    let mut told: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for _ in page {
        let event = stream.next().await.expect("no end");
        assert_eq!(event.name, "record");
        let position = event.data["position"].as_str().expect("a position");
        let id = &stream.id;
        assert!(id.split(", ").any(|seen| seen == position), "{id} is after {position}");
        let partition = position.split('@').next().expect("a partition").to_owned();
        told.entry(partition).or_default().push(event.data);
    }
    assert_eq!(told.into_values().flatten().collect::<Vec<_>>(), *page);
    let mut amounts = BTreeSet::new();
    for _ in (0..120).step_by(10) {
        let event = deposits.next().await.expect("no end");
        amounts.insert(event.data["events"][0]["data"]["amount"].as_u64().expect("an amount"));
    }
    assert_eq!(amounts, (0..120).step_by(10).map(|i| i + 1).collect());
}

#[tokio::test]
async fn a_stream_of_the_log_goes_on_behind_what_was_seen() {
    let ground = Ground::new(1);
    let app = ground.serve(|_| {}).await;
    for i in 0..5 {
        app.open_account(&format!("a{i}"), "Ann").await.ok();
    }
    let mut stream = follow(&app, "/events?partition=0&from=3").await;
    let mut seen = stream.next().await.expect("no end").data["position"].clone();
    assert_eq!(seen, "0@3");
    let id = stream.id.clone();
    app.stop().await.expect("stopped");
    let app = ground.serve(|_| {}).await;
    app.open_account("last", "Ann").await.ok();
    let mut stream = resume(&app, "/events?partition=0&from=3", &id).await;
    let mut marks = Vec::new();
    while seen != "0@7" {
        let data = stream.next().await.expect("no end").data;
        marks.push(data["mark"].as_str().expect("a mark").to_owned());
        seen = data["position"].clone();
    }
    assert_eq!(marks, ["counts", "counts", "claim", "counts"], "from 4 to 7");
    let claims = app.request(Method::GET, "/events?partition=0&from=0&marks=claim");
    let mut claims = EventSource::open(claims).await;
    let mut found = Vec::new();
    for _ in 0..2 {
        found.push(claims.next().await.expect("no end").data["position"].clone());
    }
    assert_eq!(found, ["0@0", "0@6"]);
}

#[tokio::test]
async fn what_a_stream_cannot_begin_with_is_refused() {
    let app = Ground::new(3).serve(|_| {}).await;
    let ask = |path: &str| {
        let request = app.request(Method::GET, path);
        app.ask(request.header("Accept", "text/event-stream"))
    };
    ask("/projections/acounts").await.problem(404, "unknown_projection");
    ask("/projections/history").await.problem(404, "unknown_projection");
    ask("/projections/accounts?after=x").await.problem(400, "bad_position");
    ask("/projections/accounts?after=0@99999").await.problem(400, "position_unknown");
    ask("/projections/accounts?after=77@0").await.problem(400, "position_unknown");
    ask("/projections/accounts?owner=Ann").await.problem(400, "unknown_parameter");
    ask("/projections/accounts/ann?before=0@1").await.problem(400, "unknown_parameter");
    ask("/events?limit=7").await.problem(400, "unknown_parameter");
    ask("/events?from=7").await.problem(400, "bad_parameter");
    ask("/events?partition=0&from=99999").await.problem(400, "position_unknown");
    ask("/events?partition=0&from=18446744073709551615").await.problem(400, "position_unknown");
    let wrong = app.request(Method::GET, "/projections/accounts").header("Last-Event-ID", "x");
    let wrong = app.ask(wrong.header("Accept", "text/event-stream"));
    let wrong = tokio::time::timeout(PATIENCE, wrong).await.expect("no stream");
    wrong.problem(400, "bad_position");
}
