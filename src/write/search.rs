//! Finding the record of a command in the log, and the first answer in the record.

use std::sync::Arc;

use bytes::Bytes;

use crate::contract::{Offset, Partition, Position, Target};
use crate::events::{CommandId, Commit, StoredEvent};
use crate::log::{Mark, Tracker};
use crate::ports::{EventLog, LogError, LogReader, LogRecord, SpaceState, StoreError};

use super::done::Done;
use super::failure::{CommandError, DecidedOn, Failure};
use super::outcomes::{IdHash, Trace};
use super::recovery::{CHUNK_BYTES_MAX, CHUNK_RECORDS_MAX};
use super::space::StateSpace;
use super::ticket::{Answer, Ticket};

/// Where a record may be.
pub(super) enum Search {
    /// At one of these places, each of which counts; some are in pages of the state space, which
    /// held this state when the search began.
    At { hash: IdHash, trace: Trace, space: Box<StateSpace>, floor: SpaceState },
    /// From where the fold stood, before this offset.
    From(Box<Tracker>, Offset),
}

/// Whose record is searched.
pub(super) struct Wanted {
    pub(super) log: Arc<dyn EventLog>,
    pub(super) partition: Partition,
    pub(super) target: Target,
    pub(super) command_id: CommandId,
}

/// The end of a search.
pub(super) struct Searched {
    pub(super) found: Option<Found>,
    /// What was found of the state space, if its pages were read.
    pub(super) seen: Option<Seen>,
}

/// A state space whose pages were read.
pub(super) struct Seen {
    /// What it held when the search began.
    pub(super) floor: SpaceState,
    /// What it held when they were read.
    pub(super) state: SpaceState,
    /// Whether all were there.
    pub(super) is_whole: bool,
}

/// What kept a search from its end.
#[derive(Debug)]
pub(super) enum SearchError {
    Log(LogError),
    Store(StoreError),
}

/// The record of a command.
pub(super) struct Found {
    offset: Offset,
    value: Bytes,
}

impl Wanted {
    /// The record, if there is one.
    pub(super) async fn find(self, search: Search) -> Result<Searched, SearchError> {
        match search {
            Search::At { hash, trace, space, floor } => {
                let Trace { mut places, pages } = trace;
                let mut seen = None;
                if !pages.is_empty() {
                    let (state, more) = space.read_pages(&pages, hash).await?;
                    seen = Some(Seen { floor, state, is_whole: more.is_some() });
                    places.extend(more.unwrap_or_default());
                }
                Ok(Searched { found: self.find_at(&places).await?, seen })
            }
            Search::From(tracker, end) => {
                Ok(Searched { found: self.find_from(*tracker, end).await?, seen: None })
            }
        }
    }

    async fn find_at(&self, places: &[Offset]) -> Result<Option<Found>, LogError> {
        for &place in places {
            let mut reader = self.log.reader(self.partition, place).await?;
            let record = first_record(reader.as_mut()).await?;
            if record.offset == place && self.is_of(&record)? {
                return Ok(Some(Found { offset: place, value: record.value }));
            }
        }
        Ok(None)
    }

    async fn find_from(
        &self,
        mut tracker: Tracker,
        end: Offset,
    ) -> Result<Option<Found>, LogError> {
        if tracker.next() >= end {
            return Ok(None);
        }
        let mut reader = self.log.reader(self.partition, tracker.next()).await?;
        loop {
            let chunk = reader.next(CHUNK_RECORDS_MAX, CHUNK_BYTES_MAX).await?;
            for record in chunk.records {
                if record.offset >= end {
                    return Ok(None);
                }
                let (offset, value) = (record.offset, &record.value);
                let mark = tracker.step(offset, record.time, &record.stamp, value);
                // Most are of others: their values need not be decoded.
                let may_be = record.key.as_deref() == Some(self.target.as_str().as_bytes());
                if mark == Mark::Counts && may_be && self.is_of(&record).unwrap_or(false) {
                    return Ok(Some(Found { offset, value: record.value }));
                }
            }
            if tracker.next() >= end || chunk.at_end {
                return Ok(None);
            }
        }
    }

    fn is_of(&self, record: &LogRecord) -> Result<bool, LogError> {
        let commit = Commit::decode(&record.value);
        let commit = commit.map_err(|error| LogError::Damaged(error.to_string()))?;
        Ok(commit.is_of(&self.target) && commit.command_id == self.command_id.as_str())
    }
}

impl Found {
    /// The first answer, for whoever sends the same again.
    pub(super) fn answer(&self, ticket: &Ticket, partition: Partition) -> Answer {
        let commit = Commit::decode(&self.value);
        let commit = commit.map_err(|error| Failure::HistoryUnreadable {
            target: ticket.target.to_string(),
            detail: error.to_string(),
        })?;
        let is_another = |first: &str| first != ticket.order.fingerprint().to_string();
        // What an id was derived from stays the same; what is derived may be said otherwise later.
        let is_compared = !ticket.recall && !ticket.command_id.is_derived();
        if is_compared && commit.fingerprint.as_deref().is_some_and(is_another) {
            return Err(Failure::KeyReused.into());
        }
        let version = commit.last_version();
        let position = Position { partition, offset: self.offset };
        if let Some(refusal) = commit.refused {
            let on = DecidedOn { version, position };
            return Err(CommandError::RefusedBefore { refusal, on });
        }
        Ok(Done {
            target: ticket.target.clone(),
            version,
            position,
            command_id: ticket.command_id.clone(),
            time: commit.time,
            events: commit.events.into_iter().map(StoredEvent::into_owned).collect(),
            replayed: true,
        })
    }
}

impl From<LogError> for SearchError {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl From<StoreError> for SearchError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The record at which a reader begins, or the next one.
pub(super) async fn first_record(reader: &mut dyn LogReader) -> Result<LogRecord, LogError> {
    loop {
        let chunk = reader.next(1, CHUNK_BYTES_MAX).await?;
        match chunk.records.into_iter().next() {
            Some(record) => return Ok(record),
            None if chunk.at_end => {
                return Err(LogError::Damaged("a record that counted is gone".to_owned()));
            }
            None => {}
        }
    }
}
