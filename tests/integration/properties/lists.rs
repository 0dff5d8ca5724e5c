//! What lists and totals show is the sorted model, live and after a replay, on every view store.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use retell::commands::{Account, AccountCommand};
use retell::ports::ViewStore;
use retell::read::{Comparison, Filter, QueryError, ReplayState};
use retell::write::SendOptions;
use retell::{Key, Positions};
use serde_json::Value;

use crate::support::lists::{embedded, list, memory, pages, redis, start};
use crate::support::shipped::Shipped;
use crate::support::writers::PATIENCE;

const OWNERS: [&str; 3] = ["Ann", "Anna", "Bob"];

/// Accounts, and what becomes of them; what is refused is left out.
type History = Vec<(u8, AccountCommand)>;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn pages_equal_the_sorted_model_and_a_replay_gives_the_same(
        history in history(),
        limit in 1..6_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(check_against_model(memory(), history, limit));
    }
}

/// A history in which accounts move in every index, and some are closed.
fn some_history() -> History {
    let open = |id: u8| AccountCommand::OpenAccount { owner: OWNERS[id as usize % 3].to_owned() };
    let deposit = |id: u8| AccountCommand::DepositMoney { amount: i64::from(id % 4) + 1 };
    let withdraw = |id: u8| AccountCommand::WithdrawMoney { amount: i64::from(id % 4) + 1 };
    let all = |command: &dyn Fn(u8) -> AccountCommand| {
        (0..12).map(|id| (id, command(id))).collect::<History>()
    };
    let mut history = [all(&open), all(&deposit), all(&deposit), all(&withdraw)].concat();
    history.push((3, withdraw(3)));
    history.push((3, AccountCommand::CloseAccount {}));
    history
}

#[tokio::test]
async fn pages_equal_the_sorted_model_on_the_embedded_store() {
    let (store, _dir) = embedded();
    check_against_model(store, some_history(), 5).await;
}

#[tokio::test]
async fn pages_equal_the_sorted_model_on_redis() {
    check_against_model(redis(), some_history(), 5).await;
}

/// R1: what queries show is the sorted model, live and after a replay.
async fn check_against_model(store: Arc<dyn ViewStore>, history: History, limit: usize) {
    let app = start(store).await;
    app.generation("accounts", |_| true).await;
    let (views, after) = live(&app, &history).await;
    let totals_before = totals(&app, &after).await;
    let parse = |json: &Vec<u8>| {
        let view: Value = serde_json::from_slice(json).expect("JSON");
        (view["accounts"].as_u64().expect("n"), view["balance"].as_i64().expect("n"))
    };
    let added: Vec<_> = totals_before.iter().map(|it| it.as_ref().map(parse)).collect();
    assert_eq!(added, sums(&views));
    for replayed in [false, true] {
        if replayed {
            let before = app.generation("accounts", |_| true).await;
            let status = app.replay(None).await;
            assert_eq!(status.state, ReplayState::Done);
            app.generation("accounts", |generation| generation != before).await;
            assert_eq!(totals(&app, &after).await, totals_before);
        }
        for (filters, sort, order) in queries() {
            for descending in [false, true] {
                let query = list(&filters, sort, descending, limit);
                let found = pages(&app, &query, &after).await;
                let wanted = expected(&views, &filters, &order, descending);
                let text = |list: &[Vec<u8>]| {
                    list.iter()
                        .map(|it| String::from_utf8_lossy(it).into_owned())
                        .collect::<Vec<_>>()
                };
                assert_eq!(text(&found), text(&wanted), "{query:?}, replayed: {replayed}");
            }
        }
    }
    app.0.stop().await;
}

fn history() -> impl Strategy<Value = History> {
    let command = prop_oneof![
        3 => prop::sample::select(&OWNERS)
            .prop_map(|owner| AccountCommand::OpenAccount { owner: owner.to_owned() }),
        5 => (1..4_i64).prop_map(|amount| AccountCommand::DepositMoney { amount }),
        4 => (1..4_i64).prop_map(|amount| AccountCommand::WithdrawMoney { amount }),
        1 => Just(AccountCommand::CloseAccount {}),
    ];
    vec((0..12_u8, command), 0..120)
}

/// What is asked of a list, and the fields that order it.
fn queries() -> Vec<(Vec<Filter>, Option<&'static str>, Vec<&'static str>)> {
    let is = |field: &str, is, value: &str| Filter {
        field: field.to_owned(),
        is,
        value: value.to_owned(),
    };
    let equal = |field, value| is(field, Comparison::Equal, value);
    vec![
        (vec![], None, vec![]),
        (vec![], Some("balance"), vec!["balance"]),
        (vec![is("balance", Comparison::Above, "1")], None, vec!["balance"]),
        (vec![equal("owner", "Ann")], Some("balance"), vec!["balance"]),
        (
            vec![equal("owner", "Anna"), is("balance", Comparison::AtMost, "3")],
            None,
            vec!["balance"],
        ),
        (vec![equal("status", "open")], Some("opened_at"), vec!["opened_at"]),
        (vec![equal("status", "closed")], None, vec!["opened_at"]),
        (
            vec![is("key", Comparison::AtLeast, "a3"), is("key", Comparison::Below, "a7")],
            None,
            vec![],
        ),
    ]
}

fn holds(view: &Value, filter: &Filter) -> bool {
    let field = if filter.field == "key" { "id" } else { &filter.field };
    let order = match &view[field] {
        Value::Number(number) => {
            number.as_i64().expect("whole").cmp(&filter.value.parse().expect("whole"))
        }
        value => value.as_str().expect("a text").cmp(&filter.value),
    };
    match filter.is {
        Comparison::Equal => order.is_eq(),
        Comparison::Below => order.is_lt(),
        Comparison::AtMost => order.is_le(),
        Comparison::Above => order.is_gt(),
        Comparison::AtLeast => order.is_ge(),
        Comparison::Null => false,
    }
}

/// What a list must have, from the views by key.
fn expected(
    views: &[Vec<u8>],
    filters: &[Filter],
    order: &[&str],
    descending: bool,
) -> Vec<Vec<u8>> {
    let parsed = views.iter().map(|json| (serde_json::from_slice(json).expect("JSON"), json));
    let mut listed: Vec<(Value, &Vec<u8>)> =
        parsed.filter(|(view, _)| filters.iter().all(|filter| holds(view, filter))).collect();
    listed.sort_by_key(|(view, _)| {
        let of = |field: &&str| (view[field].as_i64(), view[field].as_str().map(str::to_owned));
        let key = view["id"].as_str().expect("an id").to_owned();
        (order.iter().map(of).collect::<Vec<_>>(), key)
    });
    if descending {
        listed.reverse();
    }
    listed.into_iter().map(|(_, json)| json.clone()).collect()
}

/// Does what a history says, and gives the views by key and the positions of it all.
async fn live(app: &Shipped, history: &History) -> (Vec<Vec<u8>>, Positions) {
    let mut after = Positions::default();
    for (id, command) in history {
        let id = format!("a{id}");
        let sent = app.0.commands().send::<Account>(&id, command.clone(), SendOptions::default());
        if let Ok(done) = sent.await {
            after.add(done.position);
        }
    }
    let mut views = Vec::new();
    for id in 0..12 {
        let key = Key::new(&format!("a{id}")).expect("a key");
        match app.0.views().get("accounts", &key, &after, PATIENCE).await {
            Ok(found) => views.push(found.view.to_vec()),
            Err(QueryError::NotFound { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    (views, after)
}

/// The totals of every owner, as far as there are any.
async fn totals(app: &Shipped, after: &Positions) -> Vec<Option<Vec<u8>>> {
    let mut all = Vec::new();
    for owner in OWNERS {
        let key = Key::new(&format!("owner:{owner}")).expect("a key");
        let found = app.0.views().get("account-totals", &key, after, PATIENCE).await;
        all.push(found.ok().map(|found| found.view.to_vec()));
    }
    all
}

/// The totals that the views by key add up to.
fn sums(views: &[Vec<u8>]) -> Vec<Option<(u64, i64)>> {
    let views: Vec<Value> =
        views.iter().map(|json| serde_json::from_slice(json).expect("JSON")).collect();
    let of = |owner: &str| {
        let own: Vec<_> = views.iter().filter(|view| view["owner"] == owner).collect();
        let balance = own.iter().map(|view| view["balance"].as_i64().expect("whole")).sum();
        (!own.is_empty()).then_some((own.len() as u64, balance))
    };
    OWNERS.into_iter().map(of).collect()
}
