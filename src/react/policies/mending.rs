//! A sequence that is held back, tried again beside the runner: its records are read from the log
//! from the first one on, and what follows from each is issued, until one fails or all are done.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::contract::{Position, Target, Time};
use crate::log::{Checkpoint, Mark, Tracker};
use crate::ports::LogError;
use crate::read::{Parked, Poison};

use super::chunk::Entry;
use super::deadlines::Deadline;
use super::held::Held;
use super::runner::{Halt, Parts, Runner};

/// Sequences of one runner that are tried at once.
const AT_ONCE: usize = 8;

/// One that is being tried.
pub(super) type Mending = BoxFuture<'static, Mended>;

/// What became of a sequence.
pub(super) struct Mended {
    pub(super) aggregate: String,
    /// Its first record when it was begun.
    began: Position,
    /// Where a reader stood before it.
    before: Checkpoint,
    /// Records from which everything that follows was done.
    pub(super) applied: u64,
    /// What follows later from these records.
    deadlines: Vec<Deadline>,
    /// Why it was not read.
    pub(super) problem: Option<String>,
    end: End,
}

enum End {
    /// All is done up to where the sequence ended when it was begun; the runner may be further.
    Through(Tracker),
    /// This record is the first now.
    Again(Box<Entry>, Poison),
    /// It could not be read.
    NotRead,
}

impl Runner {
    /// How long until the next sequence is to be tried again, if one is.
    pub(super) fn due_in(&self) -> Option<Duration> {
        if self.in_mending.len() >= AT_ONCE {
            return None;
        }
        let now = self.parts.ids.now();
        let idle = self.held.iter().filter(|(aggregate, _)| !self.in_mending.contains(*aggregate));
        idle.filter_map(|(_, held)| held.due_in(now)).min()
    }

    /// Begins with those that are due.
    pub(super) fn begin_to_mend(&mut self) {
        let now = self.parts.ids.now();
        let is_due = |held: &Held| held.due_in(now) == Some(Duration::ZERO);
        let due = self.held.iter().filter(|(_, held)| is_due(held));
        let due: Vec<_> = due.map(|(it, held)| (it.clone(), held.clone())).collect();
        for (aggregate, held) in due {
            if self.in_mending.len() < AT_ONCE && self.in_mending.insert(aggregate.clone()) {
                self.mending.push(Box::pin(mend(self.parts.clone(), aggregate, held)));
            }
        }
    }

    /// Takes what became of one, and commits it.
    pub(super) async fn mended(&mut self, mut mended: Mended) -> Result<(), Halt> {
        let deadlines = std::mem::take(&mut mended.deadlines);
        self.put_off(mended.before, deadlines).await?;
        let aggregate = mended.aggregate.clone();
        self.in_mending.remove(&aggregate);
        // It may have been given up meanwhile, and another may be held back.
        let is_same = |held: &Held| held.parked.position == mended.began;
        if self.held.get(&aggregate).is_some_and(is_same)
            && let Some(held) = self.held.remove(&aggregate)
        {
            if let Some(held) = self.left(held, &mended) {
                self.held.insert(aggregate.clone(), held);
            }
            self.changed.insert(aggregate);
            self.commit().await?;
        }
        self.tell(&mended);
        Ok(())
    }

    /// What is held back still.
    fn left(&self, held: Held, mended: &Mended) -> Option<Held> {
        let left = held.parked.count.saturating_sub(mended.applied).max(1);
        let retries = if mended.applied > 0 { 0 } else { held.retries + 1 };
        let (ids, config) = (&self.parts.ids, &self.parts.config);
        match &mended.end {
            End::Through(tracker) if tracker.next() > held.last => None,
            End::Through(tracker) => {
                // More came meanwhile.
                let before = tracker.checkpoint().unwrap_or(held.parked.before);
                let parked = Parked { count: left, before, ..held.parked };
                Some(Held { parked, retries: 0, retry_at: Some(Time::default()), ..held })
            }
            End::Again(entry, poison) => {
                let again = Held::first(entry, poison.clone(), left, held.last);
                Some(Held { retries, ..again }.scheduled(ids, config))
            }
            End::NotRead => Some(held.scheduled(ids, config)),
        }
    }
}

async fn mend(parts: Arc<Parts>, aggregate: String, held: Held) -> Mended {
    let (mut applied, mut deadlines, began) = (0, Vec::new(), held.parked.position);
    let done = (&mut applied, &mut deadlines);
    let (end, problem) = match through(&parts, &aggregate, &held, done).await {
        Ok(end) => (end, None),
        Err(error) => (End::NotRead, Some(error.to_string())),
    };
    Mended { aggregate, began, before: held.parked.before, applied, deadlines, problem, end }
}

/// Does what follows from each record of the sequence.
async fn through(
    parts: &Parts,
    aggregate: &str,
    held: &Held,
    (applied, deadlines): (&mut u64, &mut Vec<Deadline>),
) -> Result<End, LogError> {
    let target = Target::parse(aggregate.as_bytes());
    let target = target.map_err(|error| LogError::Damaged(format!("{aggregate}: {error}")))?;
    let mut tracker = Tracker::resume(&held.parked.before);
    let (records_max, bytes_max) = (parts.read.chunk_records_max, parts.read.chunk_bytes_max);
    let mut reader = parts.log.reader(parts.partition, tracker.next()).await?;
    while tracker.next() <= held.last {
        let chunk = reader.next(records_max, bytes_max).await?;
        for record in &chunk.records {
            if record.offset > held.last {
                break;
            }
            let before = tracker;
            let mark = tracker.step(record.offset, record.time, &record.stamp, &record.value);
            if mark != Mark::Counts {
                continue;
            }
            let Some(entry) = parts.issuer.asked().entry_of(&target, record, &before) else {
                continue;
            };
            let entry = entry.map_err(LogError::Damaged)?;
            deadlines.extend(Deadline::of(&entry));
            let entries = [entry];
            match parts.issuer.work(&entries).await {
                Ok(()) => *applied += 1,
                Err((_, poison)) => {
                    let [entry] = entries;
                    return Ok(End::Again(Box::new(entry), poison));
                }
            }
        }
    }
    Ok(End::Through(tracker))
}
