//! The outbox: every event that counts, as a message of its own for other teams.
//!
//! It keeps no checkpoint. Where its topic ends says how far it has come, so it can publish an
//! event twice (after a crash, or beside another node) but never leave one out.

mod cloud_event;
mod relay;
mod resume;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::contract::{Offset, Partition};
use crate::gate::Gate;
use crate::ports::{EventLog, LogError, PlainTopic};
use crate::shutdown::Shutdown;

use relay::Relay;

/// How long a look at the topic's settings is good for; many relays ask at the same time.
const CHECK_GOOD_FOR: Duration = Duration::from_secs(1);

/// What an outbox is made of.
pub struct OutboxParts {
    /// Where the events are.
    pub log: Arc<dyn EventLog>,
    /// Opens when the log may be read.
    pub gate: Gate,
    /// Where they go.
    pub topic: Arc<dyn PlainTopic>,
    /// How they look.
    pub form: EventForm,
    /// Records that are read at once, at most.
    pub chunk_records_max: usize,
    /// Bytes that are read at once, at most about.
    pub chunk_bytes_max: usize,
}

/// What the settings say about how an event looks.
#[derive(Clone, Debug)]
pub struct EventForm {
    /// The attribute `source`.
    pub source: String,
    /// What stands before the type of each event.
    pub type_prefix: String,
    /// The URL below which the schemas of events are, without a slash at its end.
    pub dataschema_url: String,
}

/// Tells of a running outbox. Cheap to clone.
#[derive(Clone)]
pub struct Outbox(Arc<Inner>);

struct Inner {
    parts: OutboxParts,
    relays: Mutex<Vec<RelayStatus>>,
    /// When the topic was last what it must be.
    checked: tokio::sync::Mutex<Option<Instant>>,
}

/// How far one partition has come.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct RelayStatus {
    /// Of the log, and of the outbox.
    pub partition: Partition,
    /// The first record of the log that may not be published; none until that is known.
    pub next: Option<Offset>,
    /// Messages sent by this process.
    pub published: u64,
    /// Records that count and cannot be read by any binary: there is nothing in them to publish.
    pub unreadable: u64,
    /// What it does.
    #[serde(flatten)]
    pub state: RelayState,
}

/// What the relay of a partition does.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum RelayState {
    /// It looks where it must go on.
    Starting,
    /// It publishes what comes.
    Following,
    /// Something does not answer; it tries again.
    Waiting {
        /// What was said.
        reason: String,
    },
    /// A person must mend something; it looks again from time to time.
    Refused {
        /// What, and how.
        reason: String,
    },
    /// The log has a record that only a newer binary can read.
    NewerEvents {
        /// Which.
        reason: String,
    },
}

impl Outbox {
    /// Starts a relay for each partition; they run until `stop`, in `tasks`.
    pub fn start(parts: OutboxParts, stop: &Shutdown, tasks: &mut JoinSet<()>) -> Self {
        let partitions = parts.log.partitions();
        let relays = partitions.iter().map(RelayStatus::new).collect();
        let (relays, checked) = (Mutex::new(relays), tokio::sync::Mutex::default());
        let outbox = Self(Arc::new(Inner { parts, relays, checked }));
        for partition in partitions.iter() {
            let (relay, stop) = (Relay::new(outbox.clone(), partition), stop.clone());
            tasks.spawn(async move {
                tokio::select! {
                    () = relay.run() => {}
                    () = stop.requested() => {}
                }
            });
        }
        outbox
    }

    /// The topic's name.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.0.parts.topic.name()
    }

    /// Where each partition stands.
    #[must_use]
    pub fn status(&self) -> Vec<RelayStatus> {
        self.relays().clone()
    }

    /// Whether the topic is what it must be, as it was found a moment ago.
    async fn check(&self) -> Result<(), LogError> {
        let mut checked = self.0.checked.lock().await;
        if !checked.is_some_and(|at| at.elapsed() < CHECK_GOOD_FOR) {
            *checked = None;
            self.0.parts.topic.check().await?;
            *checked = Some(Instant::now());
        }
        Ok(())
    }

    fn tell(&self, partition: Partition, with: impl FnOnce(&mut RelayStatus)) {
        with(&mut self.relays()[partition.0 as usize]);
    }

    fn relays(&self) -> MutexGuard<'_, Vec<RelayStatus>> {
        self.0.relays.lock().expect("nothing panics while it is held")
    }
}

impl RelayStatus {
    const fn new(partition: Partition) -> Self {
        let state = RelayState::Starting;
        Self { partition, next: None, published: 0, unreadable: 0, state }
    }
}
