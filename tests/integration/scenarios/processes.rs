//! A process goes on where it was, its deadlines too: the transfer of money of the example.

use std::sync::Arc;
use std::time::Duration;

use retell::adapters::SystemClock;
use retell::adapters::memory::ManualClock;
use retell::app::{App, AppBuilder};
use retell::commands::{Account, AccountCommand};
use retell::config::Config;
use retell::ports::{Clock, EventLog, LogRecord, ViewStore};
use retell::projections::Accounts;
use retell::write::SendOptions;
use retell::{Offset, Positions, Target, Time};
use uuid::Uuid;

use crate::support::kafka::{new_log, shared_brokers};
use crate::support::log_config;
use crate::support::mirror::World;
use crate::support::redis::{shared_url, views};
use crate::support::transfer::{
    ACCEPT_WITHIN, MoneyTransfer, Transfer, TransferCommand, Transfers,
};
use crate::support::writers::PATIENCE;

fn world() -> (World, ManualClock) {
    let clock = ManualClock::new(Time::from_millis(1_767_225_600_000));
    (World::with_clock(Arc::new(clock.clone())), clock)
}

async fn start(builder: AppBuilder) -> App {
    let app = builder.aggregate::<Transfer>(()).projection(Transfers).process(MoneyTransfer);
    app.build().await.expect("an application")
}

async fn start_in(world: &World) -> App {
    let mut config = Config::defaults();
    config.policies.bookmark_interval = Duration::from_millis(1);
    start(world.builder(config)).await
}

async fn account(app: &App, id: &str, command: AccountCommand) {
    let sent = app.commands().send::<Account>(id, command, SendOptions::default()).await;
    sent.expect("done");
}

async fn transfer(app: &App, command: TransferCommand) {
    let sent = app.commands().send::<Transfer>("rent", command, SendOptions::default()).await;
    sent.expect("done");
}

/// Opens two accounts, one with 500, and orders 200 to go from it to the other.
async fn begin(app: &App) {
    for id in ["ann", "bob"] {
        account(app, id, AccountCommand::OpenAccount { owner: id.to_owned() }).await;
    }
    account(app, "ann", AccountCommand::DepositMoney { amount: 500 }).await;
    let (from, to) = ("ann".to_owned(), "bob".to_owned());
    transfer(app, TransferCommand::Start { from, to, amount: 200 }).await;
    until(app, "Debited").await;
}

/// Waits until this was the last thing that happened to the transfer; says why.
async fn until(app: &App, last: &str) -> Option<String> {
    let looking = async {
        loop {
            match app.view::<Transfers>("rent", Positions::default()).await {
                Ok(Some(view)) if view.last == last => return view.reason,
                _ => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("never {last}"))
}

/// Waits until the process has committed what follows from the last event of the transfer.
async fn until_put_off(app: &App, world: &World) {
    let target = Target::parse(b"transfer/rent").expect("a target");
    let home = world.log.partitions().of("transfer/rent");
    let mut reader = world.log.reader(home, Offset(0)).await.expect("a reader");
    let chunk = reader.next(1_000, 1 << 20).await.expect("a chunk");
    let is_its = |it: &&LogRecord| it.key.as_deref() == Some(target.as_str().as_bytes());
    let last = chunk.records.iter().rfind(is_its).expect("it began").offset;
    let is_behind = || {
        let policies = app.policies().list();
        policies.iter().any(|policy| policy.partitions[home.0 as usize].next <= last)
    };
    let looking = async {
        while is_behind() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("in time");
}

/// Waits until the accounts have these balances.
async fn balances(app: &App, ann: i64, bob: i64) {
    let of = async |id: &str| {
        let view = app.view::<Accounts>(id, Positions::default()).await.ok().flatten();
        view.map(|view| view.balance)
    };
    let looking = async {
        while (of("ann").await, of("bob").await) != (Some(ann), Some(bob)) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("the balances in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_is_met_by_the_process_that_is_there_then() {
    for store_is_lost in [false, true] {
        let (mut world, clock) = world();
        let app = start_in(&world).await;
        begin(&app).await;
        balances(&app, 300, 0).await;
        until_put_off(&app, &world).await;
        app.stop().await;
        if store_is_lost {
            world = world.with_empty_store();
        }
        clock.advance(ACCEPT_WITHIN);
        let app = start_in(&world).await;
        let reason = until(&app, "Failed").await;
        assert_eq!(reason.as_deref(), Some("not accepted in time"));
        balances(&app, 500, 0).await;
        app.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_that_is_over_when_nothing_depends_on_it_changes_nothing() {
    let (world, clock) = world();
    let app = start_in(&world).await;
    begin(&app).await;
    clock.advance(ACCEPT_WITHIN / 2);
    transfer(&app, TransferCommand::Accept {}).await;
    until(&app, "Completed").await;
    clock.advance(ACCEPT_WITHIN);
    // Another transfer that expires shows that the deadline of the first one has been met.
    let (from, to) = ("ann".to_owned(), "bob".to_owned());
    let start = TransferCommand::Start { from, to, amount: 50 };
    let sent = app.commands().send::<Transfer>("tip", start, SendOptions::default()).await;
    sent.expect("done");
    balances(&app, 250, 200).await;
    let expiring = async {
        loop {
            clock.advance(ACCEPT_WITHIN);
            let view = app.view::<Transfers>("tip", Positions::default()).await;
            if view.is_ok_and(|view| view.is_some_and(|view| view.last == "Failed")) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, expiring).await.expect("it expires");
    assert_eq!(until(&app, "Completed").await, None);
    balances(&app, 300, 200).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_too_little_is_told_and_pays_nothing() {
    let (world, _) = world();
    let app = start_in(&world).await;
    for id in ["ann", "bob"] {
        account(&app, id, AccountCommand::OpenAccount { owner: id.to_owned() }).await;
    }
    let (from, to) = ("ann".to_owned(), "bob".to_owned());
    transfer(&app, TransferCommand::Start { from, to, amount: 200 }).await;
    let reason = until(&app, "Failed").await.expect("a reason");
    assert!(reason.contains("200"), "{reason}");
    balances(&app, 0, 0).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_deadlines_survive_restarts_on_kafka_and_redis() {
    let clock = ManualClock::new(SystemClock.now());
    let log: Arc<dyn EventLog> = Arc::new(new_log(&shared_brokers(), &log_config(4)).await);
    let namespace = format!("transfers-{}", Uuid::now_v7());
    let store: Arc<dyn ViewStore> = Arc::new(views(&shared_url(), &namespace));
    let open = || {
        let app = App::builder(Config::defaults()).log(log.clone()).store(store.clone());
        let app = app.clock(Arc::new(clock.clone())).aggregate::<Account>(());
        start(app.projection(Accounts))
    };
    let app = open().await;
    begin(&app).await;
    balances(&app, 300, 0).await;
    app.stop().await;
    clock.advance(2 * ACCEPT_WITHIN);
    let app = open().await;
    until(&app, "Failed").await;
    balances(&app, 500, 0).await;
    app.stop().await;
}
