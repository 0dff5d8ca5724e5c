//! The relay of one partition: reads the log, sends its events, waits until they are durable.
//!
//! Nothing is sent before all that was sent before it is durable; after any fault it looks at the
//! topic's end first. So what one relay sends has no gap, whatever happens to it.

use std::time::Duration;

use crate::contract::{Offset, Partition, Position};
use crate::events::{AggregateRef, Commit, Unreadable};
use crate::log::{LogId, Mark, Tracker};
use crate::ports::{LogError, LogRecord, Message};

use super::resume::{self, Lost, Resume};
use super::{Outbox, RelayState, cloud_event};

/// Before a relay that failed tries again, at first and at most.
const RETRY_DELAY: Duration = Duration::from_millis(200);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(5);

pub(super) struct Relay {
    outbox: Outbox,
    partition: Partition,
    delay: Duration,
}

/// Why a relay stopped.
enum Stopped {
    Lost(Lost),
    Newer(String),
}

/// What a record gives.
enum Outcome {
    Messages(Vec<Message>),
    Unreadable,
}

impl Relay {
    pub(super) const fn new(outbox: Outbox, partition: Partition) -> Self {
        Self { outbox, partition, delay: RETRY_DELAY }
    }

    /// Publishes until the future is dropped.
    pub(super) async fn run(mut self) {
        self.outbox.0.parts.gate.opened().await;
        loop {
            let Err(stopped) = self.follow().await;
            let state = stopped.state();
            self.log_once(&state);
            self.outbox.tell(self.partition, |status| status.state = state);
            tokio::time::sleep(self.delay).await;
            self.delay = (2 * self.delay).min(RETRY_DELAY_MAX);
        }
    }

    async fn follow(&mut self) -> Result<std::convert::Infallible, Stopped> {
        let partition = self.partition;
        self.outbox.check().await?;
        let parts = &self.outbox.0.parts;
        let (log, topic) = (&parts.log, parts.topic.as_ref());
        let Resume { mut tracker, begun, log: mut id } =
            resume::find(log, topic, partition, &parts.form.source).await?;
        if let Some((record, published)) = begun {
            let id = id.expect("a record that was published is of a log");
            // The rest of a record whose first events were sent before a crash.
            self.publish(self.read(&record, id, published)?).await?;
        }
        self.now_at(tracker.next());
        let mut reader = log.reader(partition, tracker.next()).await?;
        loop {
            let chunk = reader.next(parts.chunk_records_max, parts.chunk_bytes_max).await;
            let chunk = chunk?;
            let (messages, newer) = self.take(&chunk.records, &mut tracker, &mut id);
            self.publish(Outcome::Messages(messages)).await?;
            self.delay = RETRY_DELAY;
            if let Some(newer) = newer {
                return Err(Stopped::Newer(newer));
            }
            self.now_at(tracker.next());
        }
    }

    /// The messages of these records, and why it must stop behind them.
    fn take(
        &self,
        records: &[LogRecord],
        tracker: &mut Tracker,
        log: &mut Option<LogId>,
    ) -> (Vec<Message>, Option<String>) {
        let mut messages = Vec::new();
        for record in records {
            let mark = tracker.step(record.offset, record.time, &record.stamp, &record.value);
            *log = log.or(tracker.log());
            let (Mark::Counts, Some(log)) = (mark, *log) else { continue };
            match self.read(record, log, 0) {
                Ok(Outcome::Messages(more)) => messages.extend(more),
                Ok(Outcome::Unreadable) => {
                    self.outbox.tell(self.partition, |status| status.unreadable += 1);
                }
                Err(newer) => return (messages, Some(newer)),
            }
        }
        (messages, None)
    }

    /// The messages of a record that counts, without so many of them; or why only a newer binary
    /// can read it.
    fn read(&self, record: &LogRecord, log: LogId, without: usize) -> Result<Outcome, String> {
        let position = Position { partition: self.partition, offset: record.offset };
        match Commit::decode(&record.value) {
            Ok(commit) if is_of(&commit, record) => {
                let form = &self.outbox.0.parts.form;
                let messages = cloud_event::messages(form, &commit, position, log, without);
                Ok(Outcome::Messages(messages.collect()))
            }
            Err(error @ Unreadable::Newer(_)) => Err(format!("{position}: {error}")),
            Err(error) => Ok(unreadable(position, &error)),
            Ok(_) => Ok(unreadable(position, &Unreadable::KeyDiffers)),
        }
    }

    async fn publish(&self, outcome: Outcome) -> Result<(), LogError> {
        let Outcome::Messages(messages) = outcome else { return Ok(()) };
        if messages.is_empty() {
            return Ok(());
        }
        let count = messages.len() as u64;
        let messages = messages.into_iter().map(|message| (self.partition, message)).collect();
        self.outbox.0.parts.topic.send(messages).await?;
        self.outbox.tell(self.partition, |status| status.published += count);
        Ok(())
    }

    fn now_at(&self, next: Offset) {
        self.outbox.tell(self.partition, |status| {
            status.next = Some(next);
            status.state = RelayState::Following;
        });
    }

    /// Says what is new; what lasts is tried again every few seconds.
    fn log_once(&self, state: &RelayState) {
        let partition = self.partition;
        if self.outbox.relays()[partition.0 as usize].state == *state {
            return;
        }
        match state {
            RelayState::Starting | RelayState::Following => {}
            RelayState::Waiting { reason } => {
                tracing::warn!(%partition, reason, "the outbox waits");
            }
            RelayState::Refused { reason } | RelayState::NewerEvents { reason } => {
                tracing::error!(%partition, reason, "the outbox does not go on");
            }
        }
    }
}

fn is_of(commit: &Commit<'_>, record: &LogRecord) -> bool {
    let AggregateRef { aggregate_type, id } = &commit.aggregate;
    record.key.as_deref() == Some(format!("{aggregate_type}/{id}").as_bytes())
}

fn unreadable(position: Position, error: &Unreadable) -> Outcome {
    tracing::error!(%position, %error, "a record that counts cannot be published");
    Outcome::Unreadable
}

impl Stopped {
    fn state(self) -> RelayState {
        match self {
            Self::Newer(reason) => RelayState::NewerEvents { reason },
            Self::Lost(Lost::Log(error)) if error.is_retryable() => {
                RelayState::Waiting { reason: error.to_string() }
            }
            Self::Lost(lost) => RelayState::Refused { reason: lost.to_string() },
        }
    }
}

impl From<Lost> for Stopped {
    fn from(lost: Lost) -> Self {
        Self::Lost(lost)
    }
}

impl From<LogError> for Stopped {
    fn from(error: LogError) -> Self {
        Self::Lost(error.into())
    }
}

impl From<String> for Stopped {
    fn from(newer: String) -> Self {
        Self::Newer(newer)
    }
}
