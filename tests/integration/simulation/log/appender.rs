//! An appender whose records and reports meet with everything that can happen to them.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use retell::Partition;
use retell::log::Stamp;
use retell::ports::{AppendError, Appender, NewRecord, Report, SendNumber};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::super::link::Link;
use super::super::world::World;
use super::Broker;
use super::delivery::{Answer, Delivery, Parcel};

/// How much later than usual a late record lands, at most: longer than a writer waits.
const LATE_MS: u64 = 500;

pub(super) struct FaultyAppender {
    broker: Arc<Broker>,
    partition: Partition,
    outbox: Arc<Outbox>,
    next: SendNumber,
    /// Taken, and not sent yet: what is here when the appender is dropped was never sent.
    taken: Vec<Taken>,
    is_dead: bool,
}

struct Taken {
    send: SendNumber,
    key: Option<Bytes>,
    stamp: Stamp,
    value: Bytes,
}

/// What an appender and the records and reports under way have in common. It outlives the
/// appender: what was given up may still land.
pub(super) struct Outbox {
    pub(super) link: Arc<Link>,
    state: Mutex<State>,
    reported: Notify,
}

struct State {
    reports: Vec<Report>,
    in_flight_len: u64,
    /// No record lands before the one before it.
    last_landing: Instant,
    /// No report comes before the one before it, unless it overtakes it.
    last_report: Instant,
}

impl FaultyAppender {
    pub(super) fn new(broker: Arc<Broker>, link: Arc<Link>, partition: Partition) -> Self {
        let now = Instant::now();
        let state =
            State { reports: Vec::new(), in_flight_len: 0, last_landing: now, last_report: now };
        let outbox = Arc::new(Outbox { link, state: Mutex::new(state), reported: Notify::new() });
        Self { broker, partition, outbox, next: SendNumber(0), taken: Vec::new(), is_dead: false }
    }

    /// Sends a record off; what it meets with is decided here.
    fn send(&self, taken: Taken) {
        let Taken { send, key, stamp, value } = taken;
        let (world, now) = (&self.broker.world, Instant::now());
        if world.happens("lost", |faults| faults.lost) {
            world.note(format_args!("{} lost: {:?}", self.partition, stamp));
            if world.chance.one_in(2) {
                self.report_failed(now + world.chance.millis(50), send);
            }
            return;
        }
        let late = if world.happens("late", |faults| faults.late) {
            world.chance.millis(LATE_MS)
        } else {
            Duration::ZERO
        };
        let usual = now + Duration::from_millis(1) + world.latency();
        let not_before = usual.max(self.outbox.link.held_until()).max(self.broker.down_until());
        let at = self.outbox.landing_at(not_before + late);
        let answer = if world.happens("failed though landed", |faults| faults.failed) {
            self.report_failed(now + world.chance.millis(50), send);
            Answer::None
        } else if world.happens("silent", |faults| faults.silent) {
            Answer::None
        } else if world.happens("odd", |faults| faults.odd) {
            Answer::Odd
        } else {
            Answer::Offset
        };
        let parcel = Parcel {
            partition: self.partition,
            key,
            stamp,
            value,
            outbox: self.outbox.clone(),
            send,
            answer,
        };
        self.broker.deliveries.add(at, Delivery::Land(parcel));
    }

    fn report_failed(&self, at: Instant, send: SendNumber) {
        let report = Delivery::Report(self.outbox.clone(), Report::Failed { send });
        self.broker.deliveries.add(at, report);
    }
}

impl Outbox {
    /// A report has come back.
    pub(super) fn receive(&self, report: Report) {
        let reports = &mut self.state().reports;
        match report {
            Report::Landed { first, offset, time, .. } => {
                Report::add_landed(reports, first, offset, time);
            }
            report => reports.push(report),
        }
        self.reported.notify_one();
    }

    /// When a report that starts now arrives.
    pub(super) fn report_at(&self, world: &World, now: Instant) -> Instant {
        let at = now + world.latency();
        let mut state = self.state();
        if world.happens("overtaking", |faults| faults.overtaking) {
            return at;
        }
        state.last_report = state.last_report.max(at);
        state.last_report
    }

    fn landing_at(&self, at: Instant) -> Instant {
        let mut state = self.state();
        state.last_landing = state.last_landing.max(at);
        state.last_landing
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while it is held")
    }
}

#[async_trait]
impl Appender for FaultyAppender {
    fn append(&mut self, record: NewRecord<'_>) -> Result<SendNumber, AppendError> {
        self.is_dead |= self.broker.world.happens("dead", |faults| faults.dead);
        if self.is_dead {
            return Err(AppendError::Dead);
        }
        if self.outbox.state().in_flight_len >= self.broker.in_flight_len_max {
            self.broker.world.count("full");
            return Err(AppendError::Full);
        }
        let send = self.next;
        self.next = SendNumber(send.0 + 1);
        self.outbox.state().in_flight_len += 1;
        self.taken.push(Taken {
            send,
            key: record.key.map(Bytes::copy_from_slice),
            stamp: record.stamp,
            value: Bytes::copy_from_slice(record.value),
        });
        Ok(send)
    }

    fn flush(&mut self) {
        std::mem::take(&mut self.taken).into_iter().for_each(|taken| self.send(taken));
    }

    async fn settled(&mut self, reports: &mut Vec<Report>) {
        self.flush();
        loop {
            let reported = self.outbox.reported.notified();
            {
                let mut state = self.outbox.state();
                if !state.reports.is_empty() {
                    state.in_flight_len -= state.reports.iter().map(count).sum::<u64>();
                    reports.append(&mut state.reports);
                    return;
                }
            }
            reported.await;
        }
    }
}

const fn count(report: &Report) -> u64 {
    match *report {
        Report::Landed { count, .. } => count,
        Report::Odd { .. } | Report::Failed { .. } => 1,
    }
}
