//! Appends to one partition of the embedded log. Dropping it gives up what is not being written.

use std::sync::Arc;

use async_trait::async_trait;

use crate::contract::Partition;
use crate::ports::{AppendError, Appender, NewRecord, Report, SendNumber};

use super::queue::{InFlight, Pending};
use super::{OpenLog, record};

pub(super) struct EmbeddedAppender {
    log: Arc<OpenLog>,
    partition: Partition,
    next: SendNumber,
    in_flight: Arc<InFlight>,
}

impl EmbeddedAppender {
    pub(super) fn new(log: Arc<OpenLog>, partition: Partition) -> Self {
        let limits = &log.limits;
        let in_flight = InFlight::new(limits.in_flight_len_max, limits.in_flight_bytes_max);
        Self { log, partition, next: SendNumber(0), in_flight: Arc::new(in_flight) }
    }
}

#[async_trait]
impl Appender for EmbeddedAppender {
    fn append(&mut self, record: NewRecord<'_>) -> Result<SendNumber, AppendError> {
        let len = record.key.map_or(0, <[u8]>::len) + record.value.len();
        let max = self.log.limits.record_len_max;
        if len > max {
            return Err(AppendError::TooLarge { len, max });
        }
        if self.log.queue.has_failed() {
            return Err(AppendError::Dead);
        }
        let (send, encoded) = (self.next, record::encode(&record));
        let pending = Pending::new(&self.in_flight, self.partition, send, encoded)?;
        self.next = SendNumber(send.0 + 1);
        self.log.queue.push(pending);
        Ok(send)
    }

    async fn settled(&mut self, reports: &mut Vec<Report>) {
        self.in_flight.settled(reports).await;
    }
}

impl Drop for EmbeddedAppender {
    fn drop(&mut self) {
        self.in_flight.abandon();
    }
}
