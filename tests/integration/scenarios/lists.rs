//! Lists while accounts move, views that disappear, and indexes that cannot be.

use std::sync::Arc;

use retell::adapters::SystemClock;
use retell::adapters::memory::MemoryLog;
use retell::app::{App, AppError};
use retell::commands::{Account, AccountCommand};
use retell::config::Config;
use retell::events::account::AccountEvent;
use retell::ports::{RangeQuery, Space, ViewStore};
use retell::read::{Comparison, Filter};
use retell::{Positions, Projection, Recorded};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::support::lists::{embedded, list, memory, pages, redis, start};
use crate::support::shipped::Shipped;
use crate::support::writers::{PATIENCE, partitions};

/// A third of the accounts stands still; the others move past them all the time.
async fn check_while_writes_go_on(store: Arc<dyn ViewStore>) {
    const ROUNDS: usize = 6;
    let app = Arc::new(start(store).await);
    let mut after = Positions::default();
    for i in 0..45 {
        app.open(&format!("a{i:02}"), "Ann").await;
        after.add(app.deposit(&format!("a{i:02}"), 10 + i * 20 % 90).await.position);
    }
    let moving = app.clone();
    let writer = tokio::spawn(async move {
        for n in 0_usize.. {
            let id = format!("a{:02}", (n / 2) % 45 / 3 * 3 + n % 2);
            if n / 90 % 2 == 0 {
                moving.deposit(&id, 100).await;
            } else {
                moving.account(&id, AccountCommand::WithdrawMoney { amount: 100 }).await;
            }
        }
    });
    for round in 0..ROUNDS {
        let query = list(&[], Some("balance"), round % 2 == 1, 7);
        let (mut seen, mut query) = (Vec::new(), query);
        loop {
            let page = app.0.views().page("accounts", &query, &after, PATIENCE).await;
            let page = page.expect("a page");
            let parse = |json| serde_json::from_slice::<Value>(json).expect("JSON");
            let views: Vec<Value> = page.views.iter().map(|json| parse(json)).collect();
            let mut balances: Vec<_> = views.iter().map(|it| it["balance"].as_i64()).collect();
            if round % 2 == 1 {
                balances.reverse();
            }
            assert!(
                balances.is_sorted(),
                "views of other commits than their members: {balances:?}"
            );
            seen.extend(views.iter().map(|view| view["id"].as_str().expect("an id").to_owned()));
            match page.next_cursor {
                Some(next) => query.cursor = Some(next),
                None => break,
            }
        }
        for i in (2..45).step_by(3) {
            let id = format!("a{i:02}");
            let times = seen.iter().filter(|seen| **seen == id).count();
            assert_eq!(times, 1, "{id} stands still and is listed {times} times: {seen:?}");
        }
    }
    assert!(!writer.is_finished(), "accounts moved all the time");
    writer.abort();
    assert!(writer.await.expect_err("it was ended").is_cancelled());
    Arc::into_inner(app).expect("the writer has ended").0.stop().await;
}

#[tokio::test]
async fn a_view_that_does_not_move_is_on_exactly_one_page_while_others_do() {
    check_while_writes_go_on(memory()).await;
}

#[tokio::test]
async fn a_view_that_does_not_move_is_on_exactly_one_page_on_the_embedded_store() {
    let (store, _dir) = embedded();
    check_while_writes_go_on(store).await;
}

#[tokio::test]
async fn a_view_that_does_not_move_is_on_exactly_one_page_on_redis() {
    check_while_writes_go_on(redis()).await;
}

/// Shows accounts as long as they are open.
struct OpenAccounts;

#[derive(Clone, Deserialize, JsonSchema, Serialize)]
struct OpenView {
    owner: String,
}

impl Projection for OpenAccounts {
    type Aggregate = Account;
    type View = OpenView;
    const NAME: &'static str = "open-accounts";
    const REVISION: u32 = 1;
    const INDEXES: &'static [&'static [&'static str]] = &[&["owner"]];

    fn fold(
        &self,
        view: Option<OpenView>,
        event: &AccountEvent,
        _: &Recorded<'_>,
    ) -> Option<OpenView> {
        match event {
            AccountEvent::AccountOpened { owner } => Some(OpenView { owner: owner.clone() }),
            AccountEvent::AccountClosed {} => None,
            _ => view,
        }
    }
}

#[tokio::test]
async fn a_view_that_disappears_is_listed_no_more_and_leaves_nothing_in_an_index() {
    let store = memory();
    let log = Arc::new(MemoryLog::new(partitions(1), Arc::new(SystemClock)));
    let app = App::builder(Config::defaults()).log(log).store(store.clone()).shipped();
    let app = Shipped(app.projection(OpenAccounts).build().await.expect("an application"));
    for id in ["a", "b", "c"] {
        app.open(id, "Ann").await;
    }
    let closed = app.account("b", AccountCommand::CloseAccount {}).await;
    let after = closed.position.into();
    let of_ann = Filter { field: "owner".into(), is: Comparison::Equal, value: "Ann".into() };
    let query = list(&[of_ann], None, false, 10);
    let page = app.0.views().page("open-accounts", &query, &after, PATIENCE).await.expect("a page");
    assert_eq!(page.views.len(), 2);
    let generation = app.generation("open-accounts", |_| true).await;
    let space = Space::new("open-accounts", generation, retell::Partition(0));
    for index in ["owner", "key"] {
        let (from, to) = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
        let index = index.to_owned();
        let range = RangeQuery { index, from, to, limit: 10, descending: false };
        let (_, members) = store.range(&space, &range).await.expect("members");
        assert_eq!(members.len(), 2, "{members:?}");
    }
    app.0.stop().await;
}

/// Has an index over a field that its views do not have.
struct Mistaken;

impl Projection for Mistaken {
    type Aggregate = Account;
    type View = OpenView;
    const NAME: &'static str = "mistaken";
    const REVISION: u32 = 1;
    const INDEXES: &'static [&'static [&'static str]] = &[&["owner"], &["colour"]];

    fn fold(&self, view: Option<OpenView>, _: &AccountEvent, _: &Recorded<'_>) -> Option<OpenView> {
        view
    }
}

#[tokio::test]
async fn an_application_with_an_index_that_cannot_be_is_not_built() {
    let built = App::ephemeral().shipped().projection(Mistaken).build().await;
    let Err(AppError::Domain(mistakes)) = built else { panic!("it was built") };
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    let told = "projection `mistaken`: the index [colour] is over `colour`, which is no field of \
                the view (owner)";
    assert_eq!(mistakes[0], told);
}

/// A page that one partition has nearly alone is whole all the same.
#[tokio::test]
async fn a_page_from_one_partition_alone_is_whole() {
    let app = start(memory()).await;
    let home = retell::log::Partitions::new(3).expect("three");
    let mut after = Positions::default();
    let mut ids = Vec::new();
    for n in 0.. {
        let id = format!("x{n:03}");
        if home.of(&format!("account/{id}")) == retell::Partition(1) {
            after.add(app.open(&id, "Ann").await.position);
            ids.push(id);
        }
        if ids.len() == 60 {
            break;
        }
    }
    let found = pages(&app, &list(&[], None, false, 50), &after).await;
    let found: Vec<String> = found
        .iter()
        .map(|json| serde_json::from_slice::<Value>(json).expect("JSON"))
        .map(|view| view["id"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(found, ids);
    let query = list(&[], None, false, 50);
    let first = app.0.views().page("accounts", &query, &after, PATIENCE).await.expect("a page");
    assert_eq!(first.views.len(), 50, "one page, though of one partition");
    app.0.stop().await;
}
