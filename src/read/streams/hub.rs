//! What is appended, heard once for all event streams of a process.
//!
//! While there is a stream, the hub listens to the shared reader of its partitions as one lane
//! more, and never waits for anybody. Streams look at what it holds when they get to it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};

use crate::contract::{Offset, Partition};
use crate::ports::EventLog;
use crate::shutdown::Shutdown;

use super::super::feed::{Fed, Feed};
use super::recent::{Recent, Since};

/// How long the hub waits before it asks a log again that did not answer.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// The hub of a process. Clones are the same.
#[derive(Clone)]
pub(super) struct Hub(Arc<Inner>);

struct Inner {
    log: Arc<dyn EventLog>,
    lines: Vec<Line>,
    shutdown: Shutdown,
}

/// What is heard of one partition.
struct Line {
    feed: Feed,
    /// None while nobody listens.
    recent: Mutex<Option<Recent>>,
    /// Up to where it was heard; those who listen are counted here.
    heard: watch::Sender<Option<Offset>>,
    /// Somebody begins to listen.
    wanted: Notify,
}

/// One stream's ear for one partition.
pub(super) struct Listener {
    pub(super) partition: Partition,
    hub: Hub,
    heard: watch::Receiver<Option<Offset>>,
}

impl Hub {
    pub(super) fn new(log: Arc<dyn EventLog>, feeds: &[Feed], shutdown: Shutdown) -> Self {
        let line = |feed: &Feed| Line {
            feed: feed.clone(),
            recent: Mutex::new(None),
            heard: watch::Sender::new(None),
            wanted: Notify::new(),
        };
        Self(Arc::new(Inner { log, lines: feeds.iter().map(line).collect(), shutdown }))
    }

    /// Ends every stream.
    pub(super) fn shutdown(&self) -> Shutdown {
        self.0.shutdown.clone()
    }

    pub(super) fn listen(&self, partition: Partition) -> Listener {
        let line = self.line(partition);
        let heard = line.heard.subscribe();
        line.wanted.notify_one();
        Listener { partition, hub: self.clone(), heard }
    }

    /// Listens to one partition while there is a stream, until the process goes down.
    pub(super) async fn run(self, partition: Partition) {
        let line = self.line(partition);
        let listen = async {
            loop {
                line.wait_for_stream().await;
                let (from, queue) = self.join(partition).await;
                *line.recent() = Some(Recent::from(from));
                line.heard.send_replace(Some(from));
                line.hear(queue).await;
                *line.recent() = None;
                line.heard.send_replace(None);
            }
        };
        tokio::select! {
            biased;
            () = self.0.shutdown.requested() => {}
            () = listen => {}
        }
    }

    /// Joins the partition's feed where it is, or where the log ends.
    async fn join(&self, partition: Partition) -> (Offset, mpsc::Receiver<Arc<Fed>>) {
        let feed = &self.line(partition).feed;
        loop {
            if let Some(joined) = feed.join_here() {
                return joined;
            }
            match self.0.log.end(partition).await {
                Ok(end) => {
                    if let Some(queue) = feed.join(end) {
                        return (end, queue);
                    }
                }
                Err(_) => tokio::time::sleep(RETRY_DELAY).await,
            }
        }
    }

    fn line(&self, partition: Partition) -> &Line {
        &self.0.lines[partition.0 as usize]
    }
}

impl Line {
    async fn wait_for_stream(&self) {
        while self.heard.receiver_count() == 0 {
            self.wanted.notified().await;
        }
    }

    /// Holds what comes, as long as somebody listens and the feed goes on.
    async fn hear(&self, mut queue: mpsc::Receiver<Arc<Fed>>) {
        while let Some(fed) = queue.recv().await {
            if self.heard.receiver_count() == 0 {
                return;
            }
            let next = self.recent().as_mut().map(|recent| recent.push(fed));
            self.heard.send_if_modified(|heard| std::mem::replace(heard, next) != next);
        }
    }

    fn recent(&self) -> MutexGuard<'_, Option<Recent>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener {
    /// The offset after the last record that was heard.
    pub(super) async fn now(&mut self) -> Offset {
        let heard = self.heard.wait_for(Option::is_some).await.map(|heard| *heard);
        match heard.ok().flatten() {
            Some(heard) => heard,
            // The hub lives as long as its listeners.
            None => std::future::pending().await,
        }
    }

    /// What was heard from a place on.
    pub(super) fn since(&self, from: Offset) -> Since {
        let recent = self.hub.line(self.partition).recent();
        recent.as_ref().map_or(Since::Nothing, |recent| recent.since(from))
    }

    /// Returns when there may be more than when this was last called.
    pub(super) async fn changed(&mut self) {
        if self.heard.changed().await.is_err() {
            std::future::pending().await
        }
    }
}
