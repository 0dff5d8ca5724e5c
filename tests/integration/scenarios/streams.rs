//! Event streams without a door: what they tell, and of what they must begin anew.

use std::collections::BTreeSet;
use std::sync::Arc;

use retell::adapters::SystemClock;
use retell::adapters::memory::{MemoryLog, MemoryViews};
use retell::app::App;
use retell::config::Config;
use retell::doc::{Light, LightCommand, LightEvent};
use retell::log::{Chain, Stamp, Term};
use retell::ports::{EventLog, NewRecord};
use retell::read::{EventStream, StreamEvent, Told, ViewChange};
use retell::write::{Done, SendOptions};
use retell::{Key, LinkedProjection, Partition, Positions, Projection, Recorded, Sources};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::support::fragile::{self, Trap, Traps, parked};
use crate::support::shelf::Shelf;
use crate::support::shipped::Shipped;
use crate::support::writers::{PATIENCE, partitions};

fn log(count: u32) -> Arc<MemoryLog> {
    Arc::new(MemoryLog::new(partitions(count), Arc::new(SystemClock)))
}

fn store() -> MemoryViews {
    MemoryViews::new(Arc::new(SystemClock))
}

/// A client that reads when it is told to.
struct Follower(EventStream<ViewChange>);

impl Follower {
    /// Opens a stream behind these positions; returns when it has begun, with where that is.
    async fn open(
        app: &App,
        projection: &str,
        only: Option<&str>,
        after: &Positions,
    ) -> (Self, Told<ViewChange>) {
        let only = only.map(|key| Key::new(key).expect("a key"));
        let stream = app.views().follow(projection, only, after).await.expect("a stream");
        let mut follower = Self(stream);
        let first = follower.any().await;
        (follower, first)
    }

    /// From now on.
    async fn now(app: &App, projection: &str, only: Option<&str>) -> Self {
        let (follower, first) = Self::open(app, projection, only, &Positions::default()).await;
        assert_eq!(first.event, StreamEvent::Here);
        follower
    }

    async fn any(&mut self) -> Told<ViewChange> {
        let next = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("in time");
        next.expect("the process runs")
    }

    /// The next change: its key and its view.
    async fn change(&mut self) -> (String, Option<Value>) {
        let told = self.any().await;
        match told.event {
            StreamEvent::Change(ViewChange::Put { key, view }) => {
                (key.to_string(), Some(serde_json::from_slice(&view).expect("JSON")))
            }
            StreamEvent::Change(ViewChange::Delete { key }) => (key.to_string(), None),
            other => panic!("{other:?}"),
        }
    }

    /// Reads changes until one is of this key and has this field; gives all keys that came.
    async fn until(&mut self, key: &str, field: &str, value: impl Into<Value>) -> BTreeSet<String> {
        let (mut keys, value) = (BTreeSet::new(), value.into());
        loop {
            let (changed, view) = self.change().await;
            let is_it = changed == key && view.is_some_and(|view| view[field] == value);
            keys.insert(changed);
            if is_it {
                return keys;
            }
        }
    }
}

fn keys<const N: usize>(keys: [&str; N]) -> BTreeSet<String> {
    keys.map(str::to_owned).into()
}

/// Only `AccountOpened` names the owner: what a deposit changes, its link says.
#[tokio::test]
async fn who_resumes_is_told_the_views_of_owners_whose_accounts_were_touched() {
    let app = Shipped::start(log(1), Arc::new(store())).await;
    app.open("ann", "Ann").await;
    let before = app.open("bob", "Bob").await;
    app.totals(&before.position.into()).await;
    let mut live = Follower::now(&app.0, "account-totals", Some("owner:Ann")).await;
    app.deposit("ann", 5).await;
    assert_eq!(live.until("owner:Ann", "balance", 5).await, keys(["owner:Ann"]));
    app.deposit("ann", 2).await;
    live.until("owner:Ann", "balance", 7).await;
    let after = before.position.into();
    let (mut resumed, first) = Follower::open(&app.0, "account-totals", None, &after).await;
    assert_eq!((first.event, first.positions), (StreamEvent::Here, after));
    assert_eq!(resumed.until("owner:Ann", "balance", 7).await, keys(["all", "owner:Ann"]));
    app.open("zed", "Zed").await;
    assert_eq!(resumed.until("owner:Zed", "open", 1).await, keys(["all", "owner:Zed"]));
    app.0.stop().await;
}

/// Counts how many lights were switched so often.
struct Switched;

#[derive(Clone, Default, Deserialize, JsonSchema, Serialize)]
struct Count {
    lights: u32,
}

#[derive(Clone, Default, Deserialize, PartialEq, Serialize)]
struct Times {
    times: u32,
}

impl LinkedProjection for Switched {
    type View = Count;
    type Link = Times;
    const NAME: &'static str = "switched";
    const REVISION: u32 = 1;

    fn sources(&self) -> Sources {
        Sources::default().and::<Light>()
    }

    fn link(&self, link: Times, _: &Recorded<'_>) -> Times {
        Times { times: link.times + 1 }
    }

    fn keys(&self, link: &Times, _: &Recorded<'_>) -> Vec<Key> {
        vec![Key::new(&format!("times:{}", link.times)).expect("a key")]
    }

    fn fold(&self, part: Count, _: &Key, _: &Times, _: &Recorded<'_>) -> Count {
        Count { lights: part.lights + 1 }
    }

    fn merge(&self, left: Count, right: Count) -> Count {
        Count { lights: left.lights + right.lights }
    }
}

async fn switch(app: &App, id: &str, on: bool) -> Done {
    let command = if on { LightCommand::SwitchOn {} } else { LightCommand::SwitchOff {} };
    let sent = app.commands().send::<Light>(id, command, SendOptions::default()).await;
    sent.expect("switched")
}

/// A link that changes all the time: the store has only the last one.
#[tokio::test]
async fn a_link_that_was_another_one_meanwhile_is_found_in_the_history() {
    let app = App::builder(Config::defaults()).log(log(1)).store(Arc::new(store()));
    let app = app.aggregate::<Light>(()).merged(Switched).build().await.expect("an application");
    let mut after = Positions::default();
    for times in 1..=6 {
        let done = switch(&app, "hall", times % 2 == 1).await;
        if times == 1 {
            // What went live later would have other views than the client has seen.
            let (key, at) = (Key::new("times:1").expect("a key"), done.position.into());
            app.views().get("switched", &key, &at, PATIENCE).await.expect("it is live");
        }
        if times == 2 {
            after = done.position.into();
        }
    }
    switch(&app, "bath", true).await;
    let (mut resumed, _) = Follower::open(&app, "switched", None, &after).await;
    let mut told = BTreeSet::new();
    while told.len() < 5 {
        told.insert(resumed.change().await.0);
    }
    assert_eq!(told, keys(["times:1", "times:3", "times:4", "times:5", "times:6"]));
    switch(&app, "hall", true).await;
    assert_eq!(resumed.until("times:7", "lights", 1).await, keys(["times:7"]));
    app.stop().await;
}

/// A stream that is not read is not run: it holds nothing, and finds the rest in the log.
#[tokio::test]
async fn a_slow_client_is_told_that_it_lags_and_then_what_is() {
    let app = Shipped::start(log(1), Arc::new(store())).await;
    let opened = app.open("ann", "Ann").await;
    app.view("ann", &opened).await;
    let mut slow = Follower::now(&app.0, "accounts", None).await;
    // More than is held for streams, whether they are read or not.
    let text = "x".repeat(10_000);
    for i in 0..150 {
        app.deposit("ann", 1).await;
        app.produce(&format!("m{i}"), &text).await;
    }
    assert_eq!(slow.any().await.event, StreamEvent::Lagging);
    assert_eq!(slow.until("ann", "balance", 150).await, keys(["ann"]));
    app.deposit("ann", 1).await;
    slow.until("ann", "balance", 151).await;
    app.0.stop().await;
}

#[tokio::test]
async fn what_changed_often_while_nobody_read_is_told_once() {
    let app = Shipped::start(log(1), Arc::new(store())).await;
    let opened = app.open("ann", "Ann").await;
    app.view("ann", &opened).await;
    let mut slow = Follower::now(&app.0, "accounts", Some("ann")).await;
    let mut last = opened;
    for _ in 0..100 {
        last = app.deposit("ann", 1).await; // each is a chunk of its own
        app.view("ann", &last).await;
    }
    let mut count = 0;
    loop {
        let told = slow.any().await;
        assert!(matches!(told.event, StreamEvent::Change(ViewChange::Put { .. })), "{told:?}");
        count += 1;
        if told.positions == last.position.into() {
            break;
        }
    }
    assert!(count < 5, "{count} times what changed 100 times");
    app.0.stop().await;
}

/// R6: nor does a partition that stands still delay what is told of another.
#[tokio::test]
async fn a_partition_that_stands_still_does_not_hold_a_stream() {
    let shelf = Shelf::new();
    let app = Shipped::start(log(2), Arc::new(shelf.clone())).await;
    let mut ids = [const { None }; 2];
    for i in 0..20 {
        let id = format!("a{i}");
        let done = app.open(&id, "Ann").await;
        app.view(&id, &done).await;
        ids[done.position.partition.0 as usize] = Some(id);
    }
    let [Some(stuck), Some(free)] = ids else { panic!("both partitions have some") };
    let mut stream = Follower::now(&app.0, "accounts", None).await;
    shelf.hang(|space| space.partition == Partition(0));
    app.deposit(&stuck, 1).await;
    for balance in 1..=5 {
        app.deposit(&free, 1).await;
        assert_eq!(stream.until(&free, "balance", balance).await, keys([&free]));
    }
    shelf.go_on();
    stream.until(&stuck, "balance", 1).await;
    app.0.stop().await;
}

/// R4: who follows is told of a flip and of a rollback, and never of two generations at once.
#[tokio::test]
async fn another_generation_is_told_with_one_reset() {
    let app = Shipped::start(log(3), Arc::new(store())).await;
    let mut done = app.open("ann", "Ann").await;
    let early = done.position.into();
    for i in 0..12 {
        let other = app.open(&format!("a{i}"), "Bob").await;
        app.view(&format!("a{i}"), &other).await;
    }
    app.view("ann", &done).await;
    let mut stream = Follower::now(&app.0, "accounts", None).await;
    done = app.deposit("ann", 5).await;
    stream.until("ann", "balance", 5).await;
    app.replay(Some("accounts")).await;
    assert_eq!(stream.any().await.event, StreamEvent::Reset);
    app.deposit("ann", 5).await;
    assert_eq!(stream.until("ann", "balance", 10).await, keys(["ann"]), "one reset for all");
    app.0.operations().roll_back("accounts").await.expect("rolled back");
    assert_eq!(stream.any().await.event, StreamEvent::Reset);
    app.deposit("ann", 5).await;
    stream.until("ann", "balance", 15).await;
    // Who was away while it was replayed holds views of the one before.
    app.replay(Some("accounts")).await;
    let (_, first) = Follower::open(&app.0, "accounts", None, &early).await;
    assert_eq!(first.event, StreamEvent::Reset);
    let now = first.positions;
    assert!(now.get(done.position.partition) > Some(done.position.offset), "{now}");
    let (_, first) = Follower::open(&app.0, "accounts", None, &now).await;
    assert_eq!((first.event, first.positions), (StreamEvent::Here, now));
    app.0.stop().await;
}

/// What was held back changes without a record when it is folded after all.
#[tokio::test]
async fn a_view_that_is_mended_or_given_up_is_told() {
    let traps = Traps::default();
    traps.set(Trap::Fold(13));
    let app = fragile::start(log(2), Arc::new(store()), &traps, Config::defaults()).await;
    app.open("ann", "Ann").await;
    app.deposit("ann", 13).await;
    let last = app.deposit("ann", 2).await;
    assert_eq!(fragile::deposits(&app, "ann", last.position).await, Some(vec![]));
    let held = parked(&app, "fragile").await;
    let mut stream = Follower::now(&app.0, "fragile", None).await;
    traps.clear(Trap::Fold(13));
    app.0.views().retry_parked(&held.id).await.expect("it can be folded now");
    let amounts = serde_json::json!([13, 2]);
    assert_eq!(stream.until("ann", "amounts", amounts).await, keys(["ann"]));
    traps.set(Trap::Fold(13));
    app.deposit("ann", 13).await;
    let held = parked(&app, "fragile").await;
    app.0.views().discard_parked(&held.id).await.expect("given up");
    while stream.change().await != ("ann".to_owned(), None) {}
    app.0.stop().await;
}

/// A stranger's record of an account that lives elsewhere says nothing about its view.
#[tokio::test]
async fn a_record_in_a_wrong_partition_deletes_nothing() {
    let log = log(2);
    let app = Shipped::start(log.clone(), Arc::new(store())).await;
    let opened = app.open("ann", "Ann").await;
    app.view("ann", &opened).await;
    let mut stream = Follower::now(&app.0, "accounts", None).await;
    let wrong = Partition(1 - opened.position.partition.0);
    let mut appender = log.appender(wrong).await.expect("an appender");
    let stamp = Stamp::Commit { term: Term(0), chain: Chain(9) };
    let record = NewRecord { key: Some(b"account/ann"), stamp, value: b"{}" };
    appender.append(record).expect("taken");
    appender.settled(&mut Vec::new()).await;
    // What comes after it in its partition is told: so it was passed.
    for i in 0.. {
        let id = format!("a{i}");
        if app.open(&id, "Bob").await.position.partition == wrong {
            let mut told = stream.until(&id, "balance", 0).await;
            // What was told at once with it, but behind it, comes before the next.
            app.deposit(&id, 1).await;
            told.append(&mut stream.until(&id, "balance", 1).await);
            assert!(!told.contains("ann"), "{told:?}");
            break;
        }
    }
    app.0.stop().await;
}

/// Shows the lights that are on.
struct OnLights;

#[derive(Clone, Deserialize, JsonSchema, Serialize)]
struct On {
    on: bool,
}

impl Projection for OnLights {
    type Aggregate = Light;
    type View = On;
    const NAME: &'static str = "on-lights";
    const REVISION: u32 = 1;

    fn fold(&self, _: Option<On>, event: &LightEvent, _: &Recorded<'_>) -> Option<On> {
        (*event == LightEvent::SwitchedOn {}).then_some(On { on: true })
    }
}

#[tokio::test]
async fn a_view_that_goes_is_told_as_deleted() {
    let app = App::builder(Config::defaults()).log(log(3)).store(Arc::new(store()));
    let app = app.aggregate::<Light>(()).projection(OnLights).build().await.expect("built");
    let mut stream = Follower::now(&app, "on-lights", None).await;
    switch(&app, "hall", true).await;
    assert_eq!(stream.until("hall", "on", true).await, keys(["hall"]));
    switch(&app, "hall", false).await;
    assert_eq!(stream.change().await, ("hall".to_owned(), None));
    let ended = tokio::spawn(async move { stream.0.next().await.is_none() });
    app.stop().await;
    assert!(ended.await.expect("no panic"), "it ends with the process");
}
