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
///
/// ```
/// # use std::{sync::Arc, time::Duration};
/// # use retell::adapters::{SystemClock, memory::{MemoryLog, MemoryTopic}};
/// # use retell::gate::{Gate, GateState};
/// # use retell::{app::App, log::Partitions, write::SendOptions};
/// use retell::react::outbox::{EventForm, Outbox, OutboxParts};
/// # use retell::doc::{Light, LightCommand};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (clock, gate) = (Arc::new(SystemClock), Gate::default());
/// # let partitions = Partitions::new(4).expect("some");
/// # let log = Arc::new(MemoryLog::new(partitions, clock.clone()));
/// # let app = App::ephemeral().log(log.clone()).aggregate::<Light>(()).build().await?;
/// # app.ready().await;
/// let topic = MemoryTopic::new("events", partitions, clock);
/// let source = "urn:retell:lights".to_owned();
/// # let (type_prefix, dataschema_url) = Default::default();
/// gate.set(GateState::Open);
/// let parts = OutboxParts {
///     log,
///     gate,
///     topic: Arc::new(topic.clone()),
///     form: EventForm { source, type_prefix, dataschema_url },
///     chunk_records_max: 1_000,
///     chunk_bytes_max: 1 << 20,
/// };
/// let (stop, mut tasks) = Default::default();
/// let outbox = Outbox::start(parts, &stop, &mut tasks);
/// let order = LightCommand::SwitchOn {};
/// let done = app.commands().send::<Light>("hall", order, SendOptions::default()).await?;
/// # while topic.messages(done.position.partition).is_empty() {
/// #     tokio::time::sleep(Duration::from_millis(5)).await;
/// # }
/// // What happens now is in the topic a moment later.
/// let published = &topic.messages(done.position.partition)[0].message;
/// assert_eq!(published.header("ce_type"), Some("SwitchedOn"));
/// # app.stop().await; Ok(()) }
/// ```
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
///
/// ```
/// # use std::{sync::Arc, time::Duration};
/// # use retell::adapters::{SystemClock, memory::{MemoryLog, MemoryTopic}};
/// # use retell::gate::{Gate, GateState};
/// # use retell::{app::App, log::Partitions, write::SendOptions};
/// use retell::react::outbox::{EventForm, Outbox, OutboxParts};
/// # use retell::doc::{Light, LightCommand};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (clock, gate) = (Arc::new(SystemClock), Gate::default());
/// # let partitions = Partitions::new(4).expect("some");
/// # let log = Arc::new(MemoryLog::new(partitions, clock.clone()));
/// # let app = App::ephemeral().log(log.clone()).aggregate::<Light>(()).build().await?;
/// # app.ready().await;
/// # let order = LightCommand::SwitchOn {};
/// # let done = app.commands().send::<Light>("hall", order, SendOptions::default()).await?;
/// let form = EventForm {
///     source: "urn:retell:lights".to_owned(),
///     type_prefix: "com.example.".to_owned(),
///     dataschema_url: "http://a:8080/schemas".to_owned(),
/// };
/// # let topic = MemoryTopic::new("events", partitions, clock);
/// # gate.set(GateState::Open);
/// # let (chunk_records_max, chunk_bytes_max) = (1_000, 1 << 20);
/// # let there = Arc::new(topic.clone());
/// # let parts = OutboxParts { log, gate, topic: there, form, chunk_records_max, chunk_bytes_max };
/// # let (stop, mut tasks) = Default::default();
/// # let outbox = Outbox::start(parts, &stop, &mut tasks);
/// # while topic.messages(done.position.partition).is_empty() {
/// #     tokio::time::sleep(Duration::from_millis(5)).await;
/// # }
/// # let message = &topic.messages(done.position.partition)[0].message;
/// // An event that is published so says:
/// assert_eq!(message.header("ce_source"), Some("urn:retell:lights"));
/// assert_eq!(message.header("ce_type"), Some("com.example.SwitchedOn"));
/// let schema = "http://a:8080/schemas/light/SwitchedOn/1";
/// assert_eq!(message.header("ce_dataschema"), Some(schema));
/// # app.stop().await; Ok(()) }
/// ```
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
///
/// ```
/// # use std::sync::Arc;
/// # use retell::adapters::{SystemClock, memory::{MemoryLog, MemoryTopic}};
/// # use retell::{gate::Gate, log::Partitions};
/// use retell::react::outbox::{EventForm, Outbox, OutboxParts, RelayState};
///
/// # #[tokio::main] async fn main() {
/// # let (partitions, clock) = (Partitions::new(4).expect("some"), Arc::new(SystemClock));
/// # let (source, type_prefix, dataschema_url) = Default::default();
/// # let parts = OutboxParts {
/// #     log: Arc::new(MemoryLog::new(partitions, clock.clone())),
/// #     gate: Gate::default(),
/// #     topic: Arc::new(MemoryTopic::new("events", partitions, clock)),
/// #     form: EventForm { source, type_prefix, dataschema_url },
/// #     chunk_records_max: 1_000,
/// #     chunk_bytes_max: 1 << 20,
/// # };
/// # let (stop, mut tasks) = Default::default();
/// let outbox = Outbox::start(parts, &stop, &mut tasks);
/// assert_eq!((outbox.topic(), outbox.status().len()), ("events", 4));
/// // Its relays begin when the log may be read.
/// assert_eq!(outbox.status()[0].state, RelayState::Starting);
/// # }
/// ```
#[derive(Clone)]
pub struct Outbox(Arc<Inner>);

struct Inner {
    parts: OutboxParts,
    relays: Mutex<Vec<RelayStatus>>,
    /// When the topic was last what it must be.
    checked: tokio::sync::Mutex<Option<Instant>>,
}

/// How far one partition has come.
///
/// ```
/// use retell::react::outbox::{RelayState, RelayStatus};
/// use retell::{Offset, Partition};
/// use serde_json::json;
///
/// let (partition, next, state) = (Partition(5), Some(Offset(1234)), RelayState::Following);
/// let status = RelayStatus { partition, next, published: 80, unreadable: 0, state };
/// let json = serde_json::to_value(status)?;
/// assert_eq!((&json["next"], &json["state"]), (&json!(1234), &json!("following")));
/// # Ok::<(), serde_json::Error>(())
/// ```
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
///
/// ```
/// use retell::react::outbox::RelayState;
/// use serde_json::json;
///
/// let newer = RelayState::NewerEvents { reason: "record 5@1234".to_owned() };
/// let shown = json!({"state": "newer_events", "reason": "record 5@1234"});
/// assert_eq!(serde_json::to_value(newer)?, shown);
/// # Ok::<(), serde_json::Error>(())
/// ```
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
