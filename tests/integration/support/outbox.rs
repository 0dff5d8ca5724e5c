//! A log whose events a test writes itself, an outbox on it, and a consumer as the outbox's readers
//! are: it drops what is at or below the last that it has seen.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use retell::adapters::SystemClock;
use retell::adapters::memory::{MemoryLog, MemoryTopic};
use retell::gate::{Gate, GateState};
use retell::log::{Chain, Partitions, Stamp, Term};
use retell::ports::{
    Appender, EventLog, Intake, LogError, Message, NewRecord, PlainTopic, Received,
};
use retell::react::outbox::{EventForm, Outbox, OutboxParts, RelayState, RelayStatus};
use retell::shutdown::Shutdown;
use retell::{Offset, Partition};
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::log::{P0, append_one, in_time};
use super::writers::partitions;

/// The attribute `source` of these events.
pub(crate) const SOURCE: &str = "urn:retell:test";

/// Writes partition 0 of a log, and remembers which events count.
pub(crate) struct Author {
    pub(crate) log: Arc<MemoryLog>,
    appender: Box<dyn Appender>,
    term: u64,
    chain: u64,
    versions: HashMap<String, u64>,
    /// The ids of the events that count, in order.
    pub(crate) events: Vec<String>,
}

impl Author {
    /// An empty log of one partition.
    pub(crate) async fn new() -> Self {
        let log = Arc::new(MemoryLog::new(partitions(1), Arc::new(SystemClock)));
        let appender = log.appender(P0).await.expect("an appender");
        Self { log, appender, term: 0, chain: 0, versions: HashMap::new(), events: Vec::new() }
    }

    pub(crate) async fn claim(&mut self) {
        (self.term, self.chain) = (self.term + 1, 0);
        let value = format!("claim {} {}", self.term, Uuid::now_v7());
        self.append(None, Stamp::Claim { term: Term(self.term) }, value.as_bytes()).await;
    }

    /// A record of so many events that counts.
    pub(crate) async fn commit(&mut self, id: &str, events: usize) {
        let (stamp, value) = (self.next_stamp(), self.record(id, events, 1));
        for event in value["events"].as_array().expect("a list") {
            self.events.push(event["id"].as_str().expect("an id").to_owned());
        }
        *self.versions.entry(id.to_owned()).or_default() += events as u64;
        self.append(Some(&format!("light/{id}")), stamp, value.to_string().as_bytes()).await;
    }

    /// One of an ended term, which does not count.
    pub(crate) async fn void(&mut self, id: &str) {
        let value = self.record(id, 1, 1).to_string();
        let stamp = Stamp::Commit { term: Term(self.term + 7), chain: Chain(0) };
        self.append(Some(&format!("light/{id}")), stamp, value.as_bytes()).await;
    }

    /// One that counts and is no record.
    pub(crate) async fn garbage(&mut self) {
        let stamp = self.next_stamp();
        self.append(Some("light/x"), stamp, b"{\"v\":1,").await;
    }

    /// One that counts, under the key of another aggregate.
    pub(crate) async fn misplaced(&mut self) {
        let (stamp, value) = (self.next_stamp(), self.record("y", 1, 1).to_string());
        self.append(Some("light/x"), stamp, value.as_bytes()).await;
    }

    /// One that counts, of a version that no binary has yet.
    pub(crate) async fn newer(&mut self) {
        let (stamp, value) = (self.next_stamp(), self.record("x", 1, 99).to_string());
        self.append(Some("light/x"), stamp, value.as_bytes()).await;
    }

    fn next_stamp(&mut self) -> Stamp {
        self.chain += 1;
        Stamp::Commit { term: Term(self.term), chain: Chain(self.chain - 1) }
    }

    fn record(&self, id: &str, events: usize, v: u32) -> serde_json::Value {
        let event =
            |n| json!({"id": Uuid::now_v7(), "type": "Lit", "schema": "1", "data": {"n": n}});
        json!({
            "v": v, "aggregate": {"type": "light", "id": id}, "command": "Light",
            "first_version": self.versions.get(id).copied().unwrap_or_default() + 1,
            "command_id": "c", "time": "2026-11-22T10:00:00.000Z",
            "events": (0..events).map(event).collect::<Vec<_>>(),
        })
    }

    async fn append(&mut self, key: Option<&str>, stamp: Stamp, value: &[u8]) {
        let record = NewRecord { key: key.map(str::as_bytes), stamp, value };
        append_one(&mut *self.appender, record).await;
    }
}

/// A running relay; dropping it is a crash.
pub(crate) struct Relay {
    pub(crate) outbox: Outbox,
    _tasks: JoinSet<()>,
}

impl Relay {
    pub(crate) fn start(log: &Arc<MemoryLog>, topic: Arc<dyn PlainTopic>) -> Self {
        let gate = Gate::default();
        gate.set(GateState::Open);
        let form = EventForm {
            source: SOURCE.to_owned(),
            type_prefix: String::new(),
            dataschema_url: "http://node/schemas".to_owned(),
        };
        let log: Arc<dyn EventLog> = log.clone();
        let parts =
            OutboxParts { log, gate, topic, form, chunk_records_max: 7, chunk_bytes_max: 1 << 20 };
        let mut tasks = JoinSet::new();
        let outbox = Outbox::start(parts, &Shutdown::default(), &mut tasks);
        Self { outbox, _tasks: tasks }
    }

    /// What partition 0 says of itself, once it is what `is` likes.
    pub(crate) async fn eventually(&self, is: impl Fn(&RelayStatus) -> bool) -> RelayStatus {
        let asking = async {
            loop {
                let status = self.outbox.status().swap_remove(0);
                if is(&status) {
                    return status;
                }
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        in_time("the relay", asking).await
    }

    /// Waits until it has read all of the log.
    pub(crate) async fn at_end(&self, log: &MemoryLog) -> RelayStatus {
        let end = log.end(P0).await.expect("an end");
        let is = |status: &RelayStatus| {
            status.next == Some(end) && status.state == RelayState::Following
        };
        self.eventually(is).await
    }
}

/// An outbox topic of one partition.
pub(crate) fn topic() -> MemoryTopic {
    MemoryTopic::new("outbox", partitions(1), Arc::new(SystemClock))
}

/// The ids of the events of partition 0 as a reader takes them, who passes over what is not the
/// outbox's. It panics when an event is missing before another.
pub(crate) fn consumed(messages: &[Received], expected: &[String]) -> Vec<String> {
    let mut last = String::new();
    let mut taken = Vec::new();
    for Received { message, .. } in messages {
        let (Some(SOURCE), Some(sequence)) =
            (message.header("ce_source"), message.header("ce_sequence"))
        else {
            continue;
        };
        if sequence <= last.as_str() {
            continue;
        }
        last = sequence.to_owned();
        let id = message.header("ce_id").expect("an id").to_owned();
        assert_eq!(Some(&id), expected.get(taken.len()), "a gap after {} events", taken.len());
        taken.push(id);
    }
    taken
}

/// A topic whose sends break off.
pub(crate) struct Fragile {
    topic: MemoryTopic,
    /// After so many messages each of the next sends breaks off.
    breaks: Mutex<Vec<usize>>,
    pub(crate) broken: AtomicUsize,
    /// What is said to be the first offset.
    begins_at: Offset,
}

impl Fragile {
    pub(crate) fn breaking_after(topic: &MemoryTopic, messages: Vec<usize>) -> Arc<Self> {
        let (breaks, broken) = (Mutex::new(messages), AtomicUsize::new(0));
        Arc::new(Self { topic: topic.clone(), breaks, broken, begins_at: Offset(0) })
    }

    /// A topic that has lost all that it had.
    pub(crate) fn emptied(topic: &MemoryTopic) -> Arc<Self> {
        let begins_at = Offset(topic.messages(P0).len() as u64);
        let (topic, breaks) = (topic.clone(), Mutex::default());
        Arc::new(Self { topic, breaks, broken: AtomicUsize::new(0), begins_at })
    }
}

#[async_trait]
impl PlainTopic for Fragile {
    fn name(&self) -> &str {
        self.topic.name()
    }

    async fn check(&self) -> Result<Partitions, LogError> {
        self.topic.check().await
    }

    async fn span(&self, partition: Partition) -> Result<Range<Offset>, LogError> {
        Ok(self.begins_at..self.topic.span(partition).await?.end)
    }

    async fn before(
        &self,
        partition: Partition,
        end: Offset,
        len_max: usize,
    ) -> Result<Vec<Received>, LogError> {
        self.topic.before(partition, end, len_max).await
    }

    async fn send(&self, mut messages: Vec<(Partition, Message)>) -> Result<(), LogError> {
        let Some(taken) = self.breaks.lock().expect("whole").pop() else {
            return self.topic.send(messages).await;
        };
        self.broken.fetch_add(1, Ordering::SeqCst);
        messages.truncate(taken);
        self.topic.send(messages).await?;
        Err(LogError::Unavailable("it broke off".to_owned()))
    }

    async fn join(&self, group: &str) -> Result<Box<dyn Intake>, LogError> {
        self.topic.join(group).await
    }
}
