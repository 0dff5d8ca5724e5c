//! A log that loses, delays, doubles and reorders, as a broker and its clients may.
//!
//! It keeps the laws of the port all the same: what is reported landed is there for ever, and the
//! records of one appender land in the order in which they were appended, some perhaps never.

mod appender;
mod delivery;
mod reader;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use retell::log::{Partitions, Stamp};
use retell::ports::{Appender, Clock, EventLog, LogError, LogReader, LogRecord};
use retell::{Offset, Partition, Time};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::link::Link;
use super::world::World;

use appender::FaultyAppender;
use delivery::Deliveries;
use reader::FaultyReader;

const RECORD_LEN_MAX: usize = 100_000;

/// The log as one process sees it: through its own link.
#[derive(Clone)]
pub(super) struct FaultyLog {
    broker: Arc<Broker>,
    link: Arc<Link>,
}

/// The log itself.
pub(super) struct Broker {
    world: Arc<World>,
    partitions: Vec<Mutex<Records>>,
    appended: Vec<Notify>,
    deliveries: Deliveries,
    down_until: Mutex<Instant>,
    clock: Arc<dyn Clock>,
    in_flight_len_max: u64,
}

/// One partition.
#[derive(Default)]
struct Records {
    records: Vec<LogRecord>,
    end: Offset,
    time: Time,
}

impl Broker {
    /// An empty log; its deliveries happen while [`Self::deliver`] runs.
    pub(super) fn new(world: Arc<World>, partitions: u32) -> Arc<Self> {
        let clock = world.clock();
        Arc::new(Self {
            partitions: (0..partitions).map(|_| Mutex::default()).collect(),
            appended: (0..partitions).map(|_| Notify::new()).collect(),
            deliveries: Deliveries::default(),
            down_until: Mutex::new(Instant::now()),
            in_flight_len_max: 4 + world.chance.below(28),
            clock,
            world,
        })
    }

    /// The log as a process with this link sees it.
    pub(super) fn seen_through(self: &Arc<Self>, link: Arc<Link>) -> Arc<FaultyLog> {
        Arc::new(FaultyLog { broker: self.clone(), link })
    }

    /// Answers nobody for a while; what is on its way lands after that.
    pub(super) fn go_down(&self, time: Duration) {
        *self.down_until.lock().expect("no panic while it is held") = Instant::now() + time;
    }

    /// Appends a record now, as a stranger would.
    pub(super) fn land(
        &self,
        partition: Partition,
        key: Option<Bytes>,
        stamp: Stamp,
        value: Bytes,
    ) -> (Offset, Time) {
        let mut records = self.records(partition);
        if self.world.happens("hole", |faults| faults.hole) {
            records.end = records.end.next();
        }
        let offset = records.end;
        let time = self.clock.now().max(records.time);
        let record = LogRecord { offset, time, key, stamp, value };
        let landed = self.world.truth().land(partition.0, &record);
        records.records.push(record);
        records.end = offset.next();
        records.time = time;
        drop(records);
        match landed {
            Ok(counts) => {
                let mark = if counts { "counts" } else { "void" };
                self.world.note(format_args!("{partition}@{offset} landed, {mark}: {stamp:?}"));
            }
            Err(law) => self.world.violate(&law),
        }
        self.appended[partition.0 as usize].notify_waiters();
        (offset, time)
    }

    /// Everything that has landed.
    pub(super) fn contents(&self, partition: Partition) -> Vec<LogRecord> {
        self.records(partition).records.clone()
    }

    fn down_until(&self) -> Instant {
        *self.down_until.lock().expect("no panic while it is held")
    }

    fn records(&self, partition: Partition) -> MutexGuard<'_, Records> {
        self.partitions[partition.0 as usize].lock().expect("no panic while it is held")
    }
}

impl FaultyLog {
    /// Asks the broker something, which takes its time and may get no answer. What is looked at
    /// is what is there at some moment between question and answer.
    async fn ask<T>(
        &self,
        look: impl FnOnce(&Broker) -> Result<T, LogError> + Send,
    ) -> Result<T, LogError>
    where
        T: Send,
    {
        let world = &self.broker.world;
        self.link.pass().await;
        tokio::time::sleep(world.latency()).await;
        let down = Instant::now() < self.broker.down_until();
        if down || world.happens("log silent", |faults| faults.log_silent) {
            tokio::time::sleep(Duration::from_millis(10)).await;
            return Err(LogError::Unavailable("no answer".to_owned()));
        }
        let answer = look(&self.broker)?;
        tokio::time::sleep(world.latency()).await;
        self.link.pass().await;
        Ok(answer)
    }
}

#[async_trait]
impl EventLog for FaultyLog {
    async fn check(&self) -> Result<(), LogError> {
        Ok(())
    }

    fn partitions(&self) -> Partitions {
        let count = u32::try_from(self.broker.partitions.len()).expect("few");
        Partitions::new(count).expect("at least one")
    }

    fn name(&self) -> &'static str {
        "simulated"
    }

    fn record_len_max(&self) -> usize {
        RECORD_LEN_MAX
    }

    async fn end(&self, partition: Partition) -> Result<Offset, LogError> {
        self.ask(|broker| Ok(broker.records(partition).end)).await
    }

    async fn offset_at(&self, partition: Partition, time: Time) -> Result<Offset, LogError> {
        let look = |broker: &Broker| {
            let records = broker.records(partition);
            let at = records.records.partition_point(|record| record.time < time);
            Ok(records.records.get(at).map_or(records.end, |record| record.offset))
        };
        self.ask(look).await
    }

    async fn appender(&self, partition: Partition) -> Result<Box<dyn Appender>, LogError> {
        self.ask(|_| Ok(())).await?;
        Ok(Box::new(FaultyAppender::new(self.broker.clone(), self.link.clone(), partition)))
    }

    async fn reader(
        &self,
        partition: Partition,
        from: Offset,
    ) -> Result<Box<dyn LogReader>, LogError> {
        let look = |broker: &Broker| match broker.records(partition).end {
            end if from > end => Err(LogError::OutOfRange { partition, offset: from }),
            _ => Ok(()),
        };
        self.ask(look).await?;
        Ok(Box::new(FaultyReader::new(self.clone(), partition, from)))
    }
}
