//! Whether a checkpoint is of this log: the proof that a store does not hold another log's data.

use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::contract::Partition;
use crate::log::{Checkpoint, Checks, LogId, Mark, Tracker};
use crate::ports::{EventLog, LogError};

/// Records read at once while looking for the first claim.
const CHUNK_RECORDS_MAX: usize = 100;
/// Bytes read at once.
const CHUNK_BYTES_MAX: usize = 1 << 20;

/// Where one partition of the log begins. Cheap to clone; what it has read it knows.
#[derive(Clone)]
pub(super) struct Origin {
    log: Arc<dyn EventLog>,
    partition: Partition,
    id: Arc<OnceCell<LogId>>,
    checks: Checks,
}

impl Origin {
    pub(super) fn new(log: Arc<dyn EventLog>, partition: Partition, checks: Checks) -> Self {
        Self { log, partition, id: Arc::default(), checks }
    }

    /// Whether the checkpoint was taken on this log: same first claim, and the record before it
    /// is where it was, from when it was.
    pub(super) async fn has(&self, checkpoint: &Checkpoint) -> Result<bool, LogError> {
        let Some(id) = self.id().await? else { return Ok(false) };
        if (id != checkpoint.log && self.checks.log_id) || checkpoint.next.0 == 0 {
            return Ok(false);
        }
        let last = crate::contract::Offset(checkpoint.next.0 - 1);
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

    /// The log's id; none before the first claim that counts.
    async fn id(&self) -> Result<Option<LogId>, LogError> {
        if let Some(id) = self.id.get() {
            return Ok(Some(*id));
        }
        let mut reader = self.log.reader(self.partition, crate::contract::Offset(0)).await?;
        let mut tracker = Tracker::default();
        loop {
            let chunk = reader.next(CHUNK_RECORDS_MAX, CHUNK_BYTES_MAX).await?;
            for record in &chunk.records {
                let (offset, time) = (record.offset, record.time);
                if tracker.step(offset, time, &record.stamp, &record.value) == Mark::Claim {
                    let id = LogId::of_first_claim(&record.value);
                    return Ok(Some(*self.id.get_or_init(|| async { id }).await));
                }
            }
            if chunk.at_end {
                return Ok(None);
            }
        }
    }
}
