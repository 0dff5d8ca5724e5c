//! What became of a command, looked up in the log by its id.
//!
//! The log alone decides: what is found here has happened, whoever was told so.

use tokio::time::timeout;

use crate::contract::{Key, Offset, Partition, Position, Refusal, Target, Version};
use crate::events::{CommandId, Commit, StoredEvent};
use crate::log::{Mark, Tracker};
use crate::ports::{LogError, LogRecord};

use super::done::Done;
use super::failure::Failure;
use super::handle::Commands;
use super::recovery::{CHUNK_BYTES_MAX, CHUNK_RECORDS_MAX};

/// What became of a command that left a record.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It was done.
    Done(Done),
    /// It was refused.
    Refused(Refusal),
}

impl Commands {
    /// The outcome of a command, if it left one in the log so far.
    ///
    /// This reads the aggregate's whole partition: slow on a long log, and exact.
    ///
    /// # Errors
    /// No such aggregate type, the log does not answer, or the command's record cannot be read.
    pub async fn outcome(
        &self,
        aggregate_type: &str,
        id: &Key,
        command_id: &CommandId,
    ) -> Result<Option<Outcome>, Failure> {
        let kind = self.kind(aggregate_type)?;
        let (target, partition) = self.place(kind.as_ref(), id);
        let (log, patience) = (self.log(), self.request_timeout());
        let mut tracker = Tracker::default();
        let end = log.end(partition).await?;
        let mut reader = log.reader(partition, Offset(0)).await?;
        while tracker.next() < end {
            let next = timeout(patience, reader.next(CHUNK_RECORDS_MAX, CHUNK_BYTES_MAX)).await;
            let chunk = next.map_err(|_| unavailable("it did not answer in time"))??;
            for record in &chunk.records {
                let mark = tracker.step(record.offset, record.time, &record.stamp, &record.value);
                let is_its = record.key.as_deref() == Some(target.as_str().as_bytes());
                if mark == Mark::Counts
                    && is_its
                    && let Some(outcome) = read(&target, partition, record, command_id)?
                {
                    return Ok(Some(outcome));
                }
            }
            if chunk.at_end {
                break; // only holes are left
            }
        }
        Ok(None)
    }
}

/// The outcome in this record, if it is that of this command.
fn read(
    target: &Target,
    partition: Partition,
    record: &LogRecord,
    command_id: &CommandId,
) -> Result<Option<Outcome>, Failure> {
    let commit = Commit::decode(&record.value).map_err(|error| Failure::HistoryUnreadable {
        target: target.to_string(),
        detail: format!("{partition}@{}: {error}", record.offset),
    })?;
    if commit.command_id != command_id.as_str() {
        return Ok(None);
    }
    if let Some(refusal) = commit.refused {
        return Ok(Some(Outcome::Refused(refusal)));
    }
    let before = Version(commit.first_version.0.saturating_sub(1));
    Ok(Some(Outcome::Done(Done {
        target: target.clone(),
        version: before.plus(commit.events.len()),
        position: Position { partition, offset: record.offset },
        command_id: command_id.clone(),
        time: commit.time,
        events: commit.events.into_iter().map(owned).collect(),
        replayed: true,
    })))
}

fn owned(event: StoredEvent<'_>) -> StoredEvent<'static> {
    StoredEvent {
        id: event.id,
        event_type: event.event_type.into_owned().into(),
        schema: event.schema,
        data: std::borrow::Cow::Owned(event.data.into_owned()),
    }
}

fn unavailable(detail: &str) -> Failure {
    Failure::LogUnavailable(detail.to_owned())
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        Self::LogUnavailable(error.to_string())
    }
}
