//! Between the appenders and the thread that writes: what waits, and what became of it.
//!
//! Every record that was taken is reported exactly once: one that is dropped unwritten, by a
//! failure or a panic, has failed.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use tokio::sync::Notify;

use crate::contract::{Offset, Partition, Time};
use crate::ports::{AppendError, Report, SendNumber};

/// What waits to be written. Each appender's share is bounded, and so is the whole.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Default)]
struct QueueState {
    waiting: Vec<Pending>,
    is_closing: bool,
    /// Why nothing can be written any more.
    failure: Option<String>,
}

/// A record that waits to be written.
pub(super) struct Pending {
    pub(super) partition: Partition,
    pub(super) encoded: Vec<u8>,
    send: SendNumber,
    len: usize,
    is_reported: bool,
    appender: Arc<InFlight>,
}

/// What one appender has in flight, and the reports that it has not taken yet.
pub(super) struct InFlight {
    state: Mutex<InFlightState>,
    reported: Notify,
    len_max: usize,
    bytes_max: usize,
}

#[derive(Default)]
struct InFlightState {
    /// Records that no report was taken of.
    len: usize,
    /// Bytes that are not written yet.
    bytes: usize,
    reports: Vec<Report>,
    is_abandoned: bool,
}

impl Queue {
    /// Puts a record at the end; when nothing can be written any more, it fails.
    pub(super) fn push(&self, pending: Pending) {
        let mut state = self.lock();
        if state.failure.is_none() {
            state.waiting.push(pending);
            self.changed.notify_one();
        }
    }

    /// Waits for records and swaps all that wait into `batch`, which is empty; `false` when
    /// nothing will come any more.
    pub(super) fn take(&self, batch: &mut Vec<Pending>) -> bool {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            if state.is_closing || state.failure.is_some() {
                return false;
            }
            state = self.changed.wait(state).expect("no panic while it is held");
        }
        std::mem::swap(&mut state.waiting, batch);
        true
    }

    /// Lets what waits be written and then ends.
    pub(super) fn close(&self) {
        self.lock().is_closing = true;
        self.changed.notify_one();
    }

    /// Fails what waits and whatever comes. The first reason stays.
    pub(super) fn fail(&self, reason: &str) {
        let failed = {
            let mut state = self.lock();
            state.failure.get_or_insert_with(|| reason.to_owned());
            std::mem::take(&mut state.waiting)
        };
        drop(failed);
    }

    /// Why nothing can be written any more.
    pub(super) fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.lock().failure.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().expect("no panic while it is held")
    }
}

impl Pending {
    /// A record that its appender has room for.
    pub(super) fn new(
        appender: &Arc<InFlight>,
        partition: Partition,
        send: SendNumber,
        encoded: Vec<u8>,
    ) -> Result<Self, AppendError> {
        let len = encoded.len();
        appender.admit(len)?;
        let appender = Arc::clone(appender);
        Ok(Self { partition, encoded, send, len, is_reported: false, appender })
    }

    /// Whether nobody waits for it any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.appender.lock().is_abandoned
    }

    /// Reports it landed, without waking the appender.
    pub(super) fn land(&mut self, offset: Offset, time: Time) {
        self.is_reported = true;
        let mut state = self.appender.lock();
        state.bytes -= self.len;
        Report::add_landed(&mut state.reports, self.send, offset, time);
    }

    /// Wakes the appender.
    pub(super) fn wake(&self) {
        self.appender.reported.notify_one();
    }

    pub(super) fn is_of_same_appender(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.appender, &other.appender)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.is_reported {
            let mut state = self.appender.lock();
            state.bytes -= self.len;
            state.reports.push(Report::Failed { send: self.send });
            drop(state);
            self.wake();
        }
    }
}

impl InFlight {
    pub(super) fn new(len_max: usize, bytes_max: usize) -> Self {
        Self { state: Mutex::default(), reported: Notify::new(), len_max, bytes_max }
    }

    /// Waits for reports and adds them to `reports`.
    pub(super) async fn settled(&self, reports: &mut Vec<Report>) {
        loop {
            {
                let mut state = self.lock();
                if !state.reports.is_empty() {
                    let settled: usize = state.reports.iter().map(records_of).sum();
                    state.len -= settled;
                    reports.append(&mut state.reports);
                    return;
                }
            }
            // A wake-up that came since the look is kept for this wait.
            self.reported.notified().await;
        }
    }

    /// Gives up what is not being written yet.
    pub(super) fn abandon(&self) {
        self.lock().is_abandoned = true;
    }

    fn admit(&self, bytes: usize) -> Result<(), AppendError> {
        let mut state = self.lock();
        // A record of any permitted size is taken when nothing else is in flight.
        let is_over = state.bytes > 0 && state.bytes + bytes > self.bytes_max;
        if state.len >= self.len_max || is_over {
            return Err(AppendError::Full);
        }
        state.len += 1;
        state.bytes += bytes;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, InFlightState> {
        self.state.lock().expect("no panic while it is held")
    }
}

fn records_of(report: &Report) -> usize {
    match *report {
        Report::Landed { count, .. } => {
            usize::try_from(count).expect("no more than were in flight")
        }
        Report::Odd { .. } | Report::Failed { .. } => 1,
    }
}
