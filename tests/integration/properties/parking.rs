//! Whatever is parked, retried and restarted in whatever order: what is mended in the end is what
//! a replay gives, and each event is in it once.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use retell::Position;
use retell::adapters::SystemClock;
use retell::adapters::memory::{MemoryLog, MemoryViews};
use retell::config::Config;
use retell::read::{MendError, ReplayState};

use crate::support::fragile::{self, Trap, Traps, deposits};
use crate::support::on_paused_time;
use crate::support::shipped::Shipped;
use crate::support::writers::partitions;

#[derive(Clone, Debug)]
enum Step {
    Deposit(u8, i64),
    Set(i64),
    Clear(i64),
    /// All that is parked, whether it can be folded or not.
    Retry,
    Restart,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// R1, R2.
    #[test]
    fn what_was_parked_and_mended_is_as_if_it_never_was(steps in vec(step(), 1..60)) {
        on_paused_time(live(steps))?;
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..3_u8, 1..6_i64).prop_map(|(id, amount)| Step::Deposit(id, amount)),
        2 => (1..6_i64).prop_map(Step::Set),
        2 => (1..6_i64).prop_map(Step::Clear),
        2 => Just(Step::Retry),
        1 => Just(Step::Restart),
    ]
}

async fn live(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let log = Arc::new(MemoryLog::new(partitions(2), Arc::new(SystemClock)));
    let store = Arc::new(MemoryViews::new(Arc::new(SystemClock)));
    let traps = Traps::default();
    let start = || fragile::start(log.clone(), store.clone(), &traps, Config::defaults());
    let mut app = start().await;
    let mut expected: BTreeMap<u8, (Vec<i64>, Position)> = BTreeMap::new();
    for step in steps {
        match step {
            Step::Deposit(id, amount) => {
                let name = format!("a{id}");
                if !expected.contains_key(&id) {
                    app.open(&name, "Ann").await;
                }
                let position = app.deposit(&name, amount).await.position;
                let (amounts, last) = expected.entry(id).or_insert((Vec::new(), position));
                amounts.push(amount);
                *last = position;
            }
            Step::Set(amount) => traps.set(Trap::Fold(amount)),
            Step::Clear(amount) => traps.clear(Trap::Fold(amount)),
            Step::Retry => retry_all(&app).await?,
            Step::Restart => {
                app.0.stop().await;
                app = start().await;
            }
        }
    }
    (1..6).for_each(|amount| traps.clear(Trap::Fold(amount)));
    for (id, (_, last)) in &expected {
        drop(deposits(&app, &format!("a{id}"), *last).await); // it is parked by now, or never
    }
    retry_all(&app).await?;
    prop_assert!(app.0.views().parked().is_empty());
    for replayed in [false, true] {
        for (id, (amounts, last)) in &expected {
            let found = deposits(&app, &format!("a{id}"), *last).await;
            prop_assert_eq!(found.as_ref(), Some(amounts), "of {}, replayed: {}", id, replayed);
        }
        prop_assert_eq!(app.replay(Some("fragile")).await.state, ReplayState::Done);
    }
    app.0.stop().await;
    Ok(())
}

async fn retry_all(app: &Shipped) -> Result<(), TestCaseError> {
    for parked in app.0.views().parked() {
        match app.0.views().retry_parked(&parked.id).await {
            Ok(_) | Err(MendError::StillParked { .. } | MendError::Unknown(_)) => {}
            Err(MendError::NotFolded) => {} // it was just started
            Err(error) => prop_assert!(false, "{}", error),
        }
    }
    Ok(())
}
