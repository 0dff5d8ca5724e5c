//! One reader per partition for all lanes at the head: each record is fetched once, or not at all
//! where a writer in this process has passed it just now.
//!
//! A lane that cannot keep up is let go; it catches up with a reader of its own and comes back.
//! So no lane ever waits for another for longer than [`PATIENCE`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use crate::config::ReadConfig;
use crate::contract::{Offset, Partition};
use crate::ports::{Chunk, EventLog, LogError, LogReader, LogRecord, Tail, Tailed};
use crate::shutdown::Shutdown;

use super::looks::Looks;
use super::pace::Pace;

/// Chunks that wait for a lane.
const QUEUE_LEN: usize = 16;

/// How long a full lane is waited for before it is let go.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long the feed waits before it asks a log again that did not answer.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// Records that a feed gave to all its lanes.
#[derive(Clone, Default)]
pub(crate) struct Fed {
    pub(crate) records: Vec<LogRecord>,
    pub(crate) at_end: bool,
}

impl Fed {
    /// The records from this offset on.
    pub(crate) fn since(&self, from: Offset) -> &[LogRecord] {
        &self.records[self.records.partition_point(|record| record.offset < from)..]
    }
}

/// The shared reader of one partition. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Feed(Arc<Inner>);

struct Inner {
    log: Arc<dyn EventLog>,
    tail: Tail,
    partition: Partition,
    records_max: usize,
    bytes_max: usize,
    pace: Pace,
    looks: Looks,
    lanes: Mutex<Lanes>,
    joined: Notify,
}

#[derive(Default)]
struct Lanes {
    /// The offset after the last record that was given out; `None` while nobody listens.
    next: Option<Offset>,
    queues: Vec<mpsc::Sender<Arc<Fed>>>,
}

impl Feed {
    pub(super) fn new(
        log: Arc<dyn EventLog>,
        tail: Tail,
        partition: Partition,
        config: &ReadConfig,
        looks: Looks,
    ) -> Self {
        Self(Arc::new(Inner {
            log,
            tail,
            partition,
            records_max: config.chunk_records_max,
            bytes_max: config.chunk_bytes_max,
            pace: Pace::new(config.commit_interval),
            looks,
            lanes: Mutex::default(),
            joined: Notify::new(),
        }))
    }

    /// How often records are given out; whoever waits for one may hurry it.
    pub(super) fn pace(&self) -> Pace {
        self.0.pace.clone()
    }

    /// When its lanes look around while there is nothing for them.
    pub(super) fn looks(&self) -> Looks {
        self.0.looks
    }

    /// Joins, if the lane is where the feed is or before it: then it gets every record from
    /// `next` on, perhaps some twice. Otherwise it must read on by itself and try again.
    pub(super) fn join(&self, next: Offset) -> Option<mpsc::Receiver<Arc<Fed>>> {
        let mut lanes = self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        // All lanes read the same records, so "the offset after the last one" is the same number
        // for all that have come as far, whatever holes there are.
        if lanes.next.is_some_and(|fed| fed > next) {
            return None;
        }
        lanes.next.get_or_insert(next);
        let (queue, receiver) = mpsc::channel(QUEUE_LEN);
        lanes.queues.push(queue);
        self.0.joined.notify_one();
        Some(receiver)
    }

    /// Joins where the feed is, if it feeds anybody; says where that is.
    pub(super) fn join_here(&self) -> Option<(Offset, mpsc::Receiver<Arc<Fed>>)> {
        self.lanes(|lanes| {
            let next = lanes.next?;
            let (queue, receiver) = mpsc::channel(QUEUE_LEN);
            lanes.queues.push(queue);
            Some((next, receiver))
        })
    }

    /// Feeds until the process goes down.
    pub(super) async fn run(self, shutdown: Shutdown) {
        let feed = async {
            loop {
                let from = self.wait_for_lane().await;
                self.feed(from).await;
                self.0.tail.leave();
            }
        };
        tokio::select! {
            biased;
            () = feed => {}
            () = shutdown.requested() => {}
        }
    }

    async fn wait_for_lane(&self) -> Offset {
        loop {
            if let Some(next) = self.lanes(|lanes| lanes.next) {
                return next;
            }
            self.0.joined.notified().await;
        }
    }

    /// Gives out the records from an offset on, until nobody listens or the log is another.
    async fn feed(&self, mut from: Offset) {
        let mut reader = None;
        loop {
            let chunk = match self.next(from, &mut reader).await {
                Ok(chunk) => chunk,
                Err(error) if error.is_retryable() => {
                    reader = None;
                    tokio::time::sleep(RETRY_DELAY).await;
                    continue;
                }
                Err(_) => return self.let_all_go(),
            };
            let last = chunk.records.last().map(|record| record.offset.next());
            from = last.unwrap_or(from);
            let queues = self.lanes(|lanes| {
                lanes.next = last.or(lanes.next);
                lanes.queues.clone()
            });
            let at_end = chunk.at_end;
            let fed = Arc::new(Fed { records: chunk.records, at_end });
            for queue in queues {
                if !give(&queue, &fed).await {
                    self.let_go(&queue);
                }
            }
            if self.lanes(|lanes| lanes.queues.is_empty()) {
                return self.let_all_go();
            }
            if at_end {
                self.0.pace.rest().await;
            }
        }
    }

    /// The next records: from the writer's tail if it has them, else from the log.
    async fn next(
        &self,
        from: Offset,
        reader: &mut Option<Box<dyn LogReader>>,
    ) -> Result<Chunk, LogError> {
        let Inner { log, tail, partition, records_max, bytes_max, .. } = &*self.0;
        loop {
            match tail.take(from, *records_max) {
                Tailed::Records(records) => {
                    *reader = None;
                    return Ok(Chunk { records, at_end: true });
                }
                Tailed::Nothing => {
                    *reader = None;
                    tail.changed().await;
                }
                Tailed::Elsewhere => {
                    let open = match reader.take() {
                        Some(open) => open,
                        None => log.reader(*partition, from).await?,
                    };
                    let open = reader.insert(open);
                    tokio::select! {
                        biased;
                        chunk = open.next(*records_max, *bytes_max) => return chunk,
                        () = tail.changed() => {}
                    }
                }
            }
        }
    }

    fn let_go(&self, queue: &mpsc::Sender<Arc<Fed>>) {
        self.lanes(|lanes| lanes.queues.retain(|other| !other.same_channel(queue)));
    }

    /// Lets every lane find its own way; the next that joins says where to begin.
    fn let_all_go(&self) {
        self.lanes(|lanes| *lanes = Lanes::default());
    }

    fn lanes<T>(&self, with: impl FnOnce(&mut Lanes) -> T) -> T {
        with(&mut self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether the lane took it in time.
async fn give(queue: &mpsc::Sender<Arc<Fed>>, fed: &Arc<Fed>) -> bool {
    match queue.try_send(fed.clone()) {
        Ok(()) => true,
        Err(mpsc::error::TrySendError::Closed(_)) => false,
        Err(mpsc::error::TrySendError::Full(_)) => {
            timeout(PATIENCE, queue.send(fed.clone())).await.is_ok_and(|sent| sent.is_ok())
        }
    }
}
