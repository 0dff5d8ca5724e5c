//! Event streams over HTTP: state and not deltas, resumed by positions, never a load for anyone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use retell::adapters::SystemClock;
use retell::adapters::memory::{MemoryLog, MemoryViews};
use retell::app::App;
use retell::config::Config;
use retell::doc::{Light, LightEvent, LightView};
use retell::read::ViewEvent;
use retell::{Positions, Projection, Recorded};
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp};
use crate::support::shipped::Shipped;
use crate::support::sse::{Event, EventSource};
use crate::support::writers::partitions;

/// Shows the lights that are on.
struct OnLights;

impl Projection for OnLights {
    type Aggregate = Light;
    type View = LightView;
    const NAME: &'static str = "on-lights";
    const REVISION: u32 = 1;

    fn fold(
        &self,
        _: Option<LightView>,
        event: &LightEvent,
        _: &Recorded<'_>,
    ) -> Option<LightView> {
        (*event == LightEvent::SwitchedOn {}).then_some(LightView { on: true, switched: 1 })
    }
}

/// A log and a store that outlive a service.
#[derive(Clone)]
struct Ground(Arc<MemoryLog>, Arc<MemoryViews>);

impl Ground {
    fn new() -> Self {
        let log = MemoryLog::new(partitions(3), Arc::new(SystemClock));
        Self(Arc::new(log), Arc::new(MemoryViews::new(Arc::new(SystemClock))))
    }

    async fn serve(&self, change: impl FnOnce(&mut Config)) -> TestApp {
        let mut config = Config::defaults();
        change(&mut config);
        let app = App::builder(config).log(self.0.clone()).store(self.1.clone()).shipped();
        let app = app.aggregate::<Light>(()).projection(OnLights).build().await.expect("an app");
        let app = TestApp::serve(app, Arc::default()).await;
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

fn put(key: &str, balance: i64) -> impl Fn(&Event) -> bool {
    let key = key.to_owned();
    move |event| {
        event.name == "put" && event.data["key"] == key && event.data["view"]["balance"] == balance
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

#[tokio::test]
async fn a_stream_tells_what_changes_and_nothing_of_the_past() {
    let app = Ground::new().serve(|_| {}).await;
    let opened = app.open_account("ann", "Ann").await.ok();
    app.view("accounts", "ann", &opened).await.ok();
    let mut all = follow(&app, "/projections/accounts").await;
    let mut one = follow(&app, "/projections/accounts/bob").await;
    let mut totals = follow(&app, "/projections/account-totals/all").await;
    app.open_account("bob", "Bob").await.ok();
    app.deposit("ann", 5).await.ok();
    let last = app.deposit("bob", 7).await.ok();
    until(&mut one, put("bob", 7)).await;
    until(&mut totals, |event| event.data["view"]["balance"] == 12).await;
    let mut state = BTreeMap::new();
    while state.get("bob") != Some(&json!(7)) || state.get("ann") != Some(&json!(5)) {
        let event = all.next().await.expect("no end");
        assert_eq!(event.name, "put");
        let key = event.data["key"].as_str().expect("a key").to_owned();
        state.insert(key, event.data["view"]["balance"].clone());
    }
    let seen: Positions = one.id.parse().expect("positions");
    let last: Positions = last.header("retell-position").parse().expect("a position");
    let last = last.iter().next().expect("one");
    assert!(seen.get(last.partition) >= Some(last.offset), "{seen} and {last}");
    let view = app.get("/projections/accounts/bob").await.ok();
    assert!(view.json()["balance"] == 7);
}

#[tokio::test]
async fn a_view_that_goes_is_told_as_deleted() {
    let app = Ground::new().serve(|_| {}).await;
    let mut lights = follow(&app, "/projections/on-lights").await;
    app.command("light", "hall", &json!({"type": "SwitchOn"})).await.ok();
    let on = lights.next().await.expect("no end");
    assert_eq!((on.name.as_str(), &on.data["view"]["on"]), ("put", &json!(true)));
    app.command("light", "hall", &json!({"type": "SwitchOff"})).await.ok();
    let off = lights.next().await.expect("no end");
    assert_eq!((off.name.as_str(), off.data), ("delete", json!({"key": "hall"})));
}

#[tokio::test]
async fn a_stream_goes_on_where_it_was_after_a_restart() {
    let ground = Ground::new();
    let app = ground.serve(|_| {}).await;
    let mut stream = follow(&app, "/projections/accounts").await;
    app.open_account("ann", "Ann").await.ok();
    until(&mut stream, put("ann", 0)).await;
    let id = stream.id.clone();
    for i in 0..20 {
        app.open_account(&format!("a{i}"), "Bob").await.ok();
    }
    app.deposit("ann", 5).await.ok();
    app.stop().await.expect("stopped");
    assert_eq!(drained(stream).await, None, "the stream ends with the service");

    let app = ground.serve(|_| {}).await;
    let mut stream = resume(&app, "/projections/accounts", &id).await;
    let mut told = BTreeMap::new();
    while told.len() < 21 {
        let event = stream.next().await.expect("no end");
        assert_eq!(event.name, "put", "{event:?}");
        let key = event.data["key"].as_str().expect("a key").to_owned();
        told.insert(key, event.data["view"]["balance"].clone());
    }
    assert_eq!(told["ann"], 5);
    // By the parameter, too; and by the position of an answer.
    let done = app.deposit("ann", 1).await.ok();
    app.view("accounts", "ann", &done).await.ok();
    let deposited = app.deposit("ann", 1).await.ok();
    let position = done.header("retell-position");
    let path = format!("/projections/accounts/ann?after={position}");
    let mut stream = follow(&app, &path).await;
    until(&mut stream, put("ann", 7)).await;
    assert_ne!(deposited.header("retell-position"), position);
}

async fn drained(mut stream: EventSource) -> Option<Event> {
    loop {
        let event = stream.next().await?;
        assert_eq!(event.name, "put", "{event:?}");
    }
}

#[tokio::test]
async fn who_is_too_far_behind_must_begin_anew() {
    let ground = Ground::new();
    let app = ground.serve(|config| config.streams.resume_records_max = 5).await;
    let first = app.open_account("ann", "Ann").await.ok();
    for amount in 1..30 {
        app.deposit("ann", amount).await.ok();
    }
    let path = "/projections/accounts/ann";
    let mut late = resume(&app, path, first.header("retell-position")).await;
    assert_eq!(late.next().await.expect("no end").name, "reset");
    let done = app.deposit("ann", 1).await.ok();
    until(&mut late, put("ann", 436)).await;
    let mut timely = resume(&app, path, done.header("retell-position")).await;
    app.deposit("ann", 1).await.ok();
    until(&mut timely, put("ann", 437)).await;
}

#[tokio::test]
async fn views_that_were_replayed_are_told_with_a_reset() {
    let app = Ground::new().serve(|_| {}).await;
    app.open_account("ann", "Ann").await.ok();
    let mut stream = follow(&app, "/projections/accounts").await;
    let started = app.replay(&json!({"projection": "accounts"})).await;
    assert_eq!(started.status, 202);
    stream.find("reset").await;
    app.deposit("ann", 5).await.ok();
    until(&mut stream, put("ann", 5)).await;
}

/// A stream that is not read is not run: it holds nothing, and finds the rest in the log.
#[tokio::test]
async fn a_slow_client_is_told_that_it_lags_and_then_what_is() {
    let log = Arc::new(MemoryLog::new(partitions(2), Arc::new(SystemClock)));
    let store = Arc::new(MemoryViews::new(Arc::new(SystemClock)));
    let app = Shipped::start(log, store).await;
    app.generation("accounts", |_| true).await;
    let follow = app.0.views().follow("accounts", None, &Positions::default());
    let mut stream = follow.await.expect("a stream");
    let begun = stream.next().await.expect("no error").expect("no end");
    assert_eq!(begun.event, ViewEvent::At);
    app.open("ann", "Ann").await;
    app.open("bob", "Bob").await;
    app.deposit("bob", 1).await;
    for _ in 0..200 {
        // Each is a chunk of its own, since it is waited for.
        let last = app.deposit("ann", 1).await;
        app.view("ann", &last).await;
    }
    let (mut lagged, mut puts, mut balance) = (false, 0, Value::Null);
    while balance != 200 {
        let told = stream.next().await.expect("no error").expect("no end");
        match told.event {
            ViewEvent::Lagging => lagged = true,
            ViewEvent::Put { key, view } if key.as_str() == "ann" => {
                let view: Value = serde_json::from_slice(&view).expect("JSON");
                balance = view["balance"].clone();
                puts += 1;
            }
            ViewEvent::Put { .. } | ViewEvent::At => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(lagged, "more chunks came than are kept");
    assert!(puts < 20, "{puts} times what changed 200 times");
    app.0.stop().await;
}

#[tokio::test]
async fn there_are_no_more_streams_than_may_be() {
    let app = Ground::new().serve(|config| config.streams.streams_max = 2).await;
    app.open_account("ann", "Ann").await.ok();
    let first = follow(&app, "/projections/accounts").await;
    let second = follow(&app, "/events").await;
    let ask = || {
        let request = app.request(Method::GET, "/projections/accounts/ann");
        app.ask(request.header("Accept", "text/event-stream"))
    };
    let full: Answer = ask().await;
    full.problem(503, "streams_full");
    full.header("retry-after");
    drop(first);
    let opened = async {
        while ask_head(&app).await != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), opened).await.expect("there is room again");
    drop(second);
}

async fn ask_head(app: &TestApp) -> u16 {
    let request = app.request(Method::GET, "/projections/accounts/ann");
    let answer = request.header("Accept", "text/event-stream").send().await;
    answer.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn a_stream_of_the_log_has_every_record_once_and_in_order() {
    let ground = Ground::new();
    let app = ground.serve(|_| {}).await;
    let mut stream = EventSource::open(app.request(Method::GET, "/events?after=0@0,1@0,2@0")).await;
    let mut marked =
        EventSource::open(app.request(Method::GET, "/events?after=0@0,1@0,2@0&type=account")).await;
    for i in 0..120 {
        app.open_account(&format!("a{i}"), "Ann").await.ok();
    }
    let mut seen: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut count = 0;
    while count < 120 {
        let event = stream.next().await.expect("no end");
        assert_eq!(event.name, "record");
        let position = event.data["position"].as_str().expect("a position");
        let (partition, offset) = position.split_once('@').expect("a position");
        seen.entry(partition.to_owned()).or_default().push(offset.parse().expect("a number"));
        assert_eq!(event.data["mark"], "counts");
        let id: Positions = stream.id.parse().expect("positions");
        assert!(id.to_string().contains(position), "{id} is after {position}");
        count += 1;
    }
    for offsets in seen.values() {
        assert_eq!(*offsets, (1..=offsets.len() as u64).collect::<Vec<_>>());
    }
    let id = stream.id.clone();
    for _ in 0..120 {
        let event = marked.next().await.expect("no end");
        assert_eq!(event.data["aggregate"]["type"], "account");
    }
    app.open_account("last", "Ann").await.ok();
    let mut resumed = resume(&app, "/events", &id).await;
    let last = resumed.next().await.expect("no end");
    assert_eq!(last.data["aggregate"]["id"], "last");
}

#[tokio::test]
async fn what_a_stream_cannot_begin_with_is_refused() {
    let app = Ground::new().serve(|_| {}).await;
    let ask = |path: &str| {
        let request = app.request(Method::GET, path);
        app.ask(request.header("Accept", "text/event-stream"))
    };
    ask("/projections/acounts").await.problem(404, "unknown_projection");
    ask("/projections/history").await.problem(404, "unknown_projection");
    ask("/projections/accounts?after=x").await.problem(400, "bad_position");
    ask("/projections/accounts?after=0@99999").await.problem(400, "position_unknown");
    ask("/projections/accounts?after=77@0").await.problem(400, "position_unknown");
    ask("/projections/accounts?before=0@1").await.problem(400, "unknown_parameter");
    ask("/events?from=2001-01-01T00:00:00Z").await.problem(400, "unknown_parameter");
}
