//! The write loop on a log in memory: what is acknowledged, refused, and turned away.

use std::sync::Arc;

use futures_util::future::join_all;
use retell::adapters::SystemClock;
use retell::adapters::memory::MemoryLog;
use retell::commands::{Account, AccountCommand, AccountError};
use retell::log::{Chain, Stamp, Term};
use retell::ports::{EventLog, NewRecord};
use retell::write::{CommandError, Expected, Failure, Ownership, SendOptions};
use retell::{Partition, Version};

use crate::support::shelf::Shelf;
use crate::support::slow::{Slow, SlowCommand};
use crate::support::writers::{Writers, kind, partitions, write_config};

fn log(count: u32) -> MemoryLog {
    MemoryLog::new(partitions(count), Arc::new(SystemClock))
}

async fn one() -> (MemoryLog, Writers) {
    let log = log(1);
    let writers = Writers::start(Arc::new(log.clone()), "a").owner().await;
    (log, writers)
}

/// Appends what somebody else would.
async fn forge(log: &MemoryLog, key: Option<&str>, stamp: Stamp, value: &str) {
    let mut appender = log.appender(Partition(0)).await.expect("appender");
    let record = NewRecord { key: key.map(str::as_bytes), stamp, value: value.as_bytes() };
    appender.append(record).expect("taken");
}

#[tokio::test]
async fn a_command_is_answered_with_its_version_and_position() {
    let (log, writers) = one().await;
    let opened = writers.open("ann").await;
    let deposited = writers.deposit("ann", 500).await.expect("deposited");
    assert_eq!((opened.version, deposited.version), (Version(1), Version(2)));
    assert_eq!(deposited.position.offset, opened.position.offset.next());
    assert_eq!(log.end(Partition(0)).await.expect("end"), deposited.position.offset.next());
    let event = deposited.events().next().expect("one event");
    assert_eq!((event.event_type, event.version), ("MoneyDeposited", Version(2)));
    assert_eq!(event.data.get(), r#"{"amount":500,"balance":500}"#);
    writers.stop().await;
}

/// L3: a refusal appends nothing, and is answered by a writer that knows the whole log.
#[tokio::test]
async fn a_refused_command_leaves_no_record() {
    let (log, writers) = one().await;
    let opened = writers.open("ann").await;
    let end = log.end(Partition(0)).await.expect("end");
    let refused = writers.account("ann", AccountCommand::WithdrawMoney { amount: 1 }).await;
    let Err(CommandError::Refused { refusal, error, on }) = refused else { panic!("{refused:?}") };
    assert_eq!(refusal.code, "insufficient_funds");
    assert_eq!((on.version, on.position), (opened.version, opened.position));
    assert!(matches!(error, AccountError::InsufficientFunds { .. }));
    assert_eq!(log.end(Partition(0)).await.expect("end"), end);
    writers.stop().await;
}

/// What is in flight when it is decided has no place in the log yet; when it is answered, it has.
#[tokio::test]
async fn an_answer_that_appends_nothing_says_where_its_state_is() {
    let (_, writers) = one().await;
    writers.open("ann").await;
    let withdraw = writers.account("ann", AccountCommand::WithdrawMoney { amount: 50 });
    let expecting = {
        let expected = Some(Expected::Version(Version(1)));
        let options = SendOptions { expected, ..SendOptions::default() };
        let deposit = AccountCommand::DepositMoney { amount: 5 };
        writers.commands.send::<Account>("ann", deposit, options)
    };
    let (deposited, refused, differs) =
        tokio::join!(writers.deposit("ann", 5), withdraw, expecting);
    let deposited = deposited.expect("deposited");
    let Err(CommandError::Refused { on, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!((on.version, on.position), (deposited.version, deposited.position));
    let Err(CommandError::Failed(Failure::VersionDiffers { current, .. })) = differs else {
        panic!("{differs:?}");
    };
    assert_eq!(current, on);
    writers.stop().await;
}

/// L2: a thousand commands at once on one aggregate get a thousand versions.
#[tokio::test]
async fn commands_on_one_aggregate_never_share_a_version() {
    let (_, writers) = one().await;
    writers.open("ann").await;
    let done = join_all((0..1_000).map(|_| writers.deposit("ann", 1))).await;
    let mut versions: Vec<u64> = done.into_iter().map(|d| d.expect("done").version.0).collect();
    versions.sort_unstable();
    assert_eq!(versions, (2..=1_001).collect::<Vec<_>>());
    writers.stop().await;
}

/// L1: what was acknowledged is there after a restart.
#[tokio::test]
async fn a_restarted_process_goes_on_where_the_log_ends() {
    let log = log(4);
    let first = Writers::start(Arc::new(log.clone()), "a").owner().await;
    for i in 0..20 {
        first.open(&format!("a{i}")).await;
    }
    first.stop().await;
    let second = Writers::start(Arc::new(log), "a").owner().await;
    for i in 0..20 {
        let done = second.deposit(&format!("a{i}"), 1).await.expect("deposited");
        assert_eq!(done.version, Version(2));
    }
    second.stop().await;
}

/// L1, L2: a second process takes over; the first loses nothing, says so, and writes no more.
#[tokio::test]
async fn a_deposed_writer_notices_and_says_so() {
    let log = log(1);
    let first = Writers::start(Arc::new(log.clone()), "first").owner().await;
    first.open("ann").await;
    let second = Writers::start(Arc::new(log), "second").owner().await;
    let answers = join_all((0..50).map(|_| first.deposit("ann", 1))).await;
    for answer in answers {
        let Err(CommandError::Failed(Failure::NoOwner { detail, .. })) = answer else {
            panic!("a deposed writer must not acknowledge: {answer:?}");
        };
        assert!(detail.contains("second"), "{detail}");
    }
    first.wait("deposed", |state| matches!(state, Ownership::Deposed { .. })).await;
    let done = second.deposit("ann", 1).await.expect("the second writes");
    assert_eq!(done.version, Version(2), "nothing of the first counts after the claim");
    second.stop().await;
    first.stop().await;
}

/// L6: a deposed writer refuses nothing on its old state.
#[tokio::test]
async fn a_deposed_writer_does_not_answer_refusals_from_its_old_state() {
    let log = log(1);
    let first = Writers::start(Arc::new(log.clone()), "first").owner().await;
    first.open("ann").await;
    let second = Writers::start(Arc::new(log), "second").owner().await;
    second.deposit("ann", 5).await.expect("deposited");
    let withdraw = AccountCommand::WithdrawMoney { amount: 5 };
    let answer = first.account("ann", withdraw).await;
    assert!(matches!(answer, Err(CommandError::Failed(Failure::NoOwner { .. }))), "{answer:?}");
    second.stop().await;
    first.stop().await;
}

/// L7: records that do not count change nothing and stop nobody.
#[tokio::test]
async fn void_and_foreign_records_are_counted_and_harmless() {
    let (log, writers) = one().await;
    writers.open("ann").await;
    let term = Term(1);
    let stamp = |chain| Stamp::Commit { term, chain: Chain(chain) };
    forge(&log, Some("account/ann"), stamp(77), "{}").await;
    forge(&log, Some("account/ann"), Stamp::Claim { term: Term(9) }, "{}").await;
    let foreign = Stamp::Foreign(retell::log::Flaw::Missing("kind"));
    forge(&log, None, foreign, "\u{0}garbage").await;
    log.leave_hole(Partition(0));
    let done = writers.deposit("ann", 5).await.expect("deposited");
    assert_eq!(done.version, Version(2));
    let refused = writers.account("ann", AccountCommand::WithdrawMoney { amount: 9 }).await;
    assert!(matches!(refused, Err(CommandError::Refused { .. })), "{refused:?}");
    let status = &writers.commands.status()[0];
    assert_eq!((status.records.void, status.records.foreign, status.alarms), (2, 1, 0));
    writers.stop().await;
}

/// L7: garbage with exactly the right term and number holds back its aggregate and no other.
#[tokio::test]
async fn garbage_that_counts_holds_back_its_aggregate_only() {
    let (log, writers) = one().await;
    writers.open("ann").await;
    writers.open("bob").await;
    let next = Stamp::Commit { term: Term(1), chain: Chain(2) };
    forge(&log, Some("account/ann"), next, "garbage").await;
    let done = writers.deposit("bob", 5).await.expect("bob is not concerned");
    assert_eq!(done.version, Version(2));
    let ann = writers.deposit("ann", 5).await;
    let Err(CommandError::Failed(Failure::HistoryUnreadable { detail, .. })) = ann else {
        panic!("{ann:?}");
    };
    assert!(detail.contains("record 0@3"), "{detail}");
    let status = writers.commands.status().remove(0);
    assert_eq!(status.ownership, Ownership::Owner { term: Term(2) }, "the term had to end");
    assert_eq!((status.alarms, status.unreadable), (1, 1));
    writers.stop().await;
}

/// A forged claim ends the term; nobody of ours rules then, so the writer claims again.
#[tokio::test]
async fn a_forged_claim_is_answered_by_a_claim() {
    let (log, writers) = one().await;
    writers.open("ann").await;
    forge(&log, None, Stamp::Claim { term: Term(2) }, "nobody").await;
    let done = writers.deposit("ann", 5).await.expect("decided again in the next term");
    assert_eq!(done.version, Version(2));
    assert_eq!(writers.commands.status()[0].ownership, Ownership::Owner { term: Term(3) });
    writers.stop().await;
}

/// A claim of a newer format is a newer binary's: it rules, and is not answered by a claim.
#[tokio::test]
async fn a_claim_of_a_newer_format_is_a_newer_binarys() {
    let (log, writers) = one().await;
    writers.open("ann").await;
    forge(&log, None, Stamp::Claim { term: Term(2) }, r#"{"v":2,"by":"another shape"}"#).await;
    let answer = writers.deposit("ann", 5).await;
    let Err(CommandError::Failed(Failure::NoOwner { detail, .. })) = answer else {
        panic!("{answer:?}");
    };
    assert!(detail.contains("a newer binary"), "{detail}");
    let end = log.end(Partition(0)).await.expect("end");
    assert_eq!(end.0, 4, "two claims, one commit, and the deposit that does not count");
    writers.stop().await;
}

#[tokio::test]
async fn a_log_of_other_partitions_is_refused() {
    let log = log(2);
    let claim = r#"{"v":1,"claim_id":"01990000-0000-7000-8000-000000000001","node":"x",
        "instance":"01990000-0000-7000-8000-000000000002","address":"","partitions":16,
        "hash":"murmur2","time":"2026-11-22T10:00:00.000Z"}"#;
    forge(&log, None, Stamp::Claim { term: Term(1) }, claim).await;
    let writers = Writers::start(Arc::new(log), "a");
    let refused = |state: &Ownership| matches!(state, Ownership::Refused { .. });
    let first_refused = || refused(&writers.commands.status()[0].ownership);
    while !first_refused() {
        tokio::task::yield_now().await;
    }
    let reason = writers.commands.status()[0].ownership.to_string();
    assert!(reason.contains("16 partitions") && reason.contains("log.partitions = 2"), "{reason}");
    writers.stop().await;
}

#[tokio::test]
async fn events_that_do_not_fit_a_record_are_refused_before_anything_is_appended() {
    let log = log(1).with_record_len_max(1_000);
    let writers = Writers::start(Arc::new(log.clone()), "a").owner().await;
    let end = log.end(Partition(0)).await.expect("end");
    let open = AccountCommand::OpenAccount { owner: "x".repeat(190) };
    writers.account("fits", open).await.expect("fits");
    let writers_small = log.clone().with_record_len_max(300);
    writers.stop().await;
    let writers = Writers::start(Arc::new(writers_small), "b").owner().await;
    let open = AccountCommand::OpenAccount { owner: "x".repeat(190) };
    let answer = writers.account("big", open).await;
    let Err(CommandError::Failed(Failure::EventsTooLarge { len, max })) = answer else {
        panic!("{answer:?}");
    };
    assert!(len > 300 && max == 300, "{len} {max}");
    assert!(log.end(Partition(0)).await.expect("end").0 == end.0 + 2, "one commit, one claim");
    writers.stop().await;
}

#[tokio::test]
async fn a_full_cache_turns_away_aggregates_that_it_does_not_hold() {
    let mut config = write_config();
    config.cached_aggregates_max = 2;
    let (log, shelf) = (Arc::new(log(1)), Shelf::new());
    let store = Arc::new(shelf.clone());
    let accounts = |ids: &_| vec![kind::<Account>(ids)];
    let writers = Writers::start_on(log, store, "a", config, accounts).owner().await;
    // While nothing can be stored, nothing may be forgotten.
    shelf.set_down(true);
    writers.open("a").await;
    writers.open("b").await;
    let third = writers.deposit("c", 1).await;
    assert!(matches!(third, Err(CommandError::Failed(Failure::CacheFull { max: 2 }))), "{third:?}");
    writers.deposit("a", 1).await.expect("it is held");
    writers.stop().await;
}

#[tokio::test]
async fn a_slow_decision_delays_its_aggregate_and_no_other() {
    let (writers, slow) = slow_writers().await;
    let waits = writers.commands.send::<Slow>("s", SlowCommand::Wait, SendOptions::default());
    let after = writers.commands.send::<Slow>("s", SlowCommand::Go, SendOptions::default());
    let other = writers.commands.send::<Slow>("t", SlowCommand::Go, SendOptions::default());
    let (mut waits, mut after) = (Box::pin(waits), Box::pin(after));
    tokio::select! {
        biased;
        _ = &mut waits => panic!("it was not let go"),
        _ = &mut after => panic!("it must wait for the first"),
        other = other => drop(other.expect("another aggregate")),
    }
    slow.notify_one();
    let (waited, after) = tokio::join!(waits, after);
    assert_eq!(waited.expect("let go").version, Version(1));
    assert_eq!(after.expect("in its turn").version, Version(2));
    writers.stop().await;
}

#[tokio::test]
async fn a_decision_that_takes_too_long_or_panics_appends_nothing() {
    let (writers, _slow) = slow_writers().await;
    let send = |command| writers.commands.send::<Slow>("s", command, SendOptions::default());
    let late = send(SlowCommand::Wait).await;
    let timed_out = matches!(late, Err(CommandError::Failed(Failure::DecideTimeout(_))));
    assert!(timed_out, "{late:?}");
    let panicked = send(SlowCommand::Panic).await;
    let Err(CommandError::Failed(Failure::Bug(what))) = panicked else { panic!("{panicked:?}") };
    assert!(what.contains("on purpose"), "{what}");
    assert_eq!(send(SlowCommand::Go).await.expect("goes on").version, Version(1));
    writers.stop().await;
}

/// Writers of an aggregate that decides when it is told to; it must within 300 ms.
pub(super) async fn slow_writers() -> (Writers, Arc<tokio::sync::Notify>) {
    let mut config = write_config();
    config.decide_timeout = std::time::Duration::from_millis(300);
    let go = Arc::new(tokio::sync::Notify::new());
    let services = go.clone();
    let kinds = |ids: &_| vec![crate::support::slow::kind(ids, services)];
    let writers = Writers::start_with(Arc::new(log(1)), "a", config, kinds);
    (writers.owner().await, go)
}
