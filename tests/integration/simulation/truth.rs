//! The truth of one history: what the log's landed records mean, by a fold of its own.
//!
//! It is written from the specification, not from `retell::log`, so that both must be wrong in the
//! same way to hide a mistake. It is fed with every record in the moment in which it lands.

use std::collections::BTreeMap;

use retell::log::Stamp;
use retell::ports::LogRecord;
use serde_json::Value;
use tokio::time::Instant;

use super::counter::Tally;

/// All partitions.
pub(super) struct Truth {
    ledgers: Vec<Ledger>,
    /// The commits that count, by the id of their command: partition and offset.
    by_command: BTreeMap<String, (u32, u64)>,
}

/// One partition.
#[derive(Default)]
pub(super) struct Ledger {
    term: u64,
    next_chain: u64,
    /// Whose claim began a term: the instance; none when its value says nothing.
    rulers: BTreeMap<u64, Option<String>>,
    /// Every landed record: its offset, and whether it counts.
    marks: Vec<(u64, bool)>,
    counters: BTreeMap<String, Vec<Fact>>,
}

/// An event that counts. The fact at index `i` is version `i + 1` of its counter.
#[derive(Clone, Debug)]
pub(super) struct Fact {
    pub(super) offset: u64,
    pub(super) landed_at: Instant,
    pub(super) command_id: String,
    pub(super) event_id: String,
    pub(super) number: u64,
    pub(super) level: u64,
}

impl Truth {
    pub(super) fn new(partitions: u32) -> Self {
        let ledgers = (0..partitions).map(|_| Ledger::default()).collect();
        Self { ledgers, by_command: BTreeMap::new() }
    }

    pub(super) fn ledger(&self, partition: u32) -> &Ledger {
        &self.ledgers[partition as usize]
    }

    /// Where the commit of a command is, if one counts.
    pub(super) fn commit_of(&self, command_id: &str) -> Option<(u32, u64)> {
        self.by_command.get(command_id).copied()
    }

    /// Takes the next record of a partition; says what law it breaks, if one.
    pub(super) fn land(&mut self, partition: u32, record: &LogRecord) -> Result<bool, String> {
        let ledger = &mut self.ledgers[partition as usize];
        let counts = ledger.counts(record);
        ledger.marks.push((record.offset.0, counts));
        if !counts || !matches!(record.stamp, Stamp::Commit { .. }) {
            return Ok(counts);
        }
        let commit: Value = serde_json::from_slice(&record.value).map_err(|e| e.to_string())?;
        let command_id = text(&commit["command_id"]);
        ledger.take_commit(record.offset.0, &command_id, &commit)?;
        let place = (partition, record.offset.0);
        match self.by_command.insert(command_id.clone(), place) {
            None => Ok(true),
            Some((_, first)) => Err(format!(
                "L1 the command {command_id} counts twice, at offsets {first} and {}",
                record.offset
            )),
        }
    }

    /// What a partition adds to the total of a reader that has read up to `next`.
    pub(super) fn total(&self, partition: u32, next: u64) -> Tally {
        let facts = self.ledger(partition).counters.values().flatten();
        let seen = facts.filter(|fact| fact.offset < next);
        seen.fold(Tally::default(), |tally, fact| tally.with(fact.number, 0))
    }
}

impl Ledger {
    /// The instance whose claim began this term.
    pub(super) fn ruler(&self, term: u64) -> Option<&str> {
        self.rulers.get(&term).and_then(Option::as_deref)
    }

    pub(super) const fn term(&self) -> u64 {
        self.term
    }

    /// Every landed record: its offset, and whether it counts.
    pub(super) fn marks(&self) -> &[(u64, bool)] {
        &self.marks
    }

    /// The facts of a counter, by version.
    pub(super) fn facts(&self, counter: &str) -> &[Fact] {
        self.counters.get(counter).map_or(&[], Vec::as_slice)
    }

    /// What the view of a counter shows to a reader that has read up to `next`.
    pub(super) fn tally(&self, counter: &str, next: u64) -> Option<Tally> {
        let seen = self.facts(counter).iter().filter(|fact| fact.offset < next);
        seen.fold(None, |tally, fact| {
            Some(tally.unwrap_or_else(Tally::default).with(fact.number, fact.level))
        })
    }

    /// The level of a counter at a version, and from when until when it was the last one.
    pub(super) fn reign_of(
        &self,
        counter: &str,
        version: u64,
    ) -> Option<(u64, Option<Instant>, Option<Instant>)> {
        let facts = self.facts(counter);
        let at = usize::try_from(version).ok()?;
        let until = facts.get(at).map(|next| next.landed_at);
        match at.checked_sub(1) {
            None => Some((0, None, until)),
            Some(last) => facts.get(last).map(|f| (f.level, Some(f.landed_at), until)),
        }
    }

    fn counts(&mut self, record: &LogRecord) -> bool {
        match record.stamp {
            Stamp::Foreign(_) => false,
            Stamp::Claim { term } => {
                let counts = term.0 == self.term + 1;
                if counts {
                    (self.term, self.next_chain) = (term.0, 0);
                    let claim = serde_json::from_slice::<Value>(&record.value).ok();
                    let instance = claim.and_then(|it| it["instance"].as_str().map(str::to_owned));
                    self.rulers.insert(self.term, instance);
                }
                counts
            }
            Stamp::Commit { term, chain } => {
                let counts = self.term > 0 && term.0 == self.term && chain.0 == self.next_chain;
                self.next_chain += u64::from(counts);
                counts
            }
        }
    }

    fn take_commit(&mut self, offset: u64, command_id: &str, commit: &Value) -> Result<(), String> {
        let counter = text(&commit["aggregate"]["id"]);
        let facts = self.counters.entry(counter.clone()).or_default();
        let next = facts.len() as u64 + 1;
        if commit["first_version"].as_u64() != Some(next) {
            let first = &commit["first_version"];
            return Err(format!("L2 version {first} of {counter} counts where {next} is next"));
        }
        for event in commit["events"].as_array().into_iter().flatten() {
            let part = |name: &str| event["data"][name].as_u64().unwrap_or(u64::MAX);
            if part("version") != facts.len() as u64 + 1 {
                return Err(format!("L2 an event of {counter} was decided on another version"));
            }
            facts.push(Fact {
                offset,
                landed_at: Instant::now(),
                command_id: command_id.to_owned(),
                event_id: text(&event["id"]),
                number: part("number"),
                level: part("level"),
            });
        }
        Ok(())
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
