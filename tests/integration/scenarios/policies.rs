//! What follows from an event is issued once, whatever is lost, doubled or in the way.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use retell::commands::{Account, AccountCommand};
use retell::config::Config;
use retell::events::account::AccountEvent;
use retell::log::Checkpoint;
use retell::ports::{Bookmarks, LogError};
use retell::react::policies::PolicyState;
use retell::read::ReplayState;
use retell::{Instruction, Partition, Policy, Recorded, Sources};
use serde_json::json;

use crate::support::app::TestApp;
use crate::support::mirror::{Mirror, MirrorOfAll, World, mirrored, policy_is};
use crate::support::shipped::Shipped;
use crate::support::writers::PATIENCE;

const ACCOUNTS: usize = 20;

/// Opens accounts and pays `amount` into each, all at once.
async fn pay(app: &Shipped, amount: i64, opens: bool) {
    let each = (0..ACCOUNTS).map(|i| async move {
        let id = format!("a{i}");
        if opens {
            app.open(&id, "Ann").await;
        }
        app.deposit(&id, amount).await;
    });
    futures_util::future::join_all(each).await;
}

async fn all_mirrored(app: &Shipped, balance: i64) {
    for i in 0..ACCOUNTS {
        mirrored(app, &format!("a{i}"), balance).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_follows_from_each_event_is_issued_once_and_in_order() {
    let world = World::new();
    let app = world.start(Mirror::default()).await;
    pay(&app, 5, true).await;
    pay(&app, 7, false).await;
    all_mirrored(&app, 12).await;
    app.0.stop().await;
    world.check_issued(3 * ACCOUNTS).await;
}

/// Gives to who opens an account: several commands from one event.
struct Gifts;

impl Policy for Gifts {
    const NAME: &'static str = Mirror::NAME;

    fn sources(&self) -> Sources {
        Sources::default().and::<Account>()
    }

    fn react(&self, recorded: &Recorded<'_>) -> Vec<Instruction> {
        let Some(AccountEvent::AccountOpened { owner }) = recorded.event::<Account>() else {
            return Vec::new();
        };
        if recorded.id().ends_with(".mirror") {
            return Vec::new();
        }
        let to =
            |command| Instruction::to::<Account>(format!("{}.mirror", recorded.id()), &command);
        let gifts = [1, 2, 2].map(|amount| to(AccountCommand::DepositMoney { amount }));
        [to(AccountCommand::OpenAccount { owner: owner.clone() })]
            .into_iter()
            .chain(gifts)
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_follows_from_one_event_is_issued_each_once_and_in_order() {
    let mut world = World::new();
    let app = world.start(Gifts).await;
    app.open("ann", "Ann").await;
    mirrored(&app, "ann", 5).await;
    app.0.stop().await;
    world = world.with_empty_store();
    let app = world.start(Gifts).await;
    app.open("bob", "Bob").await;
    mirrored(&app, "bob", 5).await;
    mirrored(&app, "ann", 5).await;
    app.0.stop().await;
    world.check_issued(2 * 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_goes_on_where_it_stood_after_a_restart() {
    let world = World::new();
    for round in 1..=3 {
        let app = world.start(Mirror::default()).await;
        pay(&app, 5, round == 1).await;
        // It is stopped in the middle of what follows.
        app.0.stop().await;
    }
    let app = world.start(Mirror::default()).await;
    all_mirrored(&app, 15).await;
    app.0.stop().await;
    world.check_issued(4 * ACCOUNTS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_store_makes_a_policy_repeat_and_skip_nothing() {
    let mut world = World::new();
    for round in 1..=3 {
        let app = world.start(Mirror::default()).await;
        pay(&app, 5, round == 1).await;
        app.0.stop().await;
        world = world.with_empty_store();
    }
    let app = world.start(Mirror::default()).await;
    all_mirrored(&app, 15).await;
    app.0.stop().await;
    world.check_issued(4 * ACCOUNTS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_set_back_under_a_policy_makes_it_repeat_and_skip_nothing() {
    let world = World::new();
    let app = world.start(Mirror::default()).await;
    pay(&app, 5, true).await;
    all_mirrored(&app, 5).await;
    let before = world.store.snapshot();
    pay(&app, 5, false).await;
    all_mirrored(&app, 10).await;
    world.store.restore(&before);
    pay(&app, 5, false).await;
    all_mirrored(&app, 15).await;
    app.0.stop().await;
    world.check_issued(4 * ACCOUNTS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_that_run_a_policy_issue_each_command_once() {
    let world = World::new();
    let first = world.start(Mirror::default()).await;
    pay(&first, 5, true).await;
    // The second takes the partitions over, and the first still runs the policy.
    let second = world.start(Mirror::default()).await;
    pay(&second, 5, false).await;
    all_mirrored(&second, 10).await;
    policy_is(&first, |state| *state == PolicyState::StandingBy).await;
    pay(&second, 5, false).await;
    all_mirrored(&second, 15).await;
    first.0.stop().await;
    second.0.stop().await;
    world.check_issued(4 * ACCOUNTS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_always_fails_for_one_aggregate_delays_no_other() {
    let world = World::new();
    let policy = Mirror::default();
    policy.trap(13);
    let app = world.start(policy.clone()).await;
    app.open("bad", "Ann").await;
    for amount in [1, 13] {
        app.deposit("bad", amount).await;
    }
    let held_back = async {
        while app.0.policies().parked().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, held_back).await.expect("it is held back");
    // What comes later for the same aggregate waits behind it, wherever the policy is by then.
    for amount in [2, 3] {
        app.deposit("bad", amount).await;
    }
    pay(&app, 5, true).await;
    all_mirrored(&app, 5).await;
    let parked = app.0.policies().parked();
    let [parked] = &parked[..] else { panic!("one aggregate is held back: {parked:?}") };
    assert_eq!((&*parked.projection, parked.aggregate.as_str()), ("policy.mirror", "account/bad"));
    assert!(parked.error.contains("13 on purpose"), "{}", parked.error);
    assert!(parked.event.data.contains(r#""amount":13"#), "{}", parked.event.data);
    mirrored(&app, "bad", 1).await;
    policy.mend();
    mirrored(&app, "bad", 19).await;
    // More than it may retry goes by, and it was tried again in time.
    app.deposit("bad", 1).await;
    mirrored(&app, "bad", 20).await;
    app.0.stop().await;
    world.check_issued(2 * ACCOUNTS + 6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_back_survives_a_restart_and_an_emptied_store() {
    let mut world = World::new();
    let policy = Mirror::default();
    policy.trap(13);
    for store_is_lost in [false, true] {
        let app = world.start(policy.clone()).await;
        if !store_is_lost {
            app.open("bad", "Ann").await;
            app.deposit("bad", 13).await;
        }
        app.deposit("bad", 2).await;
        pay(&app, 5, !store_is_lost).await;
        all_mirrored(&app, if store_is_lost { 10 } else { 5 }).await;
        app.0.stop().await;
        if store_is_lost {
            world = world.with_empty_store();
        }
    }
    policy.mend();
    let app = world.start(policy).await;
    mirrored(&app, "bad", 17).await;
    app.0.stop().await;
    world.check_issued(3 * ACCOUNTS + 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_that_fail_than_may_be_held_back_stop_the_policy_until_there_is_room() {
    let world = World::new();
    let policy = Mirror::default();
    policy.trap(13);
    let mut config = Config::defaults();
    config.policies.parked_aggregates_max = 2;
    config.policies.retry_delay = Duration::from_millis(5);
    config.policies.retry_delay_max = Duration::from_millis(20);
    config.queries.wait_default = PATIENCE;
    let app = world.builder(config).policy(policy.clone()).build().await.expect("an application");
    let app = Shipped(app);
    pay(&app, 13, true).await;
    policy_is(&app, |state| matches!(state, PolicyState::TooManyParked { .. })).await;
    policy.mend();
    all_mirrored(&app, 13).await;
    app.0.stop().await;
    world.check_issued(2 * ACCOUNTS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_an_outcome_and_holds_nothing_back() {
    let world = World::new();
    let app = world.start(Mirror::default()).await;
    app.open("ann.mirror", "Eve").await;
    app.account("ann.mirror", AccountCommand::CloseAccount {}).await;
    app.open("ann", "Ann").await;
    app.deposit("ann", 5).await;
    app.open("bob", "Bob").await;
    app.deposit("bob", 5).await;
    mirrored(&app, "bob", 5).await;
    // Those for ann may be issued in another partition, and later.
    world.until_issued(4).await;
    assert!(app.0.policies().parked().is_empty());
    app.0.stop().await;
    // The two that were refused are in the log as well.
    world.check_issued(4).await;
}

/// One that is asked about the deposit again panics, and is told of as held back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_asks_no_policy_again() {
    let (world, policy) = (World::new(), Mirror::default());
    let app = world.start(policy.clone()).await;
    app.open("ann", "Ann").await;
    app.deposit("ann", 13).await;
    mirrored(&app, "ann", 13).await;
    policy.trap(13);
    assert_eq!(app.replay(None).await.state, ReplayState::Done);
    app.deposit("ann", 5).await;
    mirrored(&app, "ann", 18).await;
    assert!(app.0.policies().parked().is_empty(), "it was asked again");
    app.0.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_policy_begins_with_what_happens_from_now_on() {
    let world = World::new();
    let app = world.start_without_policies().await;
    app.open("ann", "Ann").await;
    app.deposit("ann", 5).await;
    app.0.stop().await;
    let app = world.start(Mirror::default()).await;
    app.open("ann.mirror", "Ann").await;
    app.deposit("ann", 7).await;
    mirrored(&app, "ann", 7).await;
    app.0.stop().await;
    world.check_issued(1).await;
}

/// Does not answer.
struct Deaf;

#[async_trait]
impl Bookmarks for Deaf {
    async fn find(&self, _: &str, _: Partition) -> Result<Option<Checkpoint>, LogError> {
        Err(LogError::Unavailable("on purpose".to_owned()))
    }

    async fn keep(&self, _: &str, _: Partition, _: &Checkpoint) -> Result<(), LogError> {
        Err(LogError::Unavailable("on purpose".to_owned()))
    }
}

/// "Now" is when its process claimed the log, and not when the policy first looked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_while_a_new_policy_cannot_begin_is_not_skipped() {
    let world = World::new();
    let builder = world.builder(Config::defaults()).bookmarks(Arc::new(Deaf));
    let app = builder.policy(Mirror::default()).build().await.expect("an application");
    let app = Shipped(app);
    app.open("ann", "Ann").await;
    app.deposit("ann", 5).await;
    app.0.stop().await;
    assert_eq!(world.issued().await.len(), 0, "it knew no place to begin at");
    let app = world.start(Mirror::default()).await;
    mirrored(&app, "ann", 5).await;
    app.0.stop().await;
    world.check_issued(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_told_so_begins_with_the_first_event_of_all() {
    let world = World::new();
    let app = world.start_without_policies().await;
    app.open("ann", "Ann").await;
    app.deposit("ann", 5).await;
    app.0.stop().await;
    let app = world.start(MirrorOfAll(Mirror::default())).await;
    app.deposit("ann", 7).await;
    mirrored(&app, "ann", 12).await;
    app.0.stop().await;
    world.check_issued(3).await;
}

/// The message of the original diagrams, and what caused what.
#[tokio::test]
async fn a_message_is_produced_and_consumed_and_the_chain_can_be_followed_by_ids() {
    let app = TestApp::spawn().await;
    let produce = json!({"type": "ProduceMessage", "text": "hello"});
    let produced = app.command("message", "m-1", &produce).await.ok();
    let event = produced.json()["events"][0]["id"].as_str().expect("an id").to_owned();
    let root = produced.json()["command_id"].as_str().expect("an id").to_owned();
    let is_consumed = |answer: &crate::support::app::Answer| {
        answer.status == 200 && answer.json()["status"] == "consumed"
    };
    let view = app.eventually("/projections/messages/m-1", is_consumed).await.json();
    assert_eq!((&view["text"], &view["version"]), (&json!("hello"), &json!(2)));
    let path = "/aggregates/message/m-1/events";
    let history =
        app.eventually(path, |it| it.json()["items"].as_array().is_some_and(|it| it.len() == 2));
    let history = history.await.json();
    let consumed = &history["items"][1];
    assert_eq!(consumed["command_id"], format!("policy:consume-message:{event}:0"));
    assert_eq!(consumed["causation_id"], event);
    assert_eq!(consumed["correlation_id"], root);
    // A view of its own, which need not be as far as the history.
    let is_traced = |it: &crate::support::app::Answer| it.json()["items"][0].is_object();
    let trace = app.eventually(&format!("/traces/{root}"), is_traced).await.json();
    assert_eq!(trace["items"][0]["record"]["command"], "ConsumeMessage", "{trace}");
    app.stop().await.expect("stopped");
}
