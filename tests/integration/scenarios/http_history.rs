//! Looking back over HTTP: an aggregate's history, its state at a version or a time, and what
//! belongs together.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cqrs_es::EventStore;
use reqwest::Method;
use retell::Partition;
use retell::adapters::SystemClock;
use retell::adapters::memory::{MemoryLog, MemoryViews};
use retell::app::App;
use retell::commands::Account;
use retell::config::Config;
use retell::events::account::AccountEvent;
use retell::log::{Chain, Stamp, Term};
use retell::ports::{EventLog, KEY_INDEX, NewRecord, RangeQuery, Space, SpaceState, ViewStore};
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp};
use crate::support::command_line::client;
use crate::support::shipped::Shipped;
use crate::support::writers::partitions;

const ANN: &str = "/aggregates/account/ann";

/// Everything of an aggregate's history, page by page.
async fn history(app: &TestApp, id: &str, limit: usize, after: &Answer) -> Vec<Value> {
    let (mut events, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/aggregates/account/{id}/events?limit={limit}{cursor}");
        let page = app.get_after(&path, after).await.ok().json();
        let items = page["items"].as_array().expect("items");
        assert!(items.len() <= limit, "{page}");
        events.extend(items.clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return events,
        }
    }
}

#[tokio::test]
async fn a_history_has_each_event_as_its_command_answered_it() {
    let app = TestApp::spawn().await;
    let mut answered = vec![app.open_account("ann", "Ann").await.ok()];
    for amount in 1..=6 {
        answered.push(app.deposit("ann", amount).await.ok());
        app.deposit("ann", -1).await.problem(422, "amount_not_positive");
    }
    let last = &answered[answered.len() - 1];
    for limit in [1, 2, 7, 1_000] {
        let events = history(&app, "ann", limit, last).await;
        assert_eq!(events.len(), answered.len());
        for (event, answer) in events.iter().zip(&answered) {
            let (answer, position) = (answer.json(), answer.header("retell-position"));
            for (name, value) in answer["events"][0].as_object().expect("an event") {
                assert_eq!(&event[name], value, "{name}");
            }
            assert_eq!(event["position"], position);
            assert_eq!(event["command_id"], answer["command_id"]);
        }
        assert_eq!(events[0]["command"], "OpenAccount");
    }
    let from = app.get_after(&format!("{ANN}/events?from=6"), last).await.ok();
    let from = from.json();
    assert_eq!((&from["version"], &from["items"][0]["version"]), (&json!(7), &json!(6)));
    assert_eq!(
        (from["items"].as_array().map(Vec::len), &from["next_cursor"]),
        (Some(2), &json!(null))
    );
}

#[tokio::test]
async fn a_state_at_a_version_or_a_time_is_of_what_was_then() {
    let app = TestApp::spawn().await;
    let mut answered = vec![app.open_account("ann", "Ann").await.ok()];
    for amount in 1..=5 {
        answered.push(app.deposit("ann", amount).await.ok());
    }
    let last = &answered[5];
    for (version, answer) in (1..).zip(&answered) {
        let then = app.get_after(&format!("{ANN}?version={version}"), last).await.ok();
        let state = then.json();
        assert_eq!(state["state"]["balance"], version * (version - 1) / 2);
        assert_eq!(then.header("etag"), format!("\"{version}\""));
        assert_eq!(
            (&state["version"], &state["aggregate"]["id"]),
            (&json!(version), &json!("ann"))
        );
        assert_eq!(state["position"], answer.header("retell-position"));
        assert_eq!(state["time"], answer.json()["events"][0]["time"]);
        assert_eq!(then.header("retell-position"), last.header("retell-position"));
    }
    assert_eq!(app.get(ANN).await.ok().json()["version"], 6, "without a version: the last");
    let time = answered[2].json()["events"][0]["time"].clone();
    let by_then =
        answered.iter().filter(|it| it.json()["events"][0]["time"].as_str() <= time.as_str());
    let at = format!("{ANN}?at={}", time.as_str().expect("a time"));
    assert_eq!(app.get(&at).await.ok().json()["version"], by_then.count());
}

#[tokio::test]
async fn what_never_was_and_what_is_not_understood_are_told_apart() {
    let app = TestApp::spawn().await;
    let opened = app.open_account("ann", "Ann").await.ok();
    app.get_after(ANN, &opened).await.ok();
    let missing = app.get("/aggregates/account/bob").await;
    missing.problem(404, "aggregate_not_found");
    assert!(missing.header("retell-position").contains('@'));
    app.get("/aggregates/account/bob/events").await.problem(404, "aggregate_not_found");
    app.get("/aggregates/acount/ann").await.problem(404, "unknown_aggregate");
    app.get("/aggregates/acount/ann/events").await.problem(404, "unknown_aggregate");
    let beyond = app.get(&format!("{ANN}?version=2")).await.problem(404, "version_not_found");
    assert!(beyond.contains("account/ann has version 1"), "{beyond}");
    app.get(&format!("{ANN}?version=0")).await.problem(404, "version_not_found");
    app.get(&format!("{ANN}?at=2001-01-01T00:00:00Z")).await.problem(404, "aggregate_not_found");
    for (query, code) in [
        ("?version=x", "bad_parameter"),
        ("?version=-1", "bad_parameter"),
        ("?at=yesterday", "bad_parameter"),
        ("?version=1&at=2026-01-01T00:00:00Z", "bad_parameter"),
        ("?verson=1", "unknown_parameter"),
        ("/events?limit=0", "bad_parameter"),
        ("/events?limit=1001", "bad_parameter"),
        ("/events?cursor=x", "bad_parameter"),
    ] {
        app.get(&format!("{ANN}{query}")).await.problem(400, code);
    }
    for from in ["2", "18446744073709551615"] {
        let empty = app.get(&format!("{ANN}/events?from={from}")).await.ok().json();
        assert_eq!((&empty["items"], &empty["next_cursor"]), (&json!([]), &json!(null)));
    }
    app.get("/projections/history/ann").await.problem(404, "unknown_projection");
}

/// Every registered type has a history, one that no projection reads, too.
#[tokio::test]
async fn an_aggregate_that_no_projection_reads_has_a_history() {
    let app = TestApp::spawn().await;
    let went = app.command("slow", "s", &json!({"type": "Go"})).await.ok();
    let events = app.get_after("/aggregates/slow/s/events", &went).await.ok().json();
    assert_eq!(events["items"][0]["type"], "Went");
    assert_eq!(app.get("/aggregates/slow/s?version=1").await.ok().json()["version"], 1);
}

/// A service with an account that got many events by each of so many commands.
async fn with_long_account(commits: usize, events: usize) -> TestApp {
    let mut config = Config::defaults();
    config.history.fold_events_max = 10_000;
    let log = MemoryLog::new(partitions(2), Arc::new(SystemClock));
    let store = Arc::new(MemoryViews::new(Arc::new(SystemClock)));
    let app = App::builder(config).log(Arc::new(log)).store(store).shipped().build().await;
    let app = app.expect("the shipped application");
    app.ready().await;
    let accounts = app.event_store::<Account>();
    let event = |nth: usize| match i64::try_from(nth).expect("few") {
        0 => AccountEvent::AccountOpened { owner: "Ann".to_owned() },
        balance => AccountEvent::MoneyDeposited { amount: 1, balance },
    };
    for commit in 0..commits {
        let all = (commit * events..(commit + 1) * events).map(event).collect();
        let account = accounts.load_aggregate("ann").await.expect("loaded");
        accounts.commit(all, account, HashMap::new()).await.expect("committed");
        // What lies between the events of a long history.
        let other = accounts.load_aggregate(&format!("a{commit}")).await.expect("loaded");
        accounts.commit(vec![event(0)], other, HashMap::new()).await.expect("committed");
    }
    TestApp::serve(app, Arc::default()).await
}

#[tokio::test]
async fn a_long_history_pages_well_and_is_folded_up_to_the_limit() {
    // 7 does not divide 1,000: commits reach over the ends of pages.
    let app = with_long_account(600, 7).await;
    let closed = app.deposit("ann", 1).await.ok();
    let events = history(&app, "ann", 999, &closed).await;
    let versions: Vec<u64> = events.iter().map(|it| it["version"].as_u64().expect("n")).collect();
    assert_eq!(versions, (1..=4_201).collect::<Vec<u64>>());
    for version in [1, 6, 7, 8, 999, 1_000, 1_001, 2_000, 2_001, 4_199, 4_200] {
        let state = app.get(&format!("{ANN}?version={version}")).await.ok().json();
        assert_eq!(state["state"]["balance"], version - 1, "{version}");
    }
    for from in [1, 7, 8, 1_000, 1_001, 4_201] {
        let page = app.get(&format!("{ANN}/events?from={from}&limit=3")).await.ok().json();
        assert_eq!(page["items"][0]["version"], from);
    }
}

#[tokio::test]
async fn a_state_that_takes_too_many_events_is_refused_with_the_limit() {
    let app = with_long_account(11, 1_000).await;
    let done = app.deposit("ann", 1).await.ok();
    let refused = app.get_after(ANN, &done).await;
    let detail = refused.problem(400, "history_too_long");
    assert!(detail.contains("10000 events (history.fold_events_max)"), "{detail}");
    let below = app.get(&format!("{ANN}?version=10000")).await.ok();
    assert_eq!(below.json()["state"]["balance"], 9_999);
    app.get(&format!("{ANN}?at=2100-01-01T00:00:00Z")).await.problem(400, "history_too_long");
}

/// R6: what cannot be read holds back the history of its aggregate, and says so.
#[tokio::test]
async fn a_history_with_a_record_that_cannot_be_read_is_not_told_without_it() {
    let log = MemoryLog::new(partitions(1), Arc::new(SystemClock));
    let app = TestApp::spawn_on(Arc::new(log.clone()), |_| {}).await;
    app.open_account("ann", "Ann").await.ok();
    app.open_account("bob", "Bob").await.ok();
    let mut appender = log.appender(Partition(0)).await.expect("appender");
    let stamp = Stamp::Commit { term: Term(1), chain: Chain(2) };
    let record = NewRecord { key: Some(b"account/ann"), stamp, value: b"garbage" };
    appender.append(record).expect("taken");
    let done = app.deposit("bob", 5).await.ok();
    assert_eq!(app.get_after("/aggregates/account/bob", &done).await.ok().json()["version"], 2);
    for path in [ANN.to_owned(), format!("{ANN}/events"), format!("{ANN}?version=1")] {
        let detail = app.get_after(&path, &done).await.problem(503, "history_unreadable");
        assert!(detail.contains("account/ann"), "{detail}");
    }
}

/// Everything that `history` holds, of all partitions.
async fn docs(
    app: &Shipped,
    store: &MemoryViews,
    generation: uuid::Uuid,
) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for partition in partitions(2).iter() {
        let space = Space::new("history", generation, partition);
        let from = std::ops::Bound::Unbounded;
        let to = std::ops::Bound::Unbounded;
        let index = KEY_INDEX.to_owned();
        let query = RangeQuery { index, from, to, limit: 10_000, descending: false };
        let (state, members) = store.range(&space, &query).await.expect("a range");
        assert!(matches!(state, SpaceState::At(_)), "{state:?}");
        let keys: Vec<String> =
            members.iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect();
        let (_, values) = store.read(&space, &keys).await.expect("values");
        for (key, value) in keys.into_iter().zip(values) {
            let value = String::from_utf8_lossy(&value.expect("it is listed")).into_owned();
            all.insert(format!("{partition} {key}"), value);
        }
    }
    assert!(app.0.views().list().iter().any(|it| it.name == "history"));
    all
}

/// R1: replay equals live, of the history too; R2: a restart folds nothing twice.
#[tokio::test]
async fn a_replayed_history_is_the_one_that_was_followed() {
    let log = Arc::new(MemoryLog::new(partitions(2), Arc::new(SystemClock)));
    let store = Arc::new(MemoryViews::new(Arc::new(SystemClock)));
    let mut wanted = 0;
    for round in 0..3 {
        let app = Shipped::start(log.clone(), store.clone()).await;
        for i in 0..40 {
            match round {
                0 => app.open(&format!("a{i}"), "Ann").await,
                _ => app.deposit(&format!("a{i}"), 1).await,
            };
            wanted += 1;
        }
        app.0.stop().await;
    }
    let app = Shipped::start(log.clone(), store.clone()).await;
    let done = [app.open("ann", "Ann").await, app.open("bob", "Bob").await];
    wanted += 2;
    for done in &done {
        let wait = std::time::Duration::from_secs(20);
        let (target, partition) = (&done.target, done.position.partition);
        let known = app.0.views().aggregate(target, partition, &done.position.into(), wait).await;
        assert_eq!(known.expect("known").version().0, 1);
    }
    let before = app.generation("history", |_| true).await;
    let followed = docs(&app, &store, before).await;
    app.replay(Some("history")).await;
    let after = app.generation("history", |generation| generation != before).await;
    let replayed = docs(&app, &store, after).await;
    assert_eq!(followed, replayed);
    let commits = |json: &String| {
        let doc: Value = serde_json::from_str(json).expect("JSON");
        doc["commits"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(replayed.values().map(commits).sum::<usize>(), wanted, "each commit once");
    app.0.stop().await;
}

#[tokio::test]
async fn a_correlation_is_shown_as_the_tree_of_what_caused_what() {
    let app = TestApp::spawn().await;
    let send = |id: &str, cause: Option<String>, command: Value| {
        let request = app.post(&format!("/commands/account/{id}"), &command);
        let request = request.header("X-Correlation-Id", "order/7");
        match cause {
            Some(cause) => app.ask(request.header("X-Causation-Id", cause)),
            None => app.ask(request),
        }
    };
    let open = |owner: &str| json!({"type": "OpenAccount", "owner": owner});
    let root = send("ann", None, open("Ann")).await.ok();
    let command = root.json()["command_id"].as_str().expect("id").to_owned();
    let event = root.json()["events"][0]["id"].as_str().expect("id").to_owned();
    let child = send("bob", Some(event), open("Bob")).await.ok();
    let child_command = child.json()["command_id"].as_str().expect("id").to_owned();
    let grandchild = send("cid", Some(child_command.clone()), open("Cid")).await.ok();
    let second = send("dan", Some(command.clone()), open("Dan")).await.ok();
    app.open_account("eve", "Eve").await.ok();
    let all = [&root, &child, &grandchild, &second];
    let positions: Vec<&str> = all.iter().map(|it| it.header("retell-position")).collect();
    let ask = |path: String| {
        let request = app.request(Method::GET, &path);
        let request = request.header("Retell-Position", positions.join(", "));
        app.ask(request.header("Prefer", "wait=20"))
    };
    let tree = ask("/traces/order%2F7".to_owned()).await.ok().json();
    let mut shape: Vec<(u64, Option<&str>, &str)> = tree["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| {
            let position = item["record"]["position"].as_str().expect("position");
            (item["depth"].as_u64().expect("n"), item["caused_by"].as_str(), position)
        })
        .collect();
    let mut wanted: [(u64, Option<&str>, &str); 4] = [
        (0, None, positions[0]),
        (1, Some(positions[0]), positions[1]),
        (2, Some(positions[1]), positions[2]),
        (1, Some(positions[0]), positions[3]),
    ];
    // What was decided in the same millisecond has no order of its own.
    shape.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(shape, wanted);
    assert_eq!((&tree["more"], &tree["correlation_id"]), (&json!(0), &json!("order/7")));
    let count = |page: Answer| page.ok().json()["items"].as_array().map(Vec::len);
    assert_eq!(count(ask("/events?correlation=order/7".to_owned()).await), Some(4));
    assert_eq!(count(ask(format!("/events?causation={command}")).await), Some(1));
    assert_eq!(count(ask(format!("/events?command={child_command}")).await), Some(1));
    assert_eq!(count(ask("/events?correlation=order/7&type=account".to_owned()).await), Some(4));
    assert_eq!(count(ask("/events?correlation=order/7&marks=void".to_owned()).await), Some(0));
    assert_eq!(count(ask("/events?correlation=none".to_owned()).await), Some(0));
}

#[tokio::test]
async fn a_client_prints_the_history() {
    let app = TestApp::spawn().await;
    app.open_account("Zoë 1", "Ann").await;
    let opened = app.open_account("ann", "Ann").await.ok();
    app.deposit("ann", 500).await.ok();
    app.get_after(ANN, &opened).await.ok();
    app.eventually(&format!("{ANN}?version=2"), |answer| answer.status == 200).await;
    let table = client(app.address, &["history", "account/ann"], "").await;
    assert_eq!(table.code, 0, "{table:?}");
    let lines: Vec<&str> = table.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{table:?}");
    assert!(lines[0].starts_with("version") && lines[2].contains("MoneyDeposited"), "{table:?}");
    let json = client(app.address, &["history", "account/ann", "--json"], "").await;
    let events: Vec<Value> =
        json.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(events[1]["data"], json!({"amount": 500, "balance": 500}));
    let nobody = client(app.address, &["history", "account/bob"], "").await;
    assert_eq!(nobody.code, 1);
    assert!(nobody.stderr.contains("account/bob has no event"), "{nobody:?}");
    assert_eq!(client(app.address, &["history", "ann"], "").await.code, 2);
}
