//! An inbox that is killed anywhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use retell::Offset;
use retell::adapters::SystemClock;
use retell::adapters::memory::MemoryLog;
use retell::events::Commit;
use retell::log::{Mark, Tracker};
use retell::ports::{EventLog, LogRecord};
use retell::react::inbox::InboxStatus;
use serde_json::Value;

use crate::support::inbox::{Desk, deposit, open};
use crate::support::log::{P0, read_to_end};
use crate::support::on_paused_time;
use crate::support::outbox::Fragile;
use crate::support::writers::{Writers, partitions};

#[derive(Clone, Debug)]
enum Step {
    Put(u8, bool),
    Junk,
    Run(u8),
    /// The inbox is killed; the next one's sends break off.
    Crash(Vec<usize>),
    /// The writers, too.
    CrashAll,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Killed anywhere: one effect for each command, in the order of its aggregate, and an answer.
    #[test]
    fn an_inbox_that_is_killed_anywhere_does_each_command_once(steps in vec(step(), 1..40)) {
        on_paused_time(live(steps));
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3_u8, any::<bool>()).prop_map(|(id, has_key)| Step::Put(id, has_key)),
        1 => Just(Step::Junk),
        6 => (0..30_u8).prop_map(Step::Run),
        2 => vec(0..4_usize, 0..3).prop_map(Step::Crash),
        1 => Just(Step::CrashAll),
    ]
}

async fn live(steps: Vec<Step>) {
    let log = Arc::new(MemoryLog::new(partitions(2), Arc::new(SystemClock)));
    let start = async || Writers::start(log.clone(), "node").owner().await;
    let (mut writers, desk) = (start().await, Desk::new());
    let ids: Vec<String> = (0..3).map(|id| format!("a{id}")).collect();
    desk.put_json(&ids.iter().map(|id| open(id, "open")).collect::<Vec<_>>()).await;
    let mut running = Some(desk.open(&writers.commands));
    // The amount of each deposit is its number, so that its event tells which it is.
    let (mut wanted, mut messages): (BTreeMap<&str, Vec<i64>>, u64) = (BTreeMap::new(), 3);
    let mut number = 0;
    for step in steps {
        match step {
            Step::Put(id, has_key) => {
                number += 1;
                let (id, key) = (&ids[usize::from(id)], format!("k-{number}"));
                desk.put_json(&[deposit(id, number, has_key.then_some(&key))]).await;
                wanted.entry(id).or_default().push(number);
                messages += 1;
            }
            Step::Junk => {
                desk.put(&[b"\xff"]).await;
                messages += 1;
            }
            Step::Run(ticks) => {
                for _ in 0..ticks {
                    tokio::task::yield_now().await;
                }
            }
            Step::Crash(breaks) => {
                drop(running.take());
                let results = Fragile::breaking_after(&desk.results, breaks);
                running = Some(desk.open_with(&writers.commands, results));
            }
            Step::CrashAll => {
                drop(running.take());
                drop(writers);
                writers = start().await;
                running = Some(desk.open(&writers.commands));
            }
        }
    }
    let running = running.expect("one runs");
    // One that had nothing left to do has answered nothing.
    desk.put_json(&[deposit("a0", 1_000_000, Some("last"))]).await;
    messages += 1;
    wanted.entry(&ids[0]).or_default().push(1_000_000);
    let is_done = |status: &InboxStatus| status.next.get(&P0).map(|next| next.0) == Some(messages);
    running.eventually(is_done).await;
    let answers = desk.answers();
    for offset in 0..messages {
        let place = format!("0@{offset}");
        assert!(answers.iter().any(|(_, answer)| answer["inbox"] == place), "{place}");
    }
    for id in &ids {
        let wanted = wanted.get(id.as_str()).cloned().unwrap_or_default();
        assert_eq!(deposits(&log, id).await, wanted, "{id}");
    }
}

/// The amounts that were put into an account, in order, from the records that count.
async fn deposits(log: &MemoryLog, id: &str) -> Vec<i64> {
    let mut amounts = Vec::new();
    for partition in log.partitions().iter() {
        let mut reader = log.reader(partition, Offset(0)).await.expect("a reader");
        for record in counting(&read_to_end(&mut *reader).await) {
            let commit = Commit::decode(&record.value).expect("a commit");
            if commit.aggregate.id != id {
                continue;
            }
            for event in &commit.events {
                let data: Value = serde_json::from_str(event.data.get()).expect("JSON");
                amounts.extend(data["amount"].as_i64());
            }
        }
    }
    amounts
}

fn counting(records: &[LogRecord]) -> impl Iterator<Item = &LogRecord> {
    let mut tracker = Tracker::default();
    records
        .iter()
        .filter(move |it| tracker.step(it.offset, it.time, &it.stamp, &it.value) == Mark::Counts)
}
