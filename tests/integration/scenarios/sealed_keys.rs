//! Keys by the hundred in a writer that may hold ten as they are: the rest is in pages of the view
//! store, and a filter says which to look at.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use retell::Position;
use retell::adapters::SystemClock;
use retell::adapters::memory::MemoryLog;
use retell::commands::{Account, AccountCommand};

use crate::support::shelf::Shelf;
use crate::support::writers::{Writers, kind, partitions, write_config};

const KEYS: usize = 300;
const EXACT_MAX: usize = 10;
const DEPOSIT: AccountCommand = AccountCommand::DepositMoney { amount: 5 };

async fn start(log: &MemoryLog, shelf: &Shelf) -> Writers {
    let mut config = write_config();
    config.exact_keys_max = EXACT_MAX;
    config.commit_interval = Duration::from_millis(2);
    let (log, store) = (Arc::new(log.clone()), Arc::new(shelf.clone()));
    Writers::start_on(log, store, "a", config, |ids| vec![kind::<Account>(ids)]).owner().await
}

async fn until_sealed(writers: &Writers) {
    writers.until("sealed", |it| it.exact_outcomes <= EXACT_MAX && it.behind == 0).await;
}

/// Deposits under many keys, all of them sealed; where each was done.
async fn sealed() -> (MemoryLog, Shelf, Writers, Vec<Position>) {
    let log = MemoryLog::new(partitions(1), Arc::new(SystemClock));
    let shelf = Shelf::new();
    let writers = start(&log, &shelf).await;
    writers.open("ann").await;
    let done = deposits(&writers, "k").await;
    until_sealed(&writers).await;
    let positions = done.into_iter().map(|(replayed, position)| {
        assert!(!replayed);
        position
    });
    (log, shelf, writers, positions.collect())
}

/// Whether each was done before, and where.
async fn deposits(writers: &Writers, prefix: &str) -> Vec<(bool, Position)> {
    let keys: Vec<String> = (0..KEYS).map(|number| format!("{prefix}{number}")).collect();
    let done = join_all(keys.iter().map(|key| writers.keyed("ann", DEPOSIT, key))).await;
    let shown = |done: retell::write::Done| (done.replayed, done.position);
    done.into_iter().map(|done| shown(done.expect("deposited"))).collect()
}

fn again(first: &[Position]) -> Vec<(bool, Position)> {
    first.iter().map(|position| (true, *position)).collect()
}

/// L4: by the same writer, and after a restart that reads filters and none of their pages.
#[tokio::test]
async fn sealed_keys_are_known_and_new_ones_cost_no_read() {
    let (log, shelf, writers, first) = sealed().await;
    assert_eq!(deposits(&writers, "k").await, again(&first));
    writers.stop().await;
    let writers = start(&log, &shelf).await;
    writers.until("known", |it| it.outcomes == KEYS && it.exact_outcomes <= EXACT_MAX).await;
    assert_eq!(deposits(&writers, "k").await, again(&first));
    let before = shelf.reads();
    let new = deposits(&writers, "new").await;
    assert!(new.iter().all(|(replayed, _)| !replayed));
    // One in 6,000 and filter is read in vain.
    let reads = shelf.reads() - before;
    assert!(reads <= 20, "{reads} reads for {KEYS} new keys beside 30 filters");
    writers.stop().await;
}

/// L4: what the store lost is made anew from the log, in memory that stays bounded.
#[tokio::test]
async fn keys_are_sealed_again_when_the_store_was_emptied() {
    let (log, shelf, writers, first) = sealed().await;
    writers.stop().await;
    shelf.clear();
    let writers = start(&log, &shelf).await;
    let status = &writers.commands.status()[0];
    assert_eq!(status.outcomes, KEYS);
    assert!(status.exact_outcomes <= 3 * EXACT_MAX, "{status:?}");
    assert_eq!(deposits(&writers, "k").await, again(&first));
    writers.stop().await;
}

/// L4: a store that has lost some of it is not believed.
#[tokio::test]
async fn keys_whose_page_or_filter_is_lost_are_known() {
    let (log, shelf, writers, first) = sealed().await;
    shelf.lose("page:");
    assert_eq!(deposits(&writers, "k").await, again(&first));
    assert_eq!(writers.commands.status()[0].ownership.to_string(), "owner in term 2");
    until_sealed(&writers).await;
    writers.stop().await;
    shelf.lose("filter:");
    let writers = start(&log, &shelf).await;
    assert_eq!(deposits(&writers, "k").await, again(&first));
    assert!(writers.commands.status()[0].records.commits > KEYS as u64, "all was read again");
    writers.stop().await;
}

/// L4: a store that was set back to before they were sealed is read with the log after it.
#[tokio::test]
async fn sealed_keys_are_known_when_the_store_is_set_back() {
    let log = MemoryLog::new(partitions(1), Arc::new(SystemClock));
    let shelf = Shelf::new();
    let writers = start(&log, &shelf).await;
    writers.open("ann").await;
    deposits(&writers, "old").await;
    let earlier = shelf.snapshot();
    let first: Vec<Position> =
        deposits(&writers, "k").await.into_iter().map(|(_, position)| position).collect();
    until_sealed(&writers).await;
    shelf.restore(&earlier);
    assert_eq!(deposits(&writers, "k").await, again(&first));
    writers.stop().await;
    let writers = start(&log, &shelf).await;
    assert_eq!(deposits(&writers, "k").await, again(&first));
    writers.stop().await;
}
