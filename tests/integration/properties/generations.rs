//! Replay equals live: whatever is written, killed, replayed, rolled back and lost, in any order,
//! in the end every view is what the log makes of it.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use retell::adapters::SystemClock;
use retell::adapters::memory::{MemoryLog, MemoryViews};
use retell::config::Config;
use retell::read::{ReplayOptions, ReplayState, VerificationState};

use crate::support::on_paused_time;
use crate::support::shipped::Shipped;
use crate::support::stuck::Stuck;
use crate::support::writers::partitions;

#[derive(Clone, Debug)]
enum Step {
    Open(u8),
    Deposit(u8, u8),
    /// Starts a replay, and goes on at once.
    Replay,
    Replayed,
    RollBack,
    Verify,
    /// Ends in the middle of whatever it does.
    Kill,
    /// The same in the middle of this flush of a replay.
    KillInFlush(u64),
    Stop,
    Empty,
    SetBack,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// R1, R2.
    #[test]
    fn replay_equals_live(steps in vec(step(), 1..60)) {
        on_paused_time(live(steps))?;
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..12_u8).prop_map(Step::Open),
        12 => (0..12_u8, 1..50_u8).prop_map(|(id, amount)| Step::Deposit(id, amount)),
        3 => Just(Step::Replay),
        2 => Just(Step::Replayed),
        2 => Just(Step::RollBack),
        1 => Just(Step::Verify),
        2 => Just(Step::Kill),
        2 => (0..6_u64).prop_map(Step::KillInFlush),
        1 => Just(Step::Stop),
        1 => Just(Step::Empty),
        1 => Just(Step::SetBack),
    ]
}

async fn live(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let log = Arc::new(MemoryLog::new(partitions(2), Arc::new(SystemClock)));
    let store = MemoryViews::new(Arc::new(SystemClock)).with_changes_max(16);
    let start = || Shipped::start_with(log.clone(), Arc::new(store.clone()), small());
    let mut app = start().await;
    let (mut opened, mut expected) = ([false; 12], [0_i64; 12]);
    let mut earlier = store.snapshot();
    for step in steps {
        match step {
            Step::Open(id) if !opened[usize::from(id)] => {
                app.open(&format!("a{id}"), "Ann").await;
                opened[usize::from(id)] = true;
            }
            Step::Deposit(id, amount) if opened[usize::from(id)] => {
                app.deposit(&format!("a{id}"), amount.into()).await;
                expected[usize::from(id)] += i64::from(amount);
            }
            Step::Open(_) | Step::Deposit(..) => {}
            Step::Replay => drop(app.0.replays().start(None, ReplayOptions::default())),
            Step::Replayed => replayed(&app).await?,
            Step::RollBack => drop(app.0.operations().roll_back("accounts").await),
            Step::Verify => drop(app.0.verifications().start(None)),
            Step::Kill => {
                drop(app);
                app = start().await;
            }
            Step::KillInFlush(flushes) => {
                drop(app);
                killed_in_flush(&log, &store, flushes).await;
                app = start().await;
            }
            Step::Stop => {
                app.0.stop().await;
                app = start().await;
            }
            Step::Empty => store.clear(),
            Step::SetBack => {
                let now = store.snapshot();
                store.restore(&earlier);
                earlier = now;
            }
        }
    }
    ends_equal(&app).await?;
    for (id, expected) in (0..).zip(expected).filter(|(id, _)| opened[*id]) {
        let done = app.deposit(&format!("a{id}"), 1).await;
        prop_assert_eq!(app.view(&format!("a{id}"), &done).await.balance, expected + 1);
    }
    app.0.stop().await;
    Ok(())
}

/// Limits so small that histories meet them.
fn small() -> Config {
    let mut config = Config::defaults();
    config.replay.memory_bytes_max = 4_096;
    config.read.cached_views_max = 4;
    config.read.chunk_records_max = 5;
    config
}

async fn replayed(app: &Shipped) -> Result<(), TestCaseError> {
    if let Ok(id) = app.0.replays().start(None, ReplayOptions::default()) {
        let ended = app.ended(id).await;
        prop_assert_eq!(ended.state, ReplayState::Done);
    }
    Ok(())
}

/// A process that replays, and is killed in the middle of a flush, or when it has done enough.
async fn killed_in_flush(log: &Arc<MemoryLog>, store: &MemoryViews, flushes: u64) {
    let stuck = Stuck::after(store.clone(), flushes);
    let app = Shipped::start_with(log.clone(), Arc::new(stuck.clone()), small()).await;
    drop(app.0.replays().start(None, ReplayOptions::default()));
    let long_enough = std::time::Duration::from_secs(3);
    drop(tokio::time::timeout(long_enough, stuck.stuck.notified()).await);
    drop(app);
}

/// Verifies until nothing is being built any more.
async fn ends_equal(app: &Shipped) -> Result<(), TestCaseError> {
    for _ in 0..100 {
        let Ok(id) = app.0.verifications().start(None) else {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        let found = app.verified(id).await;
        match found.state {
            VerificationState::Equal => return Ok(()),
            VerificationState::Failed { .. } => {
                tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            }
            _ => prop_assert!(false, "{found:?}"),
        }
    }
    prop_assert!(false, "it can never be verified");
    Ok(())
}
