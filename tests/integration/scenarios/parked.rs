//! What cannot be folded is held back, and nothing else is; once it can be, it is folded in order.

use std::sync::Arc;
use std::time::Duration;

use retell::adapters::SystemClock;
use retell::adapters::memory::{MemoryLog, MemoryViews};
use retell::config::Config;
use retell::projections::Accounts;
use retell::read::{MendError, ParkedId, ParkedState, QueryError, ReplayState, Retried};
use retell::write::Done;
use retell::{Key, Projection, Version};

use crate::support::fragile::{self, Trap, Traps, deposits, parked};
use crate::support::shipped::Shipped;
use crate::support::writers::{PATIENCE, partitions};

fn log() -> Arc<MemoryLog> {
    Arc::new(MemoryLog::new(partitions(1), Arc::new(SystemClock)))
}

fn store() -> Arc<MemoryViews> {
    Arc::new(MemoryViews::new(Arc::new(SystemClock)))
}

/// The application, which cannot fold a deposit of 13.
async fn start() -> (Shipped, Traps) {
    let traps = Traps::default();
    traps.set(Trap::Fold(13));
    (fragile::start(log(), store(), &traps, Config::defaults()).await, traps)
}

/// Opens the account and makes these deposits; the last one is what to wait for.
async fn fill(app: &Shipped, id: &str, amounts: &[i64]) -> Done {
    let mut done = app.open(id, "Ann").await;
    for &amount in amounts {
        done = app.deposit(id, amount).await;
    }
    done
}

/// R6: what comes before, beside and in other projections is as if nothing was wrong.
#[tokio::test]
async fn a_fold_that_panics_holds_back_its_aggregate_from_there_on() {
    let (app, _) = start().await;
    let last = fill(&app, "ann", &[1, 13, 2, 3]).await;
    let of_bob = fill(&app, "bob", &[5]).await;
    assert_eq!(deposits(&app, "bob", of_bob.position).await, Some(vec![5]));
    assert_eq!(deposits(&app, "ann", last.position).await, Some(vec![1]), "as it was before");
    assert_eq!(app.view("ann", &last).await.balance, 19, "other projections go on");
    let parked = parked(&app, "fragile").await;
    assert_eq!((parked.aggregate.as_str(), parked.count), ("account/ann", 3));
    assert_eq!(parked.event.event_type.as_deref(), Some("MoneyDeposited"));
    assert_eq!(parked.event.version, Some(Version(3)));
    assert!(parked.event.data.contains(r#""amount":13"#), "{}", parked.event.data);
    assert!(parked.error.contains("Fold(13) on purpose"), "{}", parked.error);
    assert_eq!(parked.state, ParkedState::Parked);
    app.0.stop().await;
}

#[tokio::test]
async fn a_retry_folds_the_whole_sequence_in_order() {
    let (app, traps) = start().await;
    fill(&app, "ann", &[1, 13, 2]).await;
    let id = parked(&app, "fragile").await.id;
    let still = app.0.views().retry_parked(&id).await;
    assert!(matches!(&still, Err(MendError::StillParked { error, .. }) if error.contains("13")));
    let last = app.deposit("ann", 3).await;
    assert_eq!(deposits(&app, "ann", last.position).await, Some(vec![1]), "nothing was changed");

    traps.clear(Trap::Fold(13));
    let last = app.deposit("ann", 4).await;
    assert_eq!(deposits(&app, "ann", last.position).await, Some(vec![1]), "it is still parked");
    let retried = app.0.views().retry_parked(&id).await.expect("it can be folded now");
    assert_eq!((retried.applied, retried.parked.is_none()), (4, true));
    let whole = Some(vec![1, 13, 2, 3, 4]);
    assert_eq!(deposits(&app, "ann", last.position).await, whole);
    assert!(app.0.views().parked().is_empty());
    let again = app.0.views().retry_parked(&id).await;
    assert!(matches!(again, Err(MendError::Unknown(_))), "{again:?}");
    let last = app.deposit("ann", 5).await;
    let whole = whole.map(|amounts| [amounts, vec![5]].concat());
    assert_eq!(deposits(&app, "ann", last.position).await, whole, "it goes on by itself");
    // R1: as a replay has it.
    assert_eq!(app.replay(Some("fragile")).await.state, ReplayState::Done);
    assert_eq!(deposits(&app, "ann", last.position).await, whole);
    app.0.stop().await;
}

#[tokio::test]
async fn a_retry_goes_as_far_as_it_can_and_holds_back_the_rest() {
    let (app, traps) = start().await;
    traps.set(Trap::Fold(14));
    let last = fill(&app, "ann", &[1, 13, 2, 14, 3]).await;
    assert_eq!(deposits(&app, "ann", last.position).await, Some(vec![1]));
    let first = parked(&app, "fragile").await;
    traps.clear(Trap::Fold(13));
    let retried = app.0.views().retry_parked(&first.id).await.expect("a part can be folded");
    let rest = retried.parked.expect("the rest is held back");
    assert_eq!((retried.applied, rest.count), (2, 2));
    assert!(rest.position.offset > first.position.offset && rest.error.contains("14"));
    assert_eq!(deposits(&app, "ann", last.position).await, Some(vec![1, 13, 2]));
    let last = app.deposit("ann", 4).await;
    traps.clear(Trap::Fold(14));
    assert_eq!(deposits(&app, "ann", last.position).await, Some(vec![1, 13, 2]));
    let retried = app.0.views().retry_parked(&first.id).await.expect("all can be folded");
    assert_eq!((retried.applied, retried.parked.is_none()), (3, true));
    assert_eq!(deposits(&app, "ann", last.position).await, Some(vec![1, 13, 2, 14, 3, 4]));
    app.0.stop().await;
}

/// R1: a replay folds everything at once, and parks what the live one has parked.
#[tokio::test]
async fn a_replay_parks_the_same_and_loses_nothing_before_it() {
    let (app, _) = start().await;
    let last = fill(&app, "ann", &[1, 2, 13, 3]).await;
    fill(&app, "bob", &[5, 13]).await;
    let of_cid = fill(&app, "cid", &[7]).await;
    assert_eq!(deposits(&app, "cid", of_cid.position).await, Some(vec![7]));
    let before = serde_json::to_value(app.0.views().parked()).expect("JSON");
    assert_eq!(before.as_array().map(Vec::len), Some(2));
    assert_eq!(app.replay(Some("fragile")).await.state, ReplayState::Done);
    assert_eq!(deposits(&app, "ann", last.position).await, Some(vec![1, 2]));
    assert_eq!(deposits(&app, "bob", of_cid.position).await, Some(vec![5]));
    assert_eq!(deposits(&app, "cid", of_cid.position).await, Some(vec![7]));
    assert_eq!(serde_json::to_value(app.0.views().parked()).expect("JSON"), before);
    app.0.stop().await;
}

#[tokio::test]
async fn a_discarded_aggregate_is_left_out_until_a_replay() {
    let (app, traps) = start().await;
    fill(&app, "ann", &[1, 13]).await;
    let id = parked(&app, "fragile").await.id;
    let discarded = app.0.views().discard_parked(&id).await.expect("discarded");
    assert_eq!(discarded.state, ParkedState::Discarded);
    traps.clear(Trap::Fold(13));
    let last = app.deposit("ann", 2).await;
    assert_eq!(deposits(&app, "ann", last.position).await, None);
    assert_eq!(app.view("ann", &last).await.balance, 16, "other projections have it");
    let listed = parked(&app, "fragile").await;
    assert_eq!((listed.state, listed.count), (ParkedState::Discarded, discarded.count));
    let list = app.0.views().list();
    let held: usize = list.iter().flat_map(|it| &it.partitions).map(|lane| lane.parked).sum();
    assert_eq!(held, 0, "it is no longer an alarm");
    let retried = app.0.views().retry_parked(&id).await;
    assert!(matches!(retried, Err(MendError::NeedsReplay(_))), "{retried:?}");
    assert_eq!(app.replay(Some("fragile")).await.state, ReplayState::Done);
    assert_eq!(deposits(&app, "ann", last.position).await, Some(vec![1, 13, 2]));
    assert!(app.0.views().parked().is_empty());
    app.0.stop().await;
}

#[tokio::test]
async fn a_merged_view_is_mended_by_a_replay() {
    let (app, traps) = start().await;
    traps.set(Trap::Keys(7));
    let last = fill(&app, "ann", &[1, 7, 2]).await;
    let of_bob = fill(&app, "bob", &[5]).await;
    let after = of_bob.position.into();
    let total = || app.bytes("fragile-total", "all", &after);
    assert_eq!(total().await, br#"{"amounts":[1,5]}"#);
    let held = parked(&app, "fragile-total").await;
    assert_eq!((held.aggregate.as_str(), held.count), ("account/ann", 2));
    assert!(held.error.contains("Keys(7) on purpose"), "{}", held.error);
    traps.clear(Trap::Keys(7));
    let retried = app.0.views().retry_parked(&held.id).await;
    assert!(matches!(retried, Err(MendError::NeedsReplay(_))), "{retried:?}");
    assert_eq!(app.replay(Some("fragile-total")).await.state, ReplayState::Done);
    assert_eq!(total().await, br#"{"amounts":[1,2,5,7]}"#);
    assert_eq!(deposits(&app, "ann", last.position).await, Some(vec![1, 7, 2]));
    app.0.stop().await;
}

/// L8: what is parked is bounded; a projection that cannot fold anybody stops and says so.
#[tokio::test]
async fn a_partition_with_too_many_parked_stops_until_there_is_room() {
    let traps = Traps::default();
    traps.set(Trap::Fold(13));
    let mut config = Config::defaults();
    config.read.parked_aggregates_max = 2;
    let app = fragile::start(log(), store(), &traps, config).await;
    for id in ["a", "b"] {
        fill(&app, id, &[1, 13]).await;
    }
    let last = fill(&app, "c", &[1, 13, 2]).await;
    let stopped = async {
        loop {
            let reasons = app.0.door().not_ready().await;
            if let [reason] = &reasons[..] {
                return reason.clone();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let reason = tokio::time::timeout(PATIENCE, stopped).await.expect("it stops");
    assert_eq!(reason.code, "too_many_parked");
    for said in ["fragile", "account/c", "read.parked_aggregates_max", "Fold(13) on purpose"] {
        assert!(reason.detail.contains(said), "{said}: {}", reason.detail);
    }
    let key = Key::new("c").expect("key");
    let waited = app.0.views().get("fragile", &key, &last.position.into(), Duration::ZERO).await;
    assert!(matches!(waited, Err(QueryError::Behind(_))), "{waited:?}");
    assert_eq!(app.view("c", &last).await.balance, 16, "{} goes on", Accounts::NAME);
    let ReplayState::Failed { error } = app.replay(Some("fragile")).await.state else {
        panic!("a replay meets the same");
    };
    assert!(error.contains("read.parked_aggregates_max"), "{error}");

    traps.clear(Trap::Fold(13));
    let id = app.0.views().parked()[0].id.clone();
    app.0.views().retry_parked(&id).await.expect("it can be folded now");
    assert_eq!(deposits(&app, "c", last.position).await, Some(vec![1, 13, 2]));
    assert_eq!(app.0.views().parked().len(), 1);
    app.0.stop().await;
}

/// R2: the other runner knows nothing of the retry, and must not go on from before it.
#[tokio::test(start_paused = true)]
async fn a_retry_is_not_undone_by_another_process() {
    let (log, store, traps) = (log(), store(), Traps::default());
    traps.set(Trap::Fold(13));
    let start = || fragile::start(log.clone(), store.clone(), &traps, Config::defaults());
    let (first, second) = (start().await, start().await);
    let last = fill(&second, "ann", &[1, 13, 2]).await;
    let id = parked(&first, "fragile").await.id;
    assert_eq!(parked(&second, "fragile").await.id, id, "both list it");
    traps.clear(Trap::Fold(13));
    let retried = retried_by(&first, &id).await;
    assert_eq!(retried.applied, 2);
    first.0.stop().await;
    assert_eq!(deposits(&second, "ann", last.position).await, Some(vec![1, 13, 2]));
    let last = second.deposit("ann", 3).await;
    assert_eq!(deposits(&second, "ann", last.position).await, Some(vec![1, 13, 2, 3]));
    assert!(second.0.views().parked().is_empty());
    second.0.stop().await;
}

/// Tries until the process believes to be the one who folds the partition, and is not refused by
/// what the other has committed.
async fn retried_by(app: &Shipped, id: &ParkedId) -> Retried {
    let retrying = async {
        loop {
            match app.0.views().retry_parked(id).await {
                Err(MendError::Busy | MendError::NotFolded) => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                retried => return retried.expect("it can be folded now"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, retrying).await.expect("it folds it in time")
}
