//! The same command id again: the first outcome again, whatever happened in between.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use retell::adapters::SystemClock;
use retell::adapters::memory::MemoryLog;
use retell::commands::{Account, AccountCommand};
use retell::events::CommandId;
use retell::ports::EventLog;
use retell::write::{CommandError, Done, Expected, Failure, SendOptions};
use retell::{Key, Offset, Partition, Version};
use tokio::sync::Notify;

use crate::support::slow::{self, Slow, SlowCommand};
use crate::support::writers::{Writers, kind, partitions, repeatable, write_config};

const DEPOSIT: AccountCommand = AccountCommand::DepositMoney { amount: 5 };
const WITHDRAW: AccountCommand = AccountCommand::WithdrawMoney { amount: 50 };

fn log() -> MemoryLog {
    MemoryLog::new(partitions(1), Arc::new(SystemClock))
}

async fn writers(log: &MemoryLog, node: &str) -> Writers {
    Writers::start(Arc::new(log.clone()), node).owner().await
}

async fn end(log: &MemoryLog) -> Offset {
    log.end(Partition(0)).await.expect("end")
}

/// What a client sees of an outcome, but for whether it was given before.
fn shown(done: &Done) -> String {
    let events: Vec<_> = done.events().collect();
    let events = serde_json::to_string(&events).expect("JSON");
    format!("{} {} {} {events}", done.command_id, done.version, done.position)
}

/// L4: also after a restart, by another process, and long after the state has changed.
#[tokio::test]
async fn the_same_key_gives_the_first_outcome_again() {
    let log = log();
    let first = writers(&log, "first").await;
    first.open("ann").await;
    let done = first.keyed("ann", DEPOSIT, "order-7").await.expect("deposited");
    first.deposit("ann", 1).await.expect("deposited");
    let again = first.keyed("ann", DEPOSIT, "order-7").await.expect("deposited before");
    assert_eq!((done.replayed, again.replayed), (false, true));
    assert_eq!(shown(&again), shown(&done));
    let other = first.keyed("ann", DEPOSIT, "order-8").await.expect("deposited");
    assert_eq!(other.version, Version(4), "nothing was deposited in between");
    let second = writers(&log, "second").await;
    let end_before = end(&log).await;
    let again = second.keyed("ann", DEPOSIT, "order-7").await.expect("deposited before");
    assert_eq!(shown(&again), shown(&done));
    assert_eq!(end(&log).await, end_before, "nothing was appended");
    second.stop().await;
    first.stop().await;
}

/// L4: a refusal is an outcome, and is given again when the same would succeed by now.
#[tokio::test]
async fn a_refusal_under_a_key_is_given_again() {
    let log = log();
    let first = writers(&log, "first").await;
    first.open("ann").await;
    let refused = first.keyed("ann", WITHDRAW, "w").await;
    let Err(CommandError::Refused { refusal, on, .. }) = refused else {
        panic!("there is no money");
    };
    let end_before = end(&log).await;
    assert_eq!((on.version, on.position.offset.plus(1)), (Version(1), end_before));
    first.deposit("ann", 500).await.expect("deposited");
    first.stop().await;
    let second = writers(&log, "second").await;
    for _ in 0..2 {
        let again = second.keyed("ann", WITHDRAW, "w").await;
        let Err(CommandError::RefusedBefore { refusal: before, on: before_on }) = again else {
            panic!("it was refused: {again:?}");
        };
        assert_eq!((before, before_on), (refusal.clone(), on), "not what it would be on by now");
    }
    let done = second.keyed("ann", WITHDRAW, "w2").await.expect("another key, another command");
    assert_eq!(done.version, Version(3), "a refusal took no version");
    assert_eq!(done.position.offset, end_before.plus(2), "a deposit and a claim came between");
    second.stop().await;
}

#[tokio::test]
async fn a_key_belongs_to_one_command_and_to_one_aggregate() {
    let log = log();
    let writers = writers(&log, "a").await;
    writers.open("ann").await;
    writers.open("bob").await;
    writers.keyed("ann", DEPOSIT, "k").await.expect("deposited");
    let reused = writers.keyed("ann", WITHDRAW, "k").await;
    assert!(matches!(reused, Err(CommandError::Failed(Failure::KeyReused))), "{reused:?}");
    let done = writers.keyed("bob", DEPOSIT, "k").await.expect("deposited");
    assert!(!done.replayed);
    writers.stop().await;
}

/// A retry is answered before its expected version is looked at: the first one has changed it.
#[tokio::test]
async fn a_retry_that_expects_the_version_before_gets_the_first_outcome() {
    let log = log();
    let writers = writers(&log, "a").await;
    writers.open("ann").await;
    let id = Key::new("ann").expect("id");
    let json = r#"{"type":"DepositMoney","amount":5}"#;
    let expecting = |key: &str| {
        let expected = Some(Expected::Version(Version(1)));
        let options = SendOptions { expected, ..repeatable(key) };
        writers.commands.submit("account", &id, json.into(), options)
    };
    let done = expecting("k").await.expect("deposited");
    let again = expecting("k").await.expect("deposited before");
    assert_eq!(shown(&again), shown(&done));
    for _ in 0..2 {
        let differs = expecting("other").await;
        let Err(CommandError::Failed(Failure::VersionDiffers { current, .. })) = differs else {
            panic!("it has another version by now: {differs:?}");
        };
        assert_eq!((current.version, current.position), (Version(2), done.position));
    }
    writers.stop().await;
}

/// L4: fifty at once are one.
#[tokio::test]
async fn duplicates_in_flight_get_the_outcome_of_the_first() {
    let log = log();
    let writers = writers(&log, "a").await;
    writers.open("ann").await;
    let all = join_all((0..50).map(|_| writers.keyed("ann", DEPOSIT, "k"))).await;
    let all: Vec<Done> = all.into_iter().map(|answer| answer.expect("deposited")).collect();
    assert_eq!(all.iter().filter(|done| !done.replayed).count(), 1);
    assert!(all.iter().all(|done| shown(done) == shown(&all[0])));
    assert_eq!(writers.deposit("ann", 1).await.expect("deposited").version, Version(3));
    writers.stop().await;
}

async fn slow_writers(log: &MemoryLog) -> (Writers, Arc<Notify>) {
    let go = Arc::new(Notify::new());
    let kinds = |ids: &_| vec![slow::kind(ids, go.clone())];
    let mut config = write_config();
    config.decide_timeout = Duration::from_secs(60);
    config.in_flight_max = 16;
    let writers = Writers::start_with(Arc::new(log.clone()), "a", config, kinds);
    (writers.owner().await, go)
}

/// L8: a quarter of what may be in flight waits for first ones; all others are told at once.
#[tokio::test]
async fn duplicates_of_a_slow_command_leave_room_for_others() {
    let (writers, go) = slow_writers(&log()).await;
    let send = |id, command, options| writers.commands.send::<Slow>(id, command, options);
    let mut first = Box::pin(send("s", SlowCommand::Wait, repeatable("k")));
    let mut others =
        Box::pin(join_all((0..40).map(|_| send("s", SlowCommand::Wait, repeatable("k")))));
    tokio::select! {
        biased;
        _ = &mut first => panic!("it was not let go"),
        _ = &mut others => panic!("some wait for it"),
        beside = send("t", SlowCommand::Go, SendOptions::default()) => {
            beside.expect("another aggregate");
        }
    }
    go.notify_one();
    let (first, others) = tokio::join!(first, others);
    let first = first.expect("let go");
    let (again, told): (Vec<_>, Vec<_>) = others.into_iter().partition(Result::is_ok);
    assert!(again.iter().flatten().all(|done| shown(done) == shown(&first)));
    let in_flight = |answer: &_| matches!(answer, Err(CommandError::Failed(Failure::InFlight)));
    assert!(told.iter().all(in_flight), "{told:?}");
    assert_eq!((again.len(), told.len()), (4, 36));
    writers.stop().await;
}

/// L8: those that are under way count, too.
#[tokio::test]
async fn no_more_keys_are_taken_than_can_be_kept() {
    let log = log();
    let mut config = write_config();
    config.kept_keys_max = 3;
    let accounts = |ids: &_| vec![kind::<Account>(ids)];
    let start = || Writers::start_with(Arc::new(log.clone()), "a", config.clone(), accounts);
    let first = start().owner().await;
    first.open("ann").await;
    let keys: Vec<String> = (0..20).map(|i| format!("k{i}")).collect();
    let all = join_all(keys.iter().map(|key| first.keyed("ann", DEPOSIT, key))).await;
    let full =
        |answer: &_| matches!(answer, Err(CommandError::Failed(Failure::KeysFull { max: 3 })));
    assert!(all[..3].iter().all(Result::is_ok) && all[3..].iter().all(full), "{all:?}");
    assert_eq!(first.deposit("ann", 1).await.expect("has no key").version, Version(5));
    first.stop().await;
    let second = start().owner().await;
    assert!(full(&second.keyed("ann", DEPOSIT, "k3").await), "what is in the log is kept");
    let again = second.keyed("ann", DEPOSIT, "k2").await.expect("deposited before");
    assert_eq!(shown(&again), shown(all[2].as_ref().expect("deposited")));
    second.stop().await;
}

/// A duplicate whose first one takes longer than its sender waits says so, and appends nothing.
#[tokio::test]
async fn a_duplicate_that_cannot_wait_longer_is_told_so() {
    let log = log();
    let (writers, go) = slow_writers(&log).await;
    let send = |timeout| {
        let options = SendOptions { timeout, ..repeatable("k") };
        writers.commands.send::<Slow>("s", SlowCommand::Wait, options)
    };
    let first = send(None);
    let second = async {
        let in_flight = send(Some(Duration::from_millis(20))).await;
        go.notify_one();
        in_flight
    };
    let (done, in_flight) = tokio::join!(first, second);
    assert!(matches!(in_flight, Err(CommandError::Failed(Failure::InFlight))), "{in_flight:?}");
    let again = send(None).await.expect("went before");
    assert_eq!(shown(&again), shown(&done.expect("went")));
    assert_eq!(end(&log).await, Offset(2), "a claim and a commit");
    writers.stop().await;
}

/// What fails has no outcome: a duplicate that waited for it is decided.
#[tokio::test]
async fn a_duplicate_of_what_fails_is_decided() {
    let log = log();
    let (writers, go) = slow_writers(&log).await;
    let send = |command| writers.commands.send::<Slow>("s", command, repeatable("k"));
    let failed = send(SlowCommand::Panic).await;
    assert!(matches!(failed, Err(CommandError::Failed(Failure::Bug(_)))), "{failed:?}");
    let wakes = async {
        let first = send(SlowCommand::Wait);
        let second = async {
            let second = send(SlowCommand::Wait);
            go.notify_one();
            second.await
        };
        tokio::join!(first, second)
    };
    let (first, second) = wakes.await;
    let (first, second) = (first.expect("went"), second.expect("went before"));
    assert_eq!((first.replayed, second.replayed), (false, true));
    assert_eq!(first.version, Version(1));
    writers.stop().await;
}

/// L4 for a command without a key: the id that its answer would have named finds it.
#[tokio::test]
async fn a_generated_id_that_is_sent_back_finds_its_command() {
    let log = log();
    let first = writers(&log, "first").await;
    first.open("ann").await;
    let done = first.deposit("ann", 5).await.expect("deposited");
    let lost = first.commands.new_command_id();
    let in_flight = {
        let options = SendOptions { command_id: Some(lost.clone()), ..SendOptions::default() };
        first.commands.send::<Account>("ann", DEPOSIT, options)
    };
    let (original, again) = tokio::join!(in_flight, first.keyed("ann", DEPOSIT, lost.as_str()));
    let (original, again) = (original.expect("deposited"), again.expect("deposited before"));
    assert_eq!((original.replayed, again.replayed), (false, true));
    assert_eq!(shown(&again), shown(&original));
    first.stop().await;
    let second = writers(&log, "second").await;
    for done in [&done, &original] {
        let again = second.keyed("ann", DEPOSIT, done.command_id.as_str()).await;
        assert_eq!(shown(&again.expect("deposited before")), shown(done));
    }
    let unknown = second.commands.new_command_id();
    let new = second.keyed("ann", DEPOSIT, unknown.as_str()).await.expect("deposited");
    assert_eq!((new.replayed, new.version), (false, Version(4)));
    second.stop().await;
}

#[tokio::test]
async fn an_outcome_can_be_asked_for() {
    let log = log();
    let writers = writers(&log, "a").await;
    writers.open("ann").await;
    let ask = async |key: &str| {
        let id = Key::new("ann").expect("id");
        let command_id = CommandId::from_client(key).expect("a key");
        writers.commands.outcome("account", &id, command_id).await
    };
    assert!(ask("k").await.expect("nothing is in the way").is_none());
    let done = writers.keyed("ann", DEPOSIT, "k").await.expect("deposited");
    let found = ask("k").await.expect("an outcome").expect("there is one by now");
    assert_eq!(shown(&found), shown(&done));
    writers.keyed("ann", WITHDRAW, "w").await.expect_err("there is no money");
    let refused = ask("w").await;
    assert!(matches!(refused, Err(CommandError::RefusedBefore { .. })), "{refused:?}");
    let generated = writers.deposit("ann", 1).await.expect("deposited");
    let found = ask(generated.command_id.as_str()).await.expect("an outcome");
    assert_eq!(shown(&found.expect("there is one")), shown(&generated));
    writers.stop().await;
}
