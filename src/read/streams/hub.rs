//! What is appended, told to every event stream of this process: one listener for all of them.
//!
//! The hub listens to the shared reader of each partition while there is a stream. Streams share
//! its records, a few chunks at most: one that is slower misses some, notices that, and reads them
//! from the log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, broadcast, mpsc};

use crate::contract::{Offset, Partition};
use crate::ports::{EventLog, LogRecord};
use crate::shutdown::Shutdown;

use super::super::feed::{Fed, Feed};

/// Chunks that a stream may be behind, over all partitions.
const QUEUE_LEN: usize = 32;

/// How long the hub waits before it asks a log again that did not answer.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// The hub of a process. Clones are the same.
#[derive(Clone)]
pub(in super::super) struct Hub(Arc<Inner>);

struct Inner {
    log: Arc<dyn EventLog>,
    feeds: Vec<Feed>,
    heard: broadcast::Sender<Arc<Passed>>,
    /// Of each partition the offset after the last record that was told; none while nobody hears.
    nexts: Mutex<Vec<Option<Offset>>>,
    /// Somebody wants to hear.
    wanted: Notify,
    /// A partition is listened to.
    joined: Notify,
}

/// Records of a partition that were appended.
pub(super) struct Passed {
    pub(super) partition: Partition,
    /// All records from here on, up to `next`, are in it.
    pub(super) from: Offset,
    pub(super) next: Offset,
    fed: Option<Arc<Fed>>,
}

/// What a stream hears, and from where on.
pub(super) struct Hearing {
    pub(super) heard: broadcast::Receiver<Arc<Passed>>,
    /// By partition.
    pub(super) nexts: Vec<Offset>,
}

impl Passed {
    pub(super) fn records(&self) -> &[LogRecord] {
        self.fed.as_ref().map_or(&[], |fed| &fed.records)
    }
}

impl Hub {
    pub(in super::super) fn new(log: Arc<dyn EventLog>, feeds: Vec<Feed>) -> Self {
        let nexts = Mutex::new(vec![None; feeds.len()]);
        let heard = broadcast::Sender::new(QUEUE_LEN);
        let (wanted, joined) = (Notify::new(), Notify::new());
        Self(Arc::new(Inner { log, feeds, heard, nexts, wanted, joined }))
    }

    /// Hears from now on.
    pub(super) async fn hear(&self) -> Hearing {
        // It is held while waiting: who listens for us sees that there is somebody.
        let mut heard = self.0.heard.subscribe();
        loop {
            let mut joined = std::pin::pin!(self.0.joined.notified());
            joined.as_mut().enable();
            let nexts: Option<Vec<Offset>> = {
                let nexts = self.0.nexts();
                // With the lock nothing is told: what comes after these offsets is heard.
                heard = heard.resubscribe();
                nexts.iter().copied().collect()
            };
            if let Some(nexts) = nexts {
                return Hearing { heard, nexts };
            }
            self.0.wanted.notify_waiters();
            joined.await;
        }
    }

    /// Where each partition is now, as far as it is listened to.
    pub(super) fn nexts(&self) -> Vec<Option<Offset>> {
        self.0.nexts().clone()
    }

    /// Listens to one partition while there is a stream, until the process goes down.
    pub(in super::super) async fn run(self, partition: Partition, shutdown: Shutdown) {
        let listen = async {
            loop {
                self.0.wait_for_stream().await;
                let (from, queue) = self.0.join(partition).await;
                self.0.tell(partition, from, from, None);
                self.0.joined.notify_waiters();
                self.0.listen(partition, queue).await;
            }
        };
        tokio::select! {
            biased;
            () = listen => {}
            () = shutdown.requested() => {}
        }
    }
}

impl Inner {
    async fn wait_for_stream(&self) {
        loop {
            let mut wanted = std::pin::pin!(self.wanted.notified());
            wanted.as_mut().enable();
            if self.heard.receiver_count() > 0 {
                return;
            }
            wanted.await;
        }
    }

    /// Joins the partition's feed where it is, or where the log ends.
    async fn join(&self, partition: Partition) -> (Offset, mpsc::Receiver<Arc<Fed>>) {
        let feed = &self.feeds[partition.0 as usize];
        loop {
            if let Some(joined) = feed.join_here() {
                return joined;
            }
            match self.log.end(partition).await {
                Ok(end) => {
                    if let Some(queue) = feed.join(end) {
                        return (end, queue);
                    }
                }
                Err(_) => tokio::time::sleep(RETRY_DELAY).await,
            }
        }
    }

    /// Tells what comes, as long as somebody hears and the feed goes on.
    async fn listen(&self, partition: Partition, mut queue: mpsc::Receiver<Arc<Fed>>) {
        while let Some(fed) = queue.recv().await {
            if self.heard.receiver_count() == 0 {
                break;
            }
            let from = self.nexts()[partition.0 as usize].unwrap_or_default();
            let last = fed.records.last().map_or(from, |last| last.offset.next());
            if last > from {
                self.tell(partition, from, last, Some(fed));
            }
        }
        self.nexts()[partition.0 as usize] = None;
    }

    fn tell(&self, partition: Partition, from: Offset, next: Offset, fed: Option<Arc<Fed>>) {
        let mut nexts = self.nexts();
        nexts[partition.0 as usize] = Some(next);
        // An error means that the last stream has just gone.
        let _ = self.heard.send(Arc::new(Passed { partition, from, next, fed }));
    }

    fn nexts(&self) -> MutexGuard<'_, Vec<Option<Offset>>> {
        self.nexts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
