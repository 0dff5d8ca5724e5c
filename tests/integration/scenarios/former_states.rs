//! Binaries with other schemas of a state, one after the other on one store.

use std::sync::Arc;
use std::time::Duration;

use retell::Partition;
use retell::adapters::SystemClock;
use retell::adapters::memory::MemoryLog;
use retell::ports::{Pointer, Space, ViewStore};
use retell::write::SendOptions;
use uuid::Uuid;

use crate::support::shelf::Shelf;
use crate::support::stock::{Stock, StockCommand};
use crate::support::writers::{PATIENCE, Writers, kind, partitions, write_config};

/// Lets a binary of this schema add to its stock, and leave its states.
async fn live<const SCHEMA: u32>(log: &MemoryLog, shelf: &Shelf, keep: Duration) -> Writers {
    let mut config = write_config();
    config.commit_interval = Duration::from_millis(2);
    config.keep_states = keep;
    let (log, store) = (Arc::new(log.clone()), Arc::new(shelf.clone()));
    let kinds = |ids: &_| vec![kind::<Stock<SCHEMA>>(ids)];
    let writers = Writers::start_on(log, store, "a", config, kinds).owner().await;
    let add = StockCommand::Add { pieces: 1 };
    writers.commands.send::<Stock<SCHEMA>>("s", add, SendOptions::default()).await.expect("added");
    writers.until("stored", |it| it.behind == 0).await;
    writers
}

/// What the store notes, once it is as wanted.
async fn noted(shelf: &Shelf, wanted: impl Fn(&Pointer) -> bool) -> Pointer {
    let waiting = async {
        loop {
            let noted = shelf.pointers("state").await.expect("it answers").remove(&0);
            if let Some(noted) = noted.filter(&wanted) {
                return noted;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it is noted in time")
}

/// Whether the states of a generation are there.
async fn has(shelf: &Shelf, generation: Option<Uuid>) -> bool {
    let space = Space::new("state", generation.expect("one"), Partition(0));
    let (state, _) = shelf.read(&space, &[]).await.expect("it answers");
    state.checkpoint().is_some()
}

#[tokio::test]
async fn states_of_another_schema_are_dropped_when_their_time_is_over() {
    let (hour, at_once) = (Duration::from_hours(1), Duration::ZERO);
    for (keep, is_kept) in [(hour, true), (at_once, false)] {
        let log = MemoryLog::new(partitions(1), Arc::new(SystemClock));
        let shelf = Shelf::new();
        let first = live::<1>(&log, &shelf, keep).await;
        let old = noted(&shelf, |noted| noted.live.is_some()).await.live;
        first.stop().await;
        let second = live::<2>(&log, &shelf, keep).await;
        let is_new = |noted: &Pointer| noted.live != old && noted.previous.is_some() == is_kept;
        let new = noted(&shelf, is_new).await.live;
        second.stop().await;
        assert_eq!((has(&shelf, old).await, has(&shelf, new).await), (is_kept, true));
    }
}

/// Two schemas back is further than anybody goes.
#[tokio::test]
async fn only_the_states_before_are_kept() {
    let log = MemoryLog::new(partitions(1), Arc::new(SystemClock));
    let (shelf, hour) = (Shelf::new(), Duration::from_hours(1));
    let mut all = vec![None];
    for schema in [1, 2, 5] {
        let writers = match schema {
            1 => live::<1>(&log, &shelf, hour).await,
            2 => live::<2>(&log, &shelf, hour).await,
            _ => live::<5>(&log, &shelf, hour).await,
        };
        let last = *all.last().expect("the last one");
        all.push(noted(&shelf, |noted| noted.live != last).await.live);
        writers.stop().await;
    }
    let mut there = Vec::new();
    for generation in &all[1..] {
        there.push(has(&shelf, *generation).await);
    }
    assert_eq!(there, [false, true, true]);
}
