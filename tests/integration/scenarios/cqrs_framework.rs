//! The framework of `cqrs-es` on the log: its own types, with only the store exchanged.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use cqrs_es::{AggregateContext, AggregateError, CqrsFramework, EventEnvelope, EventStore, Query};
use futures_util::future::join_all;
use retell::adapters::SystemClock;
use retell::adapters::memory::MemoryLog;
use retell::app::App;
use retell::commands::{Account, AccountCommand, AccountError};
use retell::config::Config;
use retell::events::Commit;
use retell::events::account::AccountEvent;
use retell::log::{Chain, Stamp, Term};
use retell::ports::{EventLog, NewRecord};
use retell::projections::Accounts;
use retell::write::{Failure, LogEventStore, Ownership, SendOptions};
use retell::{Partition, Version};

use crate::support::parcel::{NewParcel, OldParcel};
use crate::support::shipped::Shipped;
use crate::support::writers::partitions;

type Framework = CqrsFramework<Account, LogEventStore<Account>>;
type Envelopes = Vec<EventEnvelope<Account>>;

/// A query of `cqrs-es` that notes what it is told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Envelopes>>);

#[async_trait::async_trait]
impl Query<Account> for Told {
    async fn dispatch(&self, aggregate_id: &str, events: &[EventEnvelope<Account>]) {
        assert!(events.iter().all(|event| event.aggregate_id == aggregate_id));
        self.0.lock().expect("no panic").extend_from_slice(events);
    }
}

async fn app(log: &MemoryLog) -> App {
    let app = App::builder(Config::ephemeral()).log(Arc::new(log.clone())).shipped();
    let app = app.build().await.expect("the shipped application");
    app.ready().await;
    app
}

fn log() -> MemoryLog {
    MemoryLog::new(partitions(1), Arc::new(SystemClock))
}

fn framework(app: &App, told: &Told) -> Framework {
    CqrsFramework::new(app.event_store::<Account>(), vec![Box::new(told.clone())], ())
}

fn open() -> AccountCommand {
    AccountCommand::OpenAccount { owner: "Ann".to_owned() }
}

fn deposit(amount: i64) -> AccountCommand {
    AccountCommand::DepositMoney { amount }
}

fn deposited(amount: i64, balance: i64) -> Vec<AccountEvent> {
    vec![AccountEvent::MoneyDeposited { amount, balance }]
}

/// What an envelope says, in a form that can be compared.
fn said(events: &[EventEnvelope<Account>]) -> Vec<String> {
    let sorted = |map: &HashMap<String, String>| {
        let mut pairs: Vec<_> = map.clone().into_iter().collect();
        pairs.sort();
        pairs
    };
    let said = |it: &EventEnvelope<Account>| {
        format!("{} {} {:?} {:?}", it.aggregate_id, it.sequence, it.payload, sorted(&it.metadata))
    };
    events.iter().map(said).collect()
}

#[tokio::test]
async fn a_framework_of_cqrs_es_decides_and_the_log_has_its_events() {
    let log = log();
    let app = app(&log).await;
    let told = Told::default();
    let framework = framework(&app, &told);
    framework.execute("ann", open()).await.expect("opened");
    framework.execute("ann", deposit(500)).await.expect("deposited");
    let refused = framework.execute("ann", AccountCommand::WithdrawMoney { amount: 900 }).await;
    let Err(AggregateError::UserError(error)) = refused else { panic!("{refused:?}") };
    assert!(matches!(error, AccountError::InsufficientFunds { .. }), "{error}");
    assert_eq!(log.end(Partition(0)).await.expect("end").0, 3, "a claim and two commits");

    let told = said(&told.0.lock().expect("no panic"));
    let store = app.event_store::<Account>();
    assert_eq!(said(&store.load_events("ann").await.expect("events")), told);
    assert_eq!(told[1], "ann 2 MoneyDeposited { amount: 500, balance: 500 } []");
    assert_eq!(said(&store.load_events("nobody").await.expect("none")), [""; 0]);

    // The application sees the same account, and its views follow.
    let done = app.commands().send::<Account>("ann", deposit(1), SendOptions::default()).await;
    let done = done.expect("deposited");
    assert_eq!(done.version, Version(3));
    let view = app.view::<Accounts>("ann", done.position).await.expect("in time").expect("a view");
    assert_eq!((view.balance, view.version), (501, Version(3)));
    let mut context = store.load_aggregate("ann").await.expect("loaded");
    assert_eq!((context.id(), context.version()), ("ann", Version(3)));
    context.aggregate();
    app.stop().await;
}

/// L2: of two that decide on one version, the second appends nothing.
#[tokio::test]
async fn a_commit_on_another_version_than_was_loaded_is_a_conflict() {
    let log = log();
    let app = app(&log).await;
    let store = app.event_store::<Account>();
    framework(&app, &Told::default()).execute("ann", open()).await.expect("opened");
    let (first, second) = (store.load_aggregate("ann").await, store.load_aggregate("ann").await);
    let (first, second) = (first.expect("loaded"), second.expect("loaded"));
    let third = store.load_aggregate("ann").await.expect("loaded");
    store.commit(deposited(5, 5), first, HashMap::new()).await.expect("the first");
    let end = log.end(Partition(0)).await.expect("end");
    let conflict = store.commit(deposited(7, 7), second, HashMap::new()).await;
    assert!(matches!(conflict, Err(AggregateError::AggregateConflict)), "{conflict:?}");
    let nothing = store.commit(Vec::new(), third, HashMap::new()).await.expect("nothing to do");
    assert!(nothing.is_empty());
    assert_eq!(log.end(Partition(0)).await.expect("end"), end, "nothing was appended");
    let balance = app.commands().send::<Account>("ann", deposit(1), SendOptions::default()).await;
    let events = balance.expect("deposited").events;
    assert_eq!(events[0].data.get(), r#"{"amount":1,"balance":6}"#);
    app.stop().await;
}

#[tokio::test]
async fn of_many_at_once_each_is_done_or_a_conflict() {
    let app = app(&log()).await;
    let (told, done) = (Told::default(), Mutex::new(0));
    let framework = framework(&app, &told);
    framework.execute("ann", open()).await.expect("opened");
    let send = async |_| loop {
        match framework.execute("ann", deposit(1)).await {
            Ok(()) => return *done.lock().expect("no panic") += 1,
            Err(AggregateError::AggregateConflict) => {}
            Err(other) => panic!("{other}"),
        }
    };
    join_all((0..20).map(send)).await;
    assert_eq!(*done.lock().expect("no panic"), 20);
    let events = app.event_store::<Account>().load_events("ann").await.expect("events");
    let sequences: Vec<usize> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..=21).collect::<Vec<_>>());
    let last = AccountEvent::MoneyDeposited { amount: 1, balance: 20 };
    assert_eq!(events[20].payload, last, "no deposit was decided on an old balance");
    assert_eq!(told.0.lock().expect("no panic").len(), 21);
    app.stop().await;
}

#[tokio::test]
async fn metadata_travels_into_the_record_and_comes_back() {
    let log = log();
    let first = app(&log).await;
    let told = Told::default();
    let pairs = [
        ("command", "OpenByPhone"),
        ("correlation_id", "order 8"),
        ("causation_id", "basket 3"),
        ("actor", "till-1"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("time", "2026-11-22T10:00:00Z"),
        ("shop", "Zürich"),
    ];
    let metadata: HashMap<_, _> = pairs.map(|(name, it)| (name.to_owned(), it.to_owned())).into();
    let framework = framework(&first, &told);
    framework.execute_with_metadata("ann", open(), metadata.clone()).await.expect("opened");
    framework.execute("ann", deposit(1)).await.expect("deposited");
    first.stop().await;

    let mut reader = log.reader(Partition(0), retell::Offset(1)).await.expect("reader");
    let chunk = reader.next(1, 1 << 20).await.expect("a chunk");
    let commit = Commit::decode(&chunk.records[0].value).expect("a commit");
    assert_eq!((&*commit.command, commit.actor.as_deref()), ("OpenByPhone", Some("till-1")));
    assert_eq!(commit.correlation_id.as_deref(), Some("order 8"));
    let others: Vec<_> = commit.metadata.keys().map(String::as_str).collect();
    assert_eq!(others, ["shop", "time"]);

    let second = app(&log).await;
    let events = second.event_store::<Account>().load_events("ann").await.expect("events");
    assert_eq!(events[0].metadata, metadata);
    assert_eq!(events[1].metadata, HashMap::new());
    assert_eq!(said(&events), said(&told.0.lock().expect("no panic")));
    second.stop().await;
}

/// L1: what was decided elsewhere is appended again in the next term when a term ends.
#[tokio::test]
async fn a_commit_outlives_the_term_that_it_was_loaded_in() {
    let log = log();
    let app = app(&log).await;
    let store = app.event_store::<Account>();
    framework(&app, &Told::default()).execute("ann", open()).await.expect("opened");
    let context = store.load_aggregate("ann").await.expect("loaded");
    let mut appender = log.appender(Partition(0)).await.expect("appender");
    let stamp = Stamp::Claim { term: Term(2) };
    appender.append(NewRecord { key: None, stamp, value: b"nobody" }).expect("taken");
    let done = store.commit(deposited(5, 5), context, HashMap::new()).await.expect("done");
    assert_eq!(done[0].sequence, 2);
    assert_eq!(app.commands().status()[0].ownership, Ownership::Owner { term: Term(3) });
    assert_eq!(store.load_events("ann").await.expect("events").len(), 2);
    app.stop().await;
}

/// L6: a writer that was deposed unnoticed shows no state to decide on.
#[tokio::test]
async fn a_deposed_writer_shows_no_state() {
    let log = log();
    let first = app(&log).await;
    framework(&first, &Told::default()).execute("ann", open()).await.expect("opened");
    let second = Shipped::start(Arc::new(log), Arc::new(views())).await;
    second.deposit("ann", 5).await;
    let loaded = first.event_store::<Account>().load_aggregate("ann").await;
    let Err(AggregateError::DatabaseConnectionError(error)) = loaded else { panic!("{loaded:?}") };
    assert!(matches!(error.downcast_ref::<Failure>(), Some(Failure::NoOwner { .. })), "{error}");
    second.0.stop().await;
    first.stop().await;
}

#[tokio::test]
async fn what_is_in_the_way_is_sorted_as_cqrs_es_does() {
    let log = log().with_record_len_max(1_000);
    let app = app(&log).await;
    let store = app.event_store::<Account>();
    framework(&app, &Told::default()).execute("ann", open()).await.expect("opened");
    let failure = |error: AggregateError<AccountError>| match error {
        AggregateError::UnexpectedError(error) => *error.downcast::<Failure>().expect("ours"),
        other => panic!("{other:?}"),
    };
    let bad = store.load_aggregate("a/b").await.expect_err("no id");
    assert!(matches!(failure(bad), Failure::BadId(_)));
    let context = store.load_aggregate("ann").await.expect("loaded");
    let large = HashMap::from([("note".to_owned(), "x".repeat(2_000))]);
    let large = store.commit(deposited(1, 1), context, large).await.expect_err("too large");
    assert!(matches!(failure(large), Failure::EventsTooLarge { .. }));
    let unknown = app.event_store::<OldParcel>().load_aggregate("a").await;
    assert!(matches!(unknown, Err(AggregateError::UnexpectedError(_))), "{unknown:?}");

    let mut appender = log.appender(Partition(0)).await.expect("appender");
    let stamp = Stamp::Commit { term: Term(1), chain: Chain(1) };
    let newer = NewRecord { key: Some(b"account/ann"), stamp, value: br#"{"v":2}"# };
    appender.append(newer).expect("taken");
    let state = store.load_aggregate("ann").await.err();
    assert!(matches!(state, Some(AggregateError::DeserializationError(_))), "{state:?}");
    let events = store.load_events("ann").await.err();
    assert!(matches!(events, Some(AggregateError::DeserializationError(_))), "{events:?}");
    app.stop().await;
}

#[tokio::test]
async fn another_rust_type_under_a_registered_name_is_told_apart() {
    let app = App::ephemeral().aggregate::<OldParcel>(()).build().await.expect("an application");
    let loaded = app.event_store::<NewParcel>().load_aggregate("a").await;
    let Err(AggregateError::UnexpectedError(error)) = loaded else { panic!("{loaded:?}") };
    assert!(error.to_string().contains("another Rust type"), "{error}");
    app.stop().await;
}

/// The aggregate's own tests stay what they are.
#[test]
fn given_when_then_is_not_concerned() {
    cqrs_es::test::TestFramework::<Account>::with(())
        .given(vec![AccountEvent::AccountOpened { owner: "Ann".to_owned() }])
        .when(deposit(5))
        .then_expect_events(deposited(5, 5));
}

fn views() -> retell::adapters::memory::MemoryViews {
    retell::adapters::memory::MemoryViews::new(Arc::new(SystemClock))
}
