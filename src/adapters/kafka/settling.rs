//! The reports of one appender on their way from the producer's thread to the writer.
//!
//! Every record that was sent is reported exactly once. Only offsets that are surely the record's
//! own are reported as landed.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;

use crate::contract::{Offset, Time};
use crate::ports::{Report, SendNumber};

/// Runs of reports that wait for more to come.
const REPORTS_WAITING_MAX: usize = 64;

/// What the producer's thread and an appender share.
#[derive(Default)]
pub(super) struct Settling {
    /// Records that librdkafka was given. Written by the appender only.
    sent: AtomicU64,
    /// Bytes of records that were reported.
    bytes: AtomicU64,
    is_dead: AtomicBool,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    /// Not yet taken by the appender, in the order they came.
    reports: Vec<Report>,
    reported: Reported,
    /// The first offset that the next record can have.
    next_offset: i64,
    /// The record and the number that continue a run of offsets that mean nothing.
    odd: Option<(u64, i64)>,
    /// All sends below were reported when the producer died.
    dead_at: Option<u64>,
}

/// Which records were reported: nearly always all before one.
#[derive(Default)]
struct Reported {
    below: u64,
    beyond: BTreeSet<u64>,
}

impl Settling {
    /// All records before this number are in librdkafka's hands, or just going there.
    pub(super) fn sent_before(&self, send: u64) {
        self.sent.store(send, Ordering::SeqCst);
        if self.is_dead.load(Ordering::SeqCst) {
            self.die();
        }
    }

    /// The bytes of all records that were reported.
    pub(super) fn bytes_reported(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::SeqCst)
    }

    /// The record is durable, at this offset if the number is one.
    pub(super) fn landed(&self, send: u64, offset: i64, time: Option<Time>, len: usize) {
        self.report(send, len, |state| match state.known(send, offset).zip(time) {
            Some((offset, time)) => {
                Report::add_landed(&mut state.reports, SendNumber(send), offset, time);
            }
            None => state.reports.push(Report::Odd { send: SendNumber(send) }),
        });
    }

    /// Nobody knows what became of the record.
    pub(super) fn failed(&self, send: u64, len: usize) {
        self.report(send, len, |state| {
            state.reports.push(Report::Failed { send: SendNumber(send) })
        });
    }

    /// Whatever was not reported has failed; nothing else will be reported.
    pub(super) fn die(&self) {
        self.is_dead.store(true, Ordering::SeqCst);
        let mut state = self.lock();
        let sent = self.sent.load(Ordering::SeqCst);
        let from = state.dead_at.unwrap_or(0).max(state.reported.below);
        for send in from..sent {
            if !state.reported.beyond.contains(&send) {
                state.reports.push(Report::Failed { send: SendNumber(send) });
            }
        }
        state.dead_at = Some(sent);
        drop(state);
        self.wake.notify_one();
    }

    /// Adds the reports that are there; whether there are any.
    pub(super) fn take(&self, reports: &mut Vec<Report>) -> bool {
        let mut state = self.lock();
        let any = !state.reports.is_empty();
        reports.append(&mut state.reports);
        any
    }

    /// Waits until it is worth while to look for reports.
    pub(super) async fn reported(&self) {
        self.wake.notified().await;
    }

    /// Whether everything that was sent is reported.
    pub(super) fn is_idle(&self) -> bool {
        let sent = self.sent.load(Ordering::SeqCst);
        self.is_dead() || self.lock().reported.below >= sent
    }

    fn report(&self, send: u64, len: usize, add: impl FnOnce(&mut State)) {
        self.bytes.fetch_add(len as u64, Ordering::Relaxed);
        let mut state = self.lock();
        if state.dead_at.is_some() || !state.reported.add(send) {
            return;
        }
        add(&mut state);
        // One wake-up for all that is in flight; the reports of a batch come one after the other.
        let is_last = state.reported.below >= self.sent.load(Ordering::SeqCst);
        let is_worth_it = is_last || state.reports.len() >= REPORTS_WAITING_MAX;
        drop(state);
        if is_worth_it {
            self.wake.notify_one();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it is held")
    }
}

impl State {
    /// The offset, if it is the record's own.
    ///
    /// librdkafka gives the records of a batch that the broker had already the offsets -1, 0, 1,
    /// …, and those whose answer was lost -1001, -1000, …. What continues such a run means
    /// nothing. A true offset cannot be mistaken for it: the records of the run are in the log
    /// before it, so it is larger.
    fn known(&mut self, send: u64, offset: i64) -> Option<Offset> {
        let continues = self.odd == Some((send, offset));
        if continues || offset < self.next_offset {
            self.odd = Some((send + 1, offset + 1));
            return None;
        }
        self.odd = None;
        self.next_offset = offset + 1;
        u64::try_from(offset).ok().map(Offset)
    }
}

impl Reported {
    /// Whether it is the first report of this record.
    fn add(&mut self, send: u64) -> bool {
        if send != self.below {
            return send > self.below && self.beyond.insert(send);
        }
        self.below += 1;
        while self.beyond.remove(&self.below) {
            self.below += 1;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHEN: Option<Time> = Some(Time::from_millis(7));

    fn sent(count: u64) -> Settling {
        let settling = Settling::default();
        settling.sent_before(count);
        settling
    }

    fn taken(settling: &Settling) -> Vec<Report> {
        std::mem::take(&mut settling.lock().reports)
    }

    const fn landed(first: u64, count: u64, offset: u64) -> Report {
        Report::Landed {
            first: SendNumber(first),
            count,
            offset: Offset(offset),
            time: Time::from_millis(7),
        }
    }

    const fn odd(send: u64) -> Report {
        Report::Odd { send: SendNumber(send) }
    }

    const fn failed(send: u64) -> Report {
        Report::Failed { send: SendNumber(send) }
    }

    #[test]
    fn contiguous_records_at_contiguous_offsets_are_one_run() {
        let settling = sent(5);
        for (send, offset) in [(0, 7), (1, 8), (2, 9), (3, 11), (4, 12)] {
            settling.landed(send, offset, WHEN, 0);
        }
        assert_eq!(taken(&settling), [landed(0, 3, 7), landed(3, 2, 11)]);
    }

    #[test]
    fn a_run_does_not_go_on_over_a_record_that_failed() {
        let settling = sent(3);
        settling.landed(0, 7, WHEN, 0);
        settling.failed(1, 0);
        settling.landed(2, 8, WHEN, 0);
        assert_eq!(taken(&settling), [landed(0, 1, 7), failed(1), landed(2, 1, 8)]);
    }

    #[test]
    fn the_offsets_of_a_duplicate_batch_are_never_believed() {
        let settling = sent(5);
        for (send, offset) in [(0, -1), (1, 0), (2, 1), (3, 3), (4, 4)] {
            settling.landed(send, offset, WHEN, 0);
        }
        assert_eq!(taken(&settling), [odd(0), odd(1), odd(2), landed(3, 2, 3)]);
    }

    #[test]
    fn a_long_run_of_lost_answers_is_odd_to_its_end() {
        let settling = sent(2_001);
        (0..2_000).for_each(|send| settling.landed(send, send.cast_signed() - 1_001, WHEN, 0));
        settling.landed(2_000, 5_000, WHEN, 0);
        let reports = taken(&settling);
        assert_eq!(reports.len(), 2_001);
        assert!(reports[..2_000].iter().all(|report| matches!(report, Report::Odd { .. })));
        assert_eq!(reports[2_000], landed(2_000, 1, 5_000));
    }

    #[test]
    fn an_offset_below_one_that_was_reported_is_odd() {
        let settling = sent(2);
        settling.landed(0, 7, WHEN, 0);
        settling.landed(1, 7, WHEN, 0);
        assert_eq!(taken(&settling), [landed(0, 1, 7), odd(1)]);
    }

    #[test]
    fn reports_out_of_turn_are_given_once_each() {
        let settling = sent(4);
        settling.failed(2, 0);
        settling.landed(0, 7, WHEN, 0);
        settling.landed(1, 8, WHEN, 0);
        settling.failed(2, 0);
        settling.landed(3, 9, WHEN, 0);
        assert_eq!(taken(&settling), [failed(2), landed(0, 2, 7), landed(3, 1, 9)]);
    }

    #[test]
    fn a_dead_producer_fails_what_was_not_reported_and_nothing_twice() {
        let settling = sent(4);
        settling.landed(0, 7, WHEN, 0);
        settling.landed(2, 9, WHEN, 0);
        settling.die();
        settling.landed(1, 8, WHEN, 0);
        settling.die();
        assert_eq!(taken(&settling), [landed(0, 1, 7), landed(2, 1, 9), failed(1), failed(3)]);
    }

    #[test]
    fn a_record_sent_while_the_producer_dies_fails() {
        let settling = sent(1);
        settling.die();
        settling.sent_before(2);
        assert_eq!(taken(&settling), [failed(0), failed(1)]);
    }

    #[test]
    fn a_report_that_overtakes_the_sender_is_not_doubled_when_the_producer_dies() {
        let settling = sent(0);
        settling.landed(0, 7, WHEN, 0);
        settling.die();
        settling.sent_before(1);
        assert_eq!(taken(&settling), [landed(0, 1, 7)]);
    }

    #[test]
    fn bytes_are_counted_when_they_are_reported() {
        let settling = sent(2);
        settling.landed(0, 0, WHEN, 300);
        settling.failed(1, 20);
        assert_eq!(settling.bytes_reported(), 320);
    }
}
