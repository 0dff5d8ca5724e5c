//! Where a relay goes on: behind the last event of this log that its topic has.
//!
//! A message is believed only if the log has its event where it says. So garbage at the topic's
//! end, and what somebody made up, is passed over.

use std::sync::Arc;

use crate::contract::{Offset, Partition};
use crate::events::Commit;
use crate::log::{Chain, Checkpoint, Checks, LogId, Stamp, Tracker};
use crate::ports::{EventLog, LogError, LogOrigin, LogRecord, PlainTopic, Received};

use super::cloud_event::{Place, Published};

/// Messages that are looked at at once, from the topic's end back.
const WINDOW_LEN: usize = 200;
/// Bytes of the one record that is read again.
const RECORD_BYTES_MAX: usize = 1 << 20;

/// Where to go on.
pub(super) struct Resume {
    /// The fold before the first record that is to be read.
    pub(super) tracker: Tracker,
    /// The last record of which something was published, and how many of its events were.
    pub(super) begun: Option<(LogRecord, usize)>,
    /// The log; none while nobody has claimed the partition.
    pub(super) log: Option<LogId>,
}

/// Why nobody can know where to go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(
        "partition {partition} of topic {topic} holds events of another log, {found}: its readers \
         would take those of this one for old ones; name another topic with outbox.topic"
    )]
    OtherLog { partition: Partition, topic: String, found: LogId },
    #[error(
        "the messages of partition {partition} of topic {topic} were deleted, so nobody knows how \
         far it had come: delete the topic, and every event is published again, or name another \
         with outbox.topic"
    )]
    Emptied { partition: Partition, topic: String },
}

pub(super) async fn find(
    log: &Arc<dyn EventLog>,
    topic: &dyn PlainTopic,
    partition: Partition,
    source: &str,
) -> Result<Resume, Lost> {
    let claim = LogOrigin::new(log.clone(), partition, Checks::default()).first_claim().await?;
    let id = claim.map(|claim| LogId::of_first_claim(&claim));
    let span = topic.span(partition).await?;
    let mut end = span.end;
    while end > span.start {
        let messages = topic.before(partition, end, WINDOW_LEN).await?;
        for Received { message, .. } in messages.iter().rev() {
            let Some(published) = Published::read(message, source) else { continue };
            if Some(published.log) != id {
                let (topic, found) = (topic.name().to_owned(), published.log);
                return Err(Lost::OtherLog { partition, topic, found });
            }
            if let Some(resume) = confirm(log.as_ref(), partition, &published).await? {
                return Ok(resume);
            }
        }
        end = messages.first().map_or(span.start, |first| first.position.offset);
    }
    if span.start > Offset(0) {
        return Err(Lost::Emptied { partition, topic: topic.name().to_owned() });
    }
    Ok(Resume { tracker: Tracker::default(), begun: None, log: id })
}

/// Reads the record that a message is of; none if the log has no such event there.
async fn confirm(
    log: &dyn EventLog,
    partition: Partition,
    published: &Published,
) -> Result<Option<Resume>, LogError> {
    let Place { offset, index } = published.place;
    if log.end(partition).await? <= offset {
        return Ok(None);
    }
    let mut reader = match log.reader(partition, offset).await {
        Err(LogError::OutOfRange { .. }) => return Ok(None),
        reader => reader?,
    };
    let chunk = reader.next(1, RECORD_BYTES_MAX).await?;
    let Some(record) = chunk.records.into_iter().next() else { return Ok(None) };
    let Stamp::Commit { term, chain } = record.stamp else { return Ok(None) };
    let has_event = Commit::decode(&record.value).is_ok_and(|commit| {
        let event = commit.events.get(index);
        event.is_some_and(|event| event.id.to_string() == published.id)
    });
    if record.offset != offset || !has_event {
        return Ok(None);
    }
    // It counted, or it would not have been published; so the fold behind it is known.
    let tracker = Tracker::resume(&Checkpoint {
        log: published.log,
        next: offset.next(),
        term,
        chain: Chain(chain.0 + 1),
        time: record.time,
        commit: None,
    });
    Ok(Some(Resume { tracker, begun: Some((record, index + 1)), log: Some(published.log) }))
}
