//! More aggregates than fit in memory: who finds no room, and who waits for a state in vain.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use retell::adapters::SystemClock;
use retell::adapters::memory::MemoryLog;
use retell::commands::Account;
use retell::ports::EventLog;
use retell::write::{CommandError, Failure};
use retell::{Partition, Version};

use crate::support::shelf::Shelf;
use crate::support::writers::{Writers, kind, partitions, write_config};

fn log() -> MemoryLog {
    MemoryLog::new(partitions(1), Arc::new(SystemClock))
}

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("a{i}")).collect()
}

/// A writer that has no reason of its own to store anything within a minute.
async fn start(log: &MemoryLog, shelf: &Shelf, cached: usize) -> Writers {
    let mut config = write_config();
    config.cached_aggregates_max = cached;
    config.commit_interval = Duration::from_secs(60);
    let (log, store) = (Arc::new(log.clone()), Arc::new(shelf.clone()));
    Writers::start_on(log, store, "a", config, |ids| vec![kind::<Account>(ids)]).owner().await
}

/// L8: not until states are stored anyway, but as soon as they can be.
#[tokio::test(start_paused = true)]
async fn who_finds_no_room_waits_until_states_are_stored() {
    let (log, shelf, ids) = (log(), Shelf::new(), ids(40));
    let writers = start(&log, &shelf, 4).await;
    let began = tokio::time::Instant::now();
    let opened = join_all(ids.iter().map(|id| writers.open(id))).await;
    assert!(opened.iter().all(|done| done.version == Version(1)));
    let deposited = join_all(ids.iter().map(|id| writers.deposit(id, 5))).await;
    assert!(deposited.iter().all(Result::is_ok), "{deposited:?}");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    shelf.set_down(true);
    let turned_away = join_all(ids.iter().map(|id| writers.deposit(id, 5))).await;
    let is_right = |answer: &_| {
        use Failure::{CacheFull, StateUnavailable};
        matches!(answer, Ok(_) | Err(CommandError::Failed(StateUnavailable(_) | CacheFull { .. })))
    };
    assert!(turned_away.iter().all(is_right), "{turned_away:?}");
    shelf.set_down(false);
    writers.stop().await;
}

/// L3: whoever waits for a state may be told that nothing was done, and then nothing is.
#[tokio::test(start_paused = true)]
async fn a_state_that_is_read_too_slowly_is_not_decided_on() {
    let (log, shelf, ids) = (log(), Shelf::new(), ids(3));
    let first = start(&log, &shelf, 1_000).await;
    join_all(ids.iter().map(|id| first.open(id))).await;
    first.stop().await;
    let writers = start(&log, &shelf, 1_000).await;
    let end = log.end(Partition(0)).await.expect("end");
    shelf.slow_down(15_000);
    let late = join_all((0..3).map(|_| writers.deposit(&ids[0], 5))).await;
    for answer in late {
        let is_told = matches!(&answer, Err(CommandError::Failed(Failure::StateUnavailable(_))));
        assert!(is_told, "{answer:?}");
    }
    shelf.slow_down(0);
    writers.until("read", |it| it.aggregates == 1).await;
    assert_eq!(log.end(Partition(0)).await.expect("end"), end);
    assert_eq!(writers.deposit(&ids[0], 5).await.expect("deposited").version, Version(2));
    writers.stop().await;
}
