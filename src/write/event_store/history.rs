//! All events of one aggregate: by the places that are known, or by reading its whole partition.

use async_trait::async_trait;
use cqrs_es::{AggregateError, EventEnvelope};
use tokio::time::timeout;

use crate::contract::{Aggregate, Key, Offset, Position, Target, Version};
use crate::events::{Commit, decode};
use crate::log::{Mark, Tracker};
use crate::ports::LogRecord;

use super::super::failure::Failure;
use super::super::handle::Commands;
use super::super::kind::AnyKind;
use super::super::recovery::{CHUNK_BYTES_MAX, CHUNK_RECORDS_MAX};
use super::envelopes::{envelope, metadata_of};

type Envelopes<A> = Vec<EventEnvelope<A>>;

/// Knows where the commits of an aggregate are.
#[async_trait]
pub(crate) trait Whereabouts: Send + Sync + 'static {
    /// All commits of an aggregate in order, as of at least this position; none where that is not
    /// known, or not in time.
    async fn commits(&self, target: &Target, after: Position) -> Option<Vec<LogRecord>>;
}

/// The events of these commits, if they are all from the first to at least this version.
pub(super) fn all_up_to<A: Aggregate>(
    version: Version,
    id: &Key,
    commits: &[LogRecord],
) -> Option<Envelopes<A>> {
    let mut events = Vec::new();
    for record in commits {
        take::<A>(id, record, &mut events).ok()?;
    }
    let are_all = events.iter().zip(1..).all(|(event, nth)| event.sequence == nth);
    (are_all && events.len() as u64 >= version.0).then_some(events)
}

/// Reads up to the log's end as it was when this was called.
pub(super) async fn scan<A: Aggregate>(
    commands: &Commands,
    kind: &dyn AnyKind,
    id: &Key,
) -> Result<Envelopes<A>, AggregateError<A::Error>> {
    let (target, partition) = commands.place(kind, id);
    let (log, patience) = (commands.log(), commands.request_timeout());
    let mut events = Vec::new();
    let mut tracker = Tracker::default();
    let end = log.end(partition).await.map_err(unavailable)?;
    let mut reader = log.reader(partition, Offset(0)).await.map_err(unavailable)?;
    while tracker.next() < end {
        let next = timeout(patience, reader.next(CHUNK_RECORDS_MAX, CHUNK_BYTES_MAX)).await;
        let chunk = next.map_err(|_| unavailable("it did not answer in time"))?;
        let chunk = chunk.map_err(unavailable)?;
        for record in &chunk.records {
            let mark = tracker.step(record.offset, record.time, &record.stamp, &record.value);
            let is_its = record.key.as_deref() == Some(target.as_str().as_bytes());
            if mark == Mark::Counts && is_its && record.offset < end {
                take(id, record, &mut events)?;
            }
        }
        if chunk.at_end {
            break; // only holes are left
        }
    }
    Ok(events)
}

fn take<A: Aggregate>(
    id: &Key,
    record: &LogRecord,
    events: &mut Envelopes<A>,
) -> Result<(), AggregateError<A::Error>> {
    let commit = Commit::decode(&record.value)
        .map_err(|error| AggregateError::DeserializationError(Box::new(error)))?;
    for (stored, nth) in commit.events.iter().zip(0..) {
        let event = decode::<A>(stored)
            .map_err(|error| AggregateError::DeserializationError(Box::new(error)))?;
        let version = commit.first_version.plus(nth);
        events.push(envelope(id.as_str(), version, event, metadata_of(&commit)));
    }
    Ok(())
}

fn unavailable<E: std::error::Error>(error: impl ToString) -> AggregateError<E> {
    let failure = Failure::LogUnavailable(error.to_string());
    AggregateError::DatabaseConnectionError(Box::new(failure))
}
