//! Whatever is transferred, accepted, crashed and lost in whatever order: money is neither made
//! nor lost, and every transfer comes to an end.

use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use retell::adapters::memory::ManualClock;
use retell::app::App;
use retell::commands::{Account, AccountCommand};
use retell::config::Config;
use retell::ports::EventLog;
use retell::projections::Accounts;
use retell::write::{CommandError, Failure, SendOptions};
use retell::{Offset, Position, Positions, Time};

use crate::support::mirror::World;
use crate::support::on_paused_time;
use crate::support::transfer::{
    ACCEPT_WITHIN, MoneyTransfer, Transfer, TransferCommand, Transfers,
};
use crate::support::writers::PATIENCE;

const ACCOUNTS: u8 = 4;
const EACH: i64 = 100;

#[derive(Clone, Debug)]
enum Step {
    Start(u8, u8, i64),
    Accept(u8),
    Decline(u8),
    Close(u8),
    /// So many seconds go by.
    Wait(u32),
    /// The process ends in the middle of whatever it does.
    Crash,
    /// The same, and everything that was derived from the log is lost.
    CrashAndLose,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn money_is_neither_made_nor_lost(steps in vec(step(), 1..40)) {
        on_paused_time(live(steps))?;
    }
}

fn step() -> impl Strategy<Value = Step> {
    let account = 0..ACCOUNTS;
    let order = (account.clone(), account.clone(), 1..150_i64);
    prop_oneof![
        6 => order.prop_map(|(from, to, amount)| Step::Start(from, to, amount)),
        4 => (0..40_u8).prop_map(Step::Accept),
        2 => (0..40_u8).prop_map(Step::Decline),
        1 => account.prop_map(Step::Close),
        2 => (1..400_u32).prop_map(Step::Wait),
        3 => Just(Step::Crash),
        1 => Just(Step::CrashAndLose),
    ]
}

async fn start(world: &World) -> App {
    let mut config = Config::defaults();
    config.queries.wait_default = PATIENCE;
    config.policies.bookmark_interval = Duration::from_millis(1);
    let app = world.builder(config).aggregate::<Transfer>(()).projection(Transfers);
    app.process(MoneyTransfer).build().await.expect("an application")
}

/// Sends until it was decided on.
async fn send<A: retell::Aggregate>(app: &App, id: &str, command: A::Command)
where
    A::Command: serde::Serialize + Clone,
{
    loop {
        let options = SendOptions::default();
        match app.commands().send::<A>(id, command.clone(), options).await {
            Err(CommandError::Failed(Failure::OutcomeUnknown)) => return,
            Err(CommandError::Failed(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
            _ => return,
        }
    }
}

async fn live(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let clock = ManualClock::new(Time::from_millis(1_767_225_600_000));
    let mut world = World::with_clock(Arc::new(clock.clone()));
    let mut app = start(&world).await;
    for i in 0..ACCOUNTS {
        let open = AccountCommand::OpenAccount { owner: "Ann".to_owned() };
        send::<Account>(&app, &format!("a{i}"), open).await;
        let pay = AccountCommand::DepositMoney { amount: EACH };
        send::<Account>(&app, &format!("a{i}"), pay).await;
    }
    let mut transfers = 0;
    for step in steps {
        match step {
            Step::Start(from, to, amount) => {
                let (from, to) = (format!("a{from}"), format!("a{to}"));
                let start = TransferCommand::Start { from, to, amount };
                send::<Transfer>(&app, &format!("t{transfers}"), start).await;
                transfers += 1;
            }
            Step::Accept(it) => {
                send::<Transfer>(&app, &format!("t{it}"), TransferCommand::Accept {}).await;
            }
            Step::Decline(it) => {
                send::<Transfer>(&app, &format!("t{it}"), TransferCommand::Decline {}).await;
            }
            Step::Close(it) => {
                send::<Account>(&app, &format!("a{it}"), AccountCommand::CloseAccount {}).await;
            }
            Step::Wait(seconds) => {
                clock.advance(Duration::from_secs(seconds.into()));
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Step::Crash | Step::CrashAndLose => {
                drop(app);
                if matches!(step, Step::CrashAndLose) {
                    world = world.with_empty_store();
                }
                app = start(&world).await;
            }
        }
    }
    let ending = async {
        while !is_over(&app, transfers, &end(&world).await).await {
            clock.advance(ACCEPT_WITHIN);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let ended = tokio::time::timeout(20 * PATIENCE, ending).await;
    prop_assert!(ended.is_ok(), "not over: {:?}", app.policies().list());
    let after = end(&world).await;
    let mut money = 0;
    for i in 0..ACCOUNTS {
        let view = app.view::<Accounts>(&format!("a{i}"), after.clone()).await;
        money += view.expect("a view").expect("an account").balance;
    }
    let last = last(&app, transfers, &after).await.expect("views");
    let stranded: i64 = last.iter().map(|(_, stranded)| stranded).sum();
    prop_assert_eq!(money + stranded, i64::from(ACCOUNTS) * EACH);
    app.stop().await;
    Ok(())
}

/// The end of the log: a view as of it misses nothing.
async fn end(world: &World) -> Positions {
    let mut positions = Positions::default();
    for partition in world.log.partitions().iter() {
        let Offset(end) = world.log.end(partition).await.expect("an end");
        if let Some(last) = end.checked_sub(1) {
            positions.add(Position { partition, offset: Offset(last) });
        }
    }
    positions
}

/// The last event of each transfer that was started, as of these positions.
async fn last(app: &App, transfers: usize, after: &Positions) -> Option<Vec<(String, i64)>> {
    let mut all = Vec::new();
    for i in 0..transfers {
        let view = app.view::<Transfers>(&format!("t{i}"), after.clone()).await.ok()?;
        all.extend(view.map(|view| (view.last, view.stranded)));
    }
    Some(all)
}

async fn is_over(app: &App, transfers: usize, after: &Positions) -> bool {
    let is_last = |last: &str| ["Completed", "Failed", "Stranded"].contains(&last);
    let last = last(app, transfers, after).await;
    last.is_some_and(|all| all.iter().all(|(last, _)| is_last(last)))
}
