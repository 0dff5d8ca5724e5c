//! Records of the log at places that are known: many readers for one request, few for all.
//!
//! Places that are near each other are read in one run; what lies between is passed over. A run
//! never reads beyond its last place, so that the next one may go on where it stopped.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::config::HistoryConfig;
use crate::contract::{Offset, Partition};
use crate::ports::{EventLog, LogError, LogReader, LogRecord};

use super::super::query_error::QueryError;

/// Records that are passed over sooner than another reader is opened: on Kafka that costs a few
/// milliseconds, in which a reader gives about as many.
const GAP_MAX: u64 = 1_000;
/// Readers that one request has at once.
const AT_ONCE: usize = 4;
/// Records and bytes that are read at once.
const CHUNK_RECORDS_MAX: usize = 1_000;
const CHUNK_BYTES_MAX: usize = 1 << 20;
/// How long a request waits for a reader.
const PATIENCE: Duration = Duration::from_secs(1);

/// Opens readers for requests. Cheap to clone.
#[derive(Clone)]
pub(in super::super) struct Records {
    log: Arc<dyn EventLog>,
    readers: Arc<Semaphore>,
    pub(super) config: HistoryConfig,
}

/// A reader that a request has.
pub(in super::super) struct Open {
    reader: Box<dyn LogReader>,
    /// Where it goes on.
    next: Offset,
    _permit: OwnedSemaphorePermit,
}

/// Reads at places that come in order.
pub(super) struct Places {
    records: Records,
    partition: Partition,
    open: Option<Open>,
}

impl Records {
    pub(in super::super) fn new(log: Arc<dyn EventLog>, config: HistoryConfig) -> Self {
        let readers = Arc::new(Semaphore::new(config.readers_max));
        Self { log, readers, config }
    }

    /// A reader from this offset on, when there is one for this request.
    pub(in super::super) async fn open(
        &self,
        partition: Partition,
        at: Offset,
    ) -> Result<Open, QueryError> {
        let permit = timeout(PATIENCE, self.readers.clone().acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            return Err(QueryError::ReadersBusy(self.config.readers_max));
        };
        let reader = self.log.reader(partition, at).await.map_err(unavailable)?;
        Ok(Open { reader, next: at, _permit: permit })
    }

    pub(super) fn places(&self, partition: Partition) -> Places {
        Places { records: self.clone(), partition, open: None }
    }
}

impl Open {
    /// The next records, so many at most; whether the end was reached after them.
    pub(in super::super) async fn next(
        &mut self,
        records_max: usize,
    ) -> Result<(Vec<LogRecord>, bool), QueryError> {
        let records_max = records_max.min(CHUNK_RECORDS_MAX);
        let chunk = self.reader.next(records_max, CHUNK_BYTES_MAX).await.map_err(unavailable)?;
        self.next = chunk.records.last().map_or(self.next, |last| last.offset.next());
        Ok((chunk.records, chunk.at_end))
    }
}

impl Places {
    /// The records at these places, which come after all that were read before.
    pub(super) async fn read(&mut self, places: &[Offset]) -> Result<Vec<LogRecord>, QueryError> {
        let mut runs = Vec::new();
        for run in places.chunk_by(|one, next| next.0 - one.0 <= GAP_MAX) {
            let goes_on = |open: &mut Open| {
                open.next <= run[0] && run[0].0 - open.next.0 <= GAP_MAX && runs.is_empty()
            };
            let open = self.open.take_if(goes_on);
            runs.push(self.run(open, run.to_vec()));
        }
        self.open = None;
        let read: Vec<_> = stream::iter(runs).buffered(AT_ONCE).try_collect().await?;
        let mut records = Vec::with_capacity(places.len());
        for (open, run) in read {
            self.open = Some(open);
            records.extend(run);
        }
        Ok(records)
    }

    fn run(
        &self,
        open: Option<Open>,
        places: Vec<Offset>,
    ) -> impl Future<Output = Result<(Open, Vec<LogRecord>), QueryError>> + Send + use<> {
        let (source, partition) = (self.records.clone(), self.partition);
        async move {
            let (first, last) = (places[0], places[places.len() - 1]);
            let mut open = match open {
                Some(open) => open,
                None => source.open(partition, first).await?,
            };
            let mut records: Vec<LogRecord> = Vec::with_capacity(places.len());
            while open.next <= last {
                let left = last.0 - open.next.0 + 1;
                let left = usize::try_from(left).unwrap_or(usize::MAX);
                let (chunk, at_end) = open.next(left).await?;
                let wanted = |record: &LogRecord| places.binary_search(&record.offset).is_ok();
                records.extend(chunk.into_iter().filter(wanted));
                if at_end {
                    break;
                }
            }
            let missing = places.iter().zip(&records).find(|(at, record)| **at != record.offset);
            let missing = missing.map(|(at, _)| *at).or(places.get(records.len()).copied());
            match missing {
                None => Ok((open, records)),
                Some(at) => Err(gone(partition, at)),
            }
        }
    }
}

fn gone(partition: Partition, at: Offset) -> QueryError {
    let what = format!("partition {partition}");
    QueryError::Unreadable { what, detail: format!("the log has no record {at}, but it had") }
}

pub(super) fn unavailable(error: LogError) -> QueryError {
    QueryError::LogUnavailable(error.to_string())
}
