//! What a topic means: the commits that count by `retell::log`'s fold, and by a fold of our own
//! the accounts after each of their versions.

use std::collections::BTreeMap;

use retell::events::Commit;
use retell::log::{Mark, Tracker};
use retell::ports::LogRecord;
use retell::{Partition, Position, Time};
use serde_json::Value;

use super::topic::{Strand, Topic};

/// All commits that count, and the accounts that they make.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) entries: Vec<Entry>,
    accounts: BTreeMap<String, Vec<State>>,
    /// What is wrong with the topic itself.
    pub(super) flaws: Vec<String>,
}

/// A commit that counts.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) position: Position,
    /// When Kafka took it.
    pub(super) time: Time,
    pub(super) account: String,
    pub(super) command_id: String,
    /// The id of the call that wrote it.
    pub(super) call: String,
    pub(super) first_version: u64,
    /// The ids of its events.
    pub(super) events: Vec<String>,
    pub(super) refused: Option<(String, String)>,
}

/// An account at a version; 0 is the one before it was opened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct State {
    /// When Kafka took the event that made it.
    pub(super) since: Time,
    pub(super) is_open: bool,
    pub(super) balance: i64,
}

impl Ledger {
    pub(super) fn of(topic: &Topic) -> Self {
        let mut ledger = Self::default();
        for (partition, strand) in (0..).map(Partition).zip(&topic.0) {
            let mut tracker = Tracker::default();
            for record in &strand.records {
                if step(&mut tracker, record) == Mark::Counts {
                    ledger.take(partition, record);
                }
            }
            ledger.flaws.extend(resumed_differently(partition, strand));
        }
        ledger
    }

    /// An account at each of its versions.
    pub(super) fn states(&self, account: &str) -> &[State] {
        self.accounts.get(account).map_or(&[], Vec::as_slice)
    }

    pub(super) fn accounts(&self) -> impl Iterator<Item = (&String, &Vec<State>)> {
        self.accounts.iter()
    }

    fn take(&mut self, partition: Partition, record: &LogRecord) {
        let position = Position { partition, offset: record.offset };
        let commit = Commit::decode(&record.value).expect("only our service writes here");
        let account = commit.aggregate.id.to_string();
        let states = self.accounts.entry(account.clone()).or_insert_with(|| vec![State::default()]);
        if commit.first_version.0 != states.len() as u64 {
            let (first, next) = (commit.first_version, states.len());
            let what = format!("L2 {position} counts as version {first} of {account}, {next} is");
            self.flaws.push(format!("{what} the next"));
        }
        for event in &commit.events {
            let data: Value = serde_json::from_str(event.data.get()).expect("JSON");
            let state = states.last().expect("it begins with one").after(&event.event_type, &data);
            let state = State { since: record.time, ..state };
            if state.is_wrong(&data) {
                let what = format!("{data} of {account} at {position}");
                self.flaws.push(format!("L2 {what} was decided on another state: {state:?}"));
            }
            states.push(state);
        }
        self.entries.push(Entry {
            position,
            time: record.time,
            account,
            command_id: commit.command_id.to_string(),
            call: commit.correlation_id.map(Into::into).unwrap_or_default(),
            first_version: commit.first_version.0,
            events: commit.events.iter().map(|event| event.id.to_string()).collect(),
            refused: commit.refused.map(|it| (it.code.to_string(), it.detail)),
        });
    }
}

impl Entry {
    /// The version after it.
    pub(super) const fn version(&self) -> u64 {
        self.first_version - 1 + self.events.len() as u64
    }
}

impl State {
    /// The next version. What the event says of the balance is not taken but compared.
    fn after(self, event: &str, data: &Value) -> Self {
        let amount = data["amount"].as_i64().unwrap_or_default();
        match event {
            "AccountOpened" => Self { is_open: true, ..self },
            "MoneyDeposited" => Self { balance: self.balance + amount, ..self },
            "MoneyWithdrawn" => Self { balance: self.balance - amount, ..self },
            other => panic!("nobody orders {other}"),
        }
    }

    fn is_wrong(self, data: &Value) -> bool {
        let told = data["balance"].as_i64().unwrap_or(self.balance);
        !self.is_open || self.balance < 0 || told != self.balance
    }
}

/// L5: a reader that began at a checkpoint must mark each record as the one from the start did.
fn resumed_differently(partition: Partition, strand: &Strand) -> Option<String> {
    let mut whole = Tracker::default();
    let marks: BTreeMap<_, _> =
        strand.records.iter().map(|record| (record.offset, step(&mut whole, record))).collect();
    strand.tails.iter().find_map(|(checkpoint, records)| {
        let mut tracker = Tracker::resume(checkpoint);
        let again: Vec<_> =
            records.iter().map(|record| (record.offset, step(&mut tracker, record))).collect();
        let first: Vec<_> = marks.range(checkpoint.next..).map(|(o, mark)| (*o, *mark)).collect();
        let (from, places) = (checkpoint.next, (tracker.checkpoint(), whole.checkpoint()));
        let is_same = again == first && places.0 == places.1;
        (!is_same).then(|| format!("L5 partition {partition} reads differently from {from} on"))
    })
}

fn step(tracker: &mut Tracker, record: &LogRecord) -> Mark {
    tracker.step(record.offset, record.time, &record.stamp, &record.value)
}
