//! Settling: what the reports of the log prove, strictly in the order in which was sent.
//!
//! An offset that is exactly the expected one proves that nobody interleaved; any other is found
//! by reading the log. Errors prove nothing: the term ends, and the next claim decides.

use tokio::time::{Instant, timeout_at};

use crate::contract::{Offset, Time};
use crate::log::{Mark, Stamp, Term};
use crate::ports::{LogError, LogRecord, Report, SendNumber};

use super::pending::Pending;
use super::recovery::{CHUNK_BYTES_MAX, CHUNK_RECORDS_MAX};
use super::reign::{End, Reign};
use super::writer::Writer;

impl Writer {
    pub(super) async fn settle_all(
        &mut self,
        reign: &mut Reign,
        reports: &mut Vec<Report>,
    ) -> Result<(), End> {
        for report in reports.drain(..) {
            match report {
                Report::Landed { first, count, offset, time } => {
                    self.settle_run(reign, first, count, offset, time).await?;
                    self.tail.wake();
                }
                Report::Odd { send } if send >= reign.settled => {
                    self.read_gap(reign, Some((send, None))).await?;
                }
                Report::Failed { send } if send >= reign.settled => {
                    return Err(End::Term("an append failed".to_owned()));
                }
                Report::Odd { .. } | Report::Failed { .. } => {}
            }
        }
        Ok(())
    }

    async fn settle_run(
        &mut self,
        reign: &mut Reign,
        first: SendNumber,
        count: u64,
        offset: Offset,
        time: Time,
    ) -> Result<(), End> {
        for i in 0..count {
            let (send, at) = (SendNumber(first.0 + i), offset.plus(i));
            if send < reign.settled {
                continue; // the claim, or found by reading before its report came
            }
            if self.is_expected(at) && self.settle_expected(reign, send, at, time) {
                continue;
            }
            self.read_gap(reign, Some((send, Some(at)))).await?;
        }
        Ok(())
    }

    fn is_expected(&self, at: Offset) -> bool {
        at == self.tracker.next() || (!self.shared.checks.gap && at > self.tracker.next())
    }

    /// The fast path: the record is where it must be if nobody else wrote.
    fn settle_expected(
        &mut self,
        reign: &mut Reign,
        send: SendNumber,
        at: Offset,
        time: Time,
    ) -> bool {
        let Some(pending) = self.in_flight.pop_send(send) else { return false };
        self.shared.measures.appends.duration(pending.sent_at.elapsed());
        let stamp = Stamp::Commit { term: pending.term, chain: pending.chain };
        let mark = self.tracker.step_own(at, time, &stamp);
        debug_assert_eq!(mark, Mark::Counts, "a record at the expected offset counts");
        self.waypoints.pass(time, &self.tracker);
        reign.settled = SendNumber(send.0 + 1);
        self.hand_on(&pending, at, time, stamp);
        self.settle(pending, at, time);
        self.record_taken();
        true
    }

    /// Hands the record on as a reader of the log would get it.
    fn hand_on(&self, pending: &Pending, offset: Offset, time: Time, stamp: Stamp) {
        self.tail.pass(offset, || {
            let (key, value) = (Some(pending.key.clone()), pending.value.clone());
            LogRecord { offset, time, key, stamp, value }
        });
    }

    /// Reads the log until this send is settled, or without one until its known end.
    pub(super) async fn read_gap(
        &mut self,
        reign: &mut Reign,
        until: Option<(SendNumber, Option<Offset>)>,
    ) -> Result<(), End> {
        let deadline = Instant::now() + self.shared.config.settle_timeout;
        let read = timeout_at(deadline, self.fold_gap(reign.term, reign.horizon, until)).await;
        self.publish_numbers();
        reign.settled = self.in_flight.front().map_or(reign.next_send, |oldest| oldest.send);
        if self.tracker.fold().term > reign.term {
            return Err(End::Deposed);
        }
        if !self.is_open {
            return Err(End::Term("states are not known any more".to_owned()));
        }
        if self.intruded {
            return Err(End::Term("a stranger wrote into the term".to_owned()));
        }
        match read {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(End::Term("a record that landed does not count".to_owned())),
            Ok(Err(error)) => Err(End::Term(error.to_string())),
            Err(_) => Err(End::Term("a record that landed was not found in time".to_owned())),
        }
    }

    /// Whether what was looked for has been found.
    async fn fold_gap(
        &mut self,
        term: Term,
        horizon: Offset,
        until: Option<(SendNumber, Option<Offset>)>,
    ) -> Result<bool, LogError> {
        let log = self.shared.log.clone();
        let mut reader = log.reader(self.partition, self.tracker.next()).await?;
        loop {
            let chunk = reader.next(CHUNK_RECORDS_MAX, CHUNK_BYTES_MAX).await?;
            self.take_chunk(&chunk);
            if self.tracker.fold().term > term || self.intruded {
                return Ok(true);
            }
            match until {
                Some((send, at)) => {
                    if self.in_flight.front().is_none_or(|oldest| oldest.send > send) {
                        return Ok(true);
                    }
                    if at.is_some_and(|at| self.tracker.next() > at) {
                        return Ok(false);
                    }
                }
                None if self.tracker.next() >= horizon => return Ok(true),
                None if chunk.at_end => {
                    // Only holes lie between the last record and the end that was reported.
                    self.seen_to = self.seen_to.max(horizon);
                    return Ok(true);
                }
                None => {}
            }
        }
    }
}
