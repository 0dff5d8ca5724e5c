//! The log's ends as they were a few seconds ago: good enough to show a lag, asked for rarely
//! enough to cost nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::contract::{Offset, Partition};
use crate::log::Partitions;
use crate::ports::EventLog;
use crate::shutdown::Shutdown;

/// How often the log is asked.
const INTERVAL: Duration = Duration::from_secs(5);

/// The latest known end of each partition. Cheap to clone.
#[derive(Clone)]
pub(super) struct Ends(Arc<[AtomicU64]>);

impl Ends {
    pub(super) fn new(partitions: Partitions) -> Self {
        Self(partitions.iter().map(|_| AtomicU64::new(0)).collect())
    }

    pub(super) fn get(&self, partition: Partition) -> Offset {
        Offset(self.0[partition.0 as usize].load(Ordering::Relaxed))
    }

    /// Asks until the process goes down.
    pub(super) async fn run(self, log: Arc<dyn EventLog>, shutdown: Shutdown) {
        loop {
            for partition in log.partitions().iter() {
                // A log that does not answer is told of elsewhere; the old end stays.
                if let Ok(end) = log.end(partition).await {
                    self.0[partition.0 as usize].store(end.0, Ordering::Relaxed);
                }
            }
            tokio::select! {
                biased;
                () = tokio::time::sleep(INTERVAL) => {}
                () = shutdown.requested() => return,
            }
        }
    }
}
