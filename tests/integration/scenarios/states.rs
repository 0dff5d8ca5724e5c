//! States in the view store: what a restart reads, what is forgotten and found again, and what
//! happens when the store is emptied, set back, exchanged, or does not answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use retell::adapters::SystemClock;
use retell::adapters::memory::MemoryLog;
use retell::commands::{Account, AccountCommand};
use retell::write::{CommandError, Done, Failure, Ownership, SendOptions, WriterStatus};
use retell::{Aggregate, Version};

use crate::support::shelf::Shelf;
use crate::support::stock::{
    BROKEN_SCHEMA, Stock, StockCommand, UNDECODABLE_SCHEMA, UNSTORABLE_SCHEMA,
};
use crate::support::writers::{Writers, kind, partitions, write_config};

const DEPOSIT: AccountCommand = AccountCommand::DepositMoney { amount: 5 };

fn log() -> MemoryLog {
    MemoryLog::new(partitions(1), Arc::new(SystemClock))
}

fn start<A: Aggregate<Services = ()>>(log: &MemoryLog, shelf: &Shelf, cached: usize) -> Writers {
    let mut config = write_config();
    config.cached_aggregates_max = cached;
    config.commit_interval = Duration::from_millis(2);
    let (log, store) = (Arc::new(log.clone()), Arc::new(shelf.clone()));
    Writers::start_on(log, store, "a", config, |ids| vec![kind::<A>(ids)])
}

async fn accounts(log: &MemoryLog, shelf: &Shelf, cached: usize) -> Writers {
    start::<Account>(log, shelf, cached).owner().await
}

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("a{i}")).collect()
}

fn status(writers: &Writers) -> WriterStatus {
    writers.commands.status().remove(0)
}

/// Waits until a writer is as wanted.
async fn until(writers: &Writers, what: &str, wanted: impl Fn(&WriterStatus) -> bool) {
    writers.until(what, wanted).await;
}

async fn until_stored(writers: &Writers) {
    until(writers, "stored", |it| it.ownership.is_owner() && it.behind == 0).await;
}

/// Sends a command until there is room for its aggregate.
async fn send(writers: &Writers, id: &str, command: AccountCommand) -> Done {
    loop {
        match writers.account(id, command.clone()).await {
            Err(CommandError::Failed(Failure::CacheFull { .. })) => until_stored(writers).await,
            answer => return answer.expect("done"),
        }
    }
}

async fn open_all(writers: &Writers, ids: &[String]) {
    for id in ids {
        send(writers, id, AccountCommand::OpenAccount { owner: "Ann".to_owned() }).await;
    }
}

async fn deposit_all(writers: &Writers, ids: &[String], version: u64) {
    for id in ids {
        assert_eq!(send(writers, id, DEPOSIT).await.version, Version(version), "{id}");
    }
}

#[tokio::test]
async fn a_restart_folds_only_what_was_not_stored() {
    let (log, shelf, ids) = (log(), Shelf::new(), ids(50));
    let first = accounts(&log, &shelf, 1_000).await;
    open_all(&first, &ids).await;
    until_stored(&first).await;
    shelf.set_down(true);
    deposit_all(&first, &ids[..3], 2).await;
    drop(first);
    shelf.set_down(false);
    let second = accounts(&log, &shelf, 1_000).await;
    let records = status(&second).records;
    assert_eq!((records.commits, records.claims), (3, 1), "the tail, and its own claim");
    deposit_all(&second, &ids[..3], 3).await;
    deposit_all(&second, &ids[3..], 2).await;
    // Those of the tail were read with it.
    until(&second, "counted", |it| it.misses == 47).await;
    second.stop().await;
}

#[tokio::test]
async fn what_is_forgotten_is_found_again() {
    let (log, shelf, ids) = (log(), Shelf::new(), ids(40));
    let writers = accounts(&log, &shelf, 4).await;
    open_all(&writers, &ids).await;
    deposit_all(&writers, &ids, 2).await;
    deposit_all(&writers, &ids, 3).await;
    until_stored(&writers).await;
    until(&writers, "counted", |it| it.misses >= 72).await;
    let status = status(&writers);
    assert!(status.aggregates <= 4, "{status:?}");
    assert_eq!(status.ownership.to_string(), "owner in term 1", "nothing had to be read again");
    writers.stop().await;
}

#[tokio::test]
async fn all_that_is_missed_at_once_is_read_at_once() {
    let (log, shelf, ids) = (log(), Shelf::new(), ids(20));
    let first = accounts(&log, &shelf, 1_000).await;
    open_all(&first, &ids).await;
    first.stop().await;
    let second = accounts(&log, &shelf, 1_000).await;
    let before = shelf.reads();
    let twice = ids.iter().chain(&ids).map(|id| second.deposit(id, 5));
    let done = join_all(twice).await;
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    assert_eq!(shelf.reads() - before, 1);
    until(&second, "counted", |it| it.misses == 20).await;
    second.stop().await;
}

/// What a store may hold all of a sudden.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Emptied,
    SetBack,
    OfAnotherLog,
}

const TROUBLES: [Trouble; 3] = [Trouble::Emptied, Trouble::SetBack, Trouble::OfAnotherLog];

/// Accounts `a0` to `a19` in version 2, half of them older than the store after the trouble.
async fn in_trouble(trouble: Trouble, restarts: bool) -> (Shelf, Writers) {
    let (log, shelf, ids) = (log(), Shelf::new(), ids(20));
    let writers = accounts(&log, &shelf, 4).await;
    open_all(&writers, &ids).await;
    until_stored(&writers).await;
    let earlier = shelf.snapshot();
    deposit_all(&writers, &ids, 2).await;
    until_stored(&writers).await;
    let writers = match restarts {
        true => {
            writers.stop().await;
            None
        }
        false => Some(writers),
    };
    match trouble {
        Trouble::Emptied => shelf.clear(),
        Trouble::SetBack => shelf.restore(&earlier),
        Trouble::OfAnotherLog => {
            let (log, other) = (self::log(), Shelf::new());
            let foreign = accounts(&log, &other, 1_000).await;
            open_all(&foreign, &ids).await;
            for version in 2..5 {
                deposit_all(&foreign, &ids, version).await;
            }
            foreign.stop().await;
            shelf.restore(&other.snapshot());
        }
    }
    let writers = match writers {
        Some(writers) => writers,
        None => accounts(&log, &shelf, 4).await,
    };
    (shelf, writers)
}

#[tokio::test]
async fn a_store_that_lost_or_changed_its_contents_is_rebuilt_while_writing() {
    for trouble in TROUBLES {
        let (_, writers) = in_trouble(trouble, false).await;
        deposit_all(&writers, &ids(20), 3).await;
        until_stored(&writers).await;
        let term = Ownership::Owner { term: retell::log::Term(2) };
        assert_eq!(status(&writers).ownership, term, "{trouble:?} was not noticed once");
        deposit_all(&writers, &ids(20), 4).await;
        writers.stop().await;
    }
}

#[tokio::test]
async fn a_store_that_lost_or_changed_its_contents_is_rebuilt_at_a_restart() {
    for (trouble, commits) in TROUBLES.into_iter().zip([40, 20, 40]) {
        let (_, writers) = in_trouble(trouble, true).await;
        assert_eq!(status(&writers).records.commits, commits, "{trouble:?}");
        deposit_all(&writers, &ids(20), 3).await;
        writers.stop().await;
    }
}

#[tokio::test]
async fn more_aggregates_than_fit_are_rebuilt_in_the_room_there_is() {
    let (log, ids) = (log(), ids(300));
    let first = accounts(&log, &Shelf::new(), 1_000).await;
    open_all(&first, &ids).await;
    first.stop().await;
    let second = accounts(&log, &Shelf::new(), 8).await;
    assert!(status(&second).aggregates <= 8, "{:?}", status(&second));
    deposit_all(&second, &ids, 2).await;
    assert!(status(&second).aggregates <= 8, "{:?}", status(&second));
    second.stop().await;
}

async fn count<const SCHEMA: u32>(writers: &Writers) -> u32 {
    let count = StockCommand::Count {};
    let counted = writers.commands.send::<Stock<SCHEMA>>("s", count, SendOptions::default()).await;
    match counted {
        Err(CommandError::Refused { error, .. }) => error.0,
        other => panic!("{other:?}"),
    }
}

async fn add<const SCHEMA: u32>(writers: &Writers) {
    let add = StockCommand::Add { pieces: 7 };
    let added = writers.commands.send::<Stock<SCHEMA>>("s", add, SendOptions::default()).await;
    added.expect("added");
}

#[tokio::test]
async fn a_changed_schema_is_a_state_made_anew() {
    let (log, shelf) = (log(), Shelf::new());
    let first = start::<Stock<1>>(&log, &shelf, 10).owner().await;
    add::<1>(&first).await;
    first.stop().await;
    let second = start::<Stock<2>>(&log, &shelf, 10).owner().await;
    assert_eq!(count::<2>(&second).await, 14);
    second.stop().await;
    let back = start::<Stock<1>>(&log, &shelf, 10).owner().await;
    assert_eq!(count::<1>(&back).await, 7, "the other schema's states are still there");
    assert_eq!(status(&back).records.commits, 0);
    back.stop().await;
}

/// L7: it holds back its aggregate, also after a restart, and nothing else; another schema of the
/// state mends it.
#[tokio::test]
async fn a_state_that_cannot_be_stored_holds_back_its_aggregate_only() {
    const SCHEMA: u32 = UNSTORABLE_SCHEMA;
    let (log, shelf) = (log(), Shelf::new());
    let first = start::<Stock<SCHEMA>>(&log, &shelf, 10).owner().await;
    let add = async |writers: &Writers, id: &str, pieces| {
        let add = StockCommand::Add { pieces };
        writers.commands.send::<Stock<SCHEMA>>(id, add, SendOptions::default()).await
    };
    add(&first, "large", 11).await.expect("added");
    add(&first, "small", 1).await.expect("added");
    until(&first, "held back", |it| it.unreadable == 1 && it.behind == 0).await;
    let second = start::<Stock<SCHEMA>>(&log, &shelf, 10);
    for (writers, version) in [(first, 2), (second, 3)] {
        let writers = writers.owner().await;
        let refused = add(&writers, "large", 1).await;
        let Err(CommandError::Failed(Failure::HistoryUnreadable { detail, .. })) = refused else {
            panic!("{refused:?}");
        };
        assert!(detail.contains("too many to be told"), "{detail}");
        let added = add(&writers, "small", 1).await.expect("another one");
        assert_eq!(added.version, Version(version));
        until_stored(&writers).await;
        writers.stop().await;
    }
    let mended = start::<Stock<5>>(&log, &shelf, 10).owner().await;
    let more = StockCommand::Add { pieces: 1 };
    let more = mended.commands.send::<Stock<5>>("large", more, SendOptions::default()).await;
    assert_eq!(more.expect("added").version, Version(2));
    mended.stop().await;
}

#[tokio::test]
async fn a_state_that_does_not_decode_is_made_anew() {
    let (log, shelf) = (log(), Shelf::new());
    let first = start::<Stock<3>>(&log, &shelf, 10).owner().await;
    add::<3>(&first).await;
    first.stop().await;
    BROKEN_SCHEMA.store(3, Ordering::SeqCst);
    let second = start::<Stock<3>>(&log, &shelf, 10).owner().await;
    assert_eq!(count::<3>(&second).await, 7);
    assert_eq!(status(&second).records.commits, 1, "the log was read from its beginning");
    second.stop().await;
}

/// L7: when reading the log again does not help, its aggregate alone is held back.
#[tokio::test]
async fn a_state_that_never_decodes_is_made_anew_once() {
    const SCHEMA: u32 = UNDECODABLE_SCHEMA;
    let (log, shelf) = (log(), Shelf::new());
    let writers = start::<Stock<SCHEMA>>(&log, &shelf, 2).owner().await;
    let add = async |id: &str| {
        let add = StockCommand::Add { pieces: 1 };
        writers.commands.send::<Stock<SCHEMA>>(id, add, SendOptions::default()).await
    };
    // The third has room when the first is forgotten.
    for id in ["s", "t", "u"] {
        add(id).await.expect("added");
    }
    let unreadable = add("s").await;
    let Err(CommandError::Failed(Failure::HistoryUnreadable { .. })) = unreadable else {
        panic!("{unreadable:?}");
    };
    assert_eq!(status(&writers).ownership.to_string(), "owner in term 2");
    assert_eq!(add("u").await.expect("added").version, Version(2));
    until(&writers, "counted", |it| it.unreadable == 1).await;
    writers.stop().await;
}

/// What is in memory goes on, and nothing is lost or guessed.
#[tokio::test]
async fn a_store_that_is_down_keeps_nobody_from_what_is_in_memory() {
    let (log, shelf, ids) = (log(), Shelf::new(), ids(6));
    let first = accounts(&log, &shelf, 1_000).await;
    open_all(&first, &ids).await;
    first.stop().await;
    let writers = accounts(&log, &shelf, 3).await;
    deposit_all(&writers, &ids[..2], 2).await;
    until_stored(&writers).await;
    shelf.set_down(true);
    deposit_all(&writers, &ids[..2], 3).await;
    let missed = writers.deposit(&ids[2], 5).await;
    let is_unavailable = matches!(&missed, Err(CommandError::Failed(Failure::StateUnavailable(_))));
    assert!(is_unavailable, "{missed:?}");
    until(&writers, "told", |it| it.problem.is_some()).await;
    shelf.set_down(false);
    until_stored(&writers).await;
    assert_eq!(status(&writers).problem, None);
    deposit_all(&writers, &ids[2..], 2).await;
    assert_eq!(status(&writers).ownership.to_string(), "owner in term 2");
    writers.stop().await;
}

#[tokio::test]
async fn a_start_waits_for_the_store_when_there_are_states() {
    let (log, shelf) = (log(), Shelf::new());
    shelf.set_down(true);
    let first = accounts(&log, &shelf, 10).await;
    first.open("ann").await;
    first.stop().await;
    let second = start::<Account>(&log, &shelf, 10);
    let waits = |it: &Ownership| matches!(it, Ownership::WaitingForStates { .. });
    second.wait("waiting", waits).await;
    let refused = second.deposit("ann", 5).await;
    assert!(
        matches!(&refused, Err(CommandError::Failed(Failure::StateUnavailable(why)))
            if why.contains("redis-3.internal is down")),
        "{refused:?}"
    );
    shelf.set_down(false);
    let second = second.owner().await;
    assert_eq!(second.deposit("ann", 5).await.expect("deposited").version, Version(2));
    second.stop().await;
}

/// L4: what came before the checkpoint is in the store, what came after it in the log.
#[tokio::test]
async fn keys_are_known_after_a_restart_from_a_checkpoint() {
    let (log, shelf) = (log(), Shelf::new());
    let first = accounts(&log, &shelf, 10).await;
    first.open("ann").await;
    let generated = first.deposit("ann", 1).await.expect("deposited");
    let before = first.keyed("ann", DEPOSIT, "before").await.expect("deposited");
    until_stored(&first).await;
    shelf.set_down(true);
    let after = first.keyed("ann", DEPOSIT, "after").await.expect("deposited");
    drop(first);
    shelf.set_down(false);
    let second = accounts(&log, &shelf, 10).await;
    assert_eq!(status(&second).records.commits, 1, "only the tail was read");
    assert_eq!(status(&second).outcomes, 2);
    for (key, first) in [("before", before), ("after", after)] {
        let again = second.keyed("ann", DEPOSIT, key).await.expect("answered");
        assert!(again.replayed, "{key}");
        assert_eq!((again.version, again.position), (first.version, first.position), "{key}");
    }
    let command_id = Some(generated.command_id.clone());
    let options = SendOptions { command_id, repeatable: true, ..SendOptions::default() };
    let deposit = AccountCommand::DepositMoney { amount: 1 };
    let again = second.commands.send::<Account>("ann", deposit, options).await.expect("answered");
    assert_eq!((again.replayed, again.position), (true, generated.position));
    second.stop().await;
}
