//! A writer that is killed and started again anywhere decides as one that never stopped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cqrs_es::event_sink::EventSink;
use futures_util::FutureExt;
use proptest::collection::vec;
use proptest::prelude::*;
use retell::Version;
use retell::adapters::SystemClock;
use retell::adapters::memory::MemoryLog;
use retell::commands::{Account, AccountCommand};
use retell::write::{CommandError, Failure};

use crate::support::on_paused_time;
use crate::support::shelf::Shelf;
use crate::support::writers::{Writers, kind, partitions, write_config};

#[derive(Clone, Debug)]
enum Step {
    Command(u8, AccountCommand),
    /// So that states are stored.
    Wait(u8),
    Kill,
    Stop,
    Empty,
    SetBack,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_restarted_writer_decides_as_one_that_never_stopped(
        steps in vec(step(), 1..80),
        cached in 1..5_usize,
    ) {
        on_paused_time(live(steps, cached))?;
    }
}

fn step() -> impl Strategy<Value = Step> {
    let command = prop_oneof![
        2 => Just(AccountCommand::OpenAccount { owner: "Ann".to_owned() }),
        5 => (1..50_i64).prop_map(|amount| AccountCommand::DepositMoney { amount }),
        4 => (1..90_i64).prop_map(|amount| AccountCommand::WithdrawMoney { amount }),
        1 => Just(AccountCommand::CloseAccount {}),
    ];
    prop_oneof![
        20 => (0..6_u8, command).prop_map(|(id, command)| Step::Command(id, command)),
        4 => (0..30_u8).prop_map(Step::Wait),
        2 => Just(Step::Kill),
        1 => Just(Step::Stop),
        1 => Just(Step::Empty),
        1 => Just(Step::SetBack),
    ]
}

async fn live(steps: Vec<Step>, cached: usize) -> Result<(), TestCaseError> {
    let log = MemoryLog::new(partitions(1), Arc::new(SystemClock));
    let shelf = Shelf::new();
    let start = || async {
        let mut config = write_config();
        config.cached_aggregates_max = cached;
        config.commit_interval = Duration::from_millis(10);
        let (log, store) = (Arc::new(log.clone()), Arc::new(shelf.clone()));
        let writers = Writers::start_on(log, store, "a", config, |ids| vec![kind::<Account>(ids)]);
        writers.owner().await
    };
    let mut writers = start().await;
    let mut never_stopped: BTreeMap<u8, (Account, u64)> = BTreeMap::new();
    let mut earlier = shelf.snapshot();
    for step in steps {
        match step {
            Step::Command(id, command) => {
                let expected = decide(never_stopped.entry(id).or_default(), command.clone());
                let found = answer(&writers, id, command).await;
                prop_assert_eq!(found, expected, "on {}", id);
            }
            Step::Wait(ms) => tokio::time::sleep(Duration::from_millis(ms.into())).await,
            Step::Kill => {
                drop(writers);
                writers = start().await;
            }
            Step::Stop => {
                writers.stop().await;
                writers = start().await;
            }
            Step::Empty => shelf.clear(),
            Step::SetBack => {
                let now = shelf.snapshot();
                shelf.restore(&earlier);
                earlier = now;
            }
        }
    }
    Ok(())
}

/// The version after it, or why it is refused.
type Outcome = Result<Version, String>;

fn decide((account, version): &mut (Account, u64), command: AccountCommand) -> Outcome {
    let sink = EventSink::default();
    let mut next = account.clone();
    let handled = cqrs_es::Aggregate::handle(&mut next, command, &(), &sink).now_or_never();
    handled.expect("it waits for nothing").map_err(|error| error.to_string())?;
    let events = sink.collect().now_or_never().expect("a sink waits for nothing");
    *account = next;
    *version += events.len() as u64;
    Ok(Version(*version))
}

async fn answer(writers: &Writers, id: u8, command: AccountCommand) -> Outcome {
    loop {
        match writers.account(&format!("a{id}"), command.clone()).await {
            Ok(done) => return Ok(done.version),
            Err(CommandError::Refused { error, .. }) => return Err(error.to_string()),
            Err(CommandError::Failed(Failure::CacheFull { .. })) => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}
