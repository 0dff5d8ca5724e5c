//! Whether a checkpoint is of this log: the proof that a store does not hold another log's data.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OnceCell;

use crate::contract::{Offset, Partition};
use crate::log::{Checkpoint, Checks, LogId, Mark, Tracker};

use super::{EventLog, LogError};

/// Records read at once while looking for the first claim.
const CHUNK_RECORDS_MAX: usize = 100;
/// Bytes read at once.
const CHUNK_BYTES_MAX: usize = 1 << 20;

/// Where one partition of the log begins. Cheap to clone; what it has read it knows.
#[derive(Clone)]
pub(crate) struct LogOrigin {
    log: Arc<dyn EventLog>,
    partition: Partition,
    first_claim: Arc<OnceCell<Bytes>>,
    checks: Checks,
}

impl LogOrigin {
    /// The origin of a partition; nothing is read yet.
    #[must_use]
    pub(crate) fn new(log: Arc<dyn EventLog>, partition: Partition, checks: Checks) -> Self {
        Self { log, partition, first_claim: Arc::default(), checks }
    }

    /// Whether the checkpoint was taken on this log: same first claim, and the record before it
    /// is where it was, from when it was.
    ///
    /// # Errors
    /// The log does not answer.
    pub(crate) async fn has(&self, checkpoint: &Checkpoint) -> Result<bool, LogError> {
        let Some(claim) = self.first_claim().await? else { return Ok(false) };
        let is_same = LogId::of_first_claim(&claim) == checkpoint.log;
        if (!is_same && self.checks.log_id) || checkpoint.next.0 == 0 {
            return Ok(false);
        }
        let last = Offset(checkpoint.next.0 - 1);
        if self.log.end(self.partition).await? <= last {
            return Ok(false);
        }
        let mut reader = match self.log.reader(self.partition, last).await {
            Err(LogError::OutOfRange { .. }) => return Ok(false),
            reader => reader?,
        };
        let chunk = reader.next(1, CHUNK_BYTES_MAX).await?;
        let record = chunk.records.first();
        Ok(record.is_some_and(|it| it.offset == last && it.time == checkpoint.time))
    }

    /// The value of the first claim that counts, if there is one yet.
    ///
    /// # Errors
    /// The log does not answer.
    pub(crate) async fn first_claim(&self) -> Result<Option<Bytes>, LogError> {
        if let Some(claim) = self.first_claim.get() {
            return Ok(Some(claim.clone()));
        }
        let mut reader = self.log.reader(self.partition, Offset(0)).await?;
        let mut tracker = Tracker::default();
        loop {
            let chunk = reader.next(CHUNK_RECORDS_MAX, CHUNK_BYTES_MAX).await?;
            for record in chunk.records {
                let (offset, time) = (record.offset, record.time);
                if tracker.step(offset, time, &record.stamp, &record.value) == Mark::Claim {
                    let claim = self.first_claim.get_or_init(|| async { record.value }).await;
                    return Ok(Some(claim.clone()));
                }
            }
            if chunk.at_end {
                return Ok(None);
            }
        }
    }
}
