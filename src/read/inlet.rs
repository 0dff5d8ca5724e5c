//! Where a lane's records come from: a reader of its own, or the feed once it is at the head.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::config::ReadConfig;
use crate::contract::{Offset, Partition};
use crate::ports::{EventLog, LogError, LogReader};

use super::feed::{Fed, Feed};
use super::pace::Pace;

/// Records read at once where nothing is committed after each chunk: what was made of them is
/// still in the processor's cache when it is folded, and in memory that is used again.
const BUILD_RECORDS_MAX: usize = 500;

pub(crate) struct Inlet {
    log: Arc<dyn EventLog>,
    partition: Partition,
    feed: Feed,
    records_max: usize,
    bytes_max: usize,
    /// Records that were put back, or came while it lingered.
    held: Option<Arc<Fed>>,
    from: From,
}

enum From {
    Own(Box<dyn LogReader>),
    Feed(mpsc::Receiver<Arc<Fed>>),
}

impl Inlet {
    /// Opens a reader at `next`.
    pub(crate) async fn open(
        log: Arc<dyn EventLog>,
        partition: Partition,
        feed: Feed,
        next: Offset,
        config: &ReadConfig,
    ) -> Result<Self, LogError> {
        let reader = log.reader(partition, next).await?;
        let (records_max, bytes_max) = (config.chunk_records_max, config.chunk_bytes_max);
        let from = From::Own(reader);
        Ok(Self { log, partition, feed, records_max, bytes_max, held: None, from })
    }

    /// Puts back what was not needed yet: it comes first the next time.
    pub(super) fn put_back(&mut self, fed: Arc<Fed>) {
        self.held = Some(fed);
    }

    /// Gathers what comes for so long, or until it is a chunk or somebody waits: so that a commit
    /// carries many records where nobody does. One that reads by itself is behind.
    pub(super) async fn linger(&mut self, pace: &Pace, gathering: Duration) {
        let From::Feed(queue) = &mut self.from else { return };
        let mut rest = std::pin::pin!(pace.rest_for(gathering));
        while self.held.as_ref().is_none_or(|held| held.records.len() < self.records_max) {
            let fed = tokio::select! {
                biased;
                fed = queue.recv() => fed,
                () = &mut rest => return,
            };
            // A feed that let go of this lane is noticed when the next records are asked for.
            let Some(fed) = fed else { return };
            let held = Arc::make_mut(self.held.get_or_insert_default());
            held.records.extend_from_slice(&fed.records);
            held.at_end = fed.at_end;
        }
    }

    /// The next records, some of which may be before `next`; nothing when none came until it is
    /// time to look around. A lane that may follow joins the feed when it is near the head.
    pub(crate) async fn next(
        &mut self,
        next: Offset,
        may_join: bool,
    ) -> Result<Option<Arc<Fed>>, LogError> {
        if let Some(held) = self.held.take() {
            return Ok(Some(held));
        }
        let patience = self.feed.looks().rest();
        let records_max =
            if may_join { self.records_max } else { self.records_max.min(BUILD_RECORDS_MAX) };
        loop {
            match &mut self.from {
                From::Own(reader) => {
                    let read = reader.next(records_max, self.bytes_max);
                    let Ok(chunk) = timeout(patience, read).await else { return Ok(None) };
                    let chunk = chunk?;
                    let near = chunk.at_end || chunk.records.len() < records_max;
                    let last = chunk.records.last().map_or(next, |last| last.offset.next());
                    if may_join
                        && near
                        && let Some(queue) = self.feed.join(last)
                    {
                        self.from = From::Feed(queue);
                    }
                    let (records, at_end) = (chunk.records, chunk.at_end);
                    return Ok(Some(Arc::new(Fed { records, at_end })));
                }
                From::Feed(queue) => match timeout(patience, queue.recv()).await {
                    Ok(Some(fed)) => return Ok(Some(gather(fed, queue, self.records_max))),
                    Ok(None) => {
                        let reader = self.log.reader(self.partition, next).await?;
                        self.from = From::Own(reader);
                    }
                    Err(_) => return Ok(None),
                },
            }
        }
    }
}

/// What has come meanwhile is taken together with it: the busier the log, the larger a commit.
fn gather(first: Arc<Fed>, queue: &mut mpsc::Receiver<Arc<Fed>>, records_max: usize) -> Arc<Fed> {
    if queue.is_empty() {
        return first;
    }
    let mut all = Fed { records: first.records.clone(), at_end: first.at_end };
    while all.records.len() < records_max
        && let Ok(fed) = queue.try_recv()
    {
        all.records.extend_from_slice(&fed.records);
        all.at_end = fed.at_end;
    }
    Arc::new(all)
}
