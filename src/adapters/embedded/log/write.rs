//! The one thread that writes the log: everything that waits becomes one batch and one fsync.
//!
//! While one batch is synced the next one gathers, so the busier the log, the more records share
//! an fsync. A reader and an appender learn of a record only when it is durable.

use std::sync::Arc;

use bytes::Bytes;

use crate::contract::{Offset, Partition, Time};
use crate::ports::{Clock, LogRecord};

use super::queue::{Pending, Queue};
use super::record;
use super::tail::Tail;

/// A record with its place, ready to be stored.
pub(super) struct Write {
    pub(super) partition: Partition,
    pub(super) offset: Offset,
    pub(super) time: Time,
    pub(super) stored: Bytes,
}

/// The state of the thread that writes.
pub(super) struct Writer<C> {
    queue: Arc<Queue>,
    tails: Arc<[Tail]>,
    clock: Arc<dyn Clock>,
    /// The time of the last record of each partition; the log's time never goes back.
    times: Vec<Time>,
    /// Makes records durable, all or none.
    commit: C,
}

/// Fails what waits when the thread ends, also by a panic, so that nobody waits for ever.
struct FailOnExit(Arc<Queue>);

impl<E, C> Writer<C>
where
    E: std::fmt::Display,
    C: FnMut(Vec<Write>) -> Result<(), E>,
{
    pub(super) fn new(
        queue: Arc<Queue>,
        tails: Arc<[Tail]>,
        clock: Arc<dyn Clock>,
        times: Vec<Time>,
        commit: C,
    ) -> Self {
        Self { queue, tails, clock, times, commit }
    }

    /// Writes until the queue is closed and empty, or until the first write that fails: nobody
    /// knows what is on disk then, and only a restart finds out.
    pub(super) fn run(mut self) {
        let queue = FailOnExit(Arc::clone(&self.queue));
        let mut batch = Vec::new();
        let mut landed: Vec<Vec<LogRecord>> = self.tails.iter().map(|_| Vec::new()).collect();
        while queue.0.take(&mut batch) {
            batch.retain(|pending| !pending.is_abandoned());
            if batch.is_empty() {
                continue;
            }
            let writes = self.place(&mut batch, &mut landed);
            let places: Vec<_> = writes.iter().map(|write| (write.offset, write.time)).collect();
            if let Err(error) = (self.commit)(writes) {
                tracing::error!(%error, records = batch.len(), "cannot write to the log's disk");
                queue.0.fail(&format!("a write to its disk failed ({error}); mend it and restart"));
                return; // drops the batch, which reports it failed
            }
            for (tail, records) in self.tails.iter().zip(&mut landed) {
                if !records.is_empty() {
                    tail.grow(records);
                }
            }
            report(&mut batch, &places);
        }
    }

    /// Gives each record its offset and time.
    fn place(&mut self, batch: &mut [Pending], landed: &mut [Vec<LogRecord>]) -> Vec<Write> {
        let now = self.clock.now();
        let place = |pending: &mut Pending| {
            let at = pending.partition.0 as usize;
            self.times[at] = self.times[at].max(now);
            let offset = self.tails[at].end().plus(landed[at].len() as u64);
            record::set_time(&mut pending.encoded, self.times[at]);
            let stored = Bytes::from(std::mem::take(&mut pending.encoded));
            landed[at].push(record::decode(offset, &stored).expect("it was just encoded"));
            Write { partition: pending.partition, offset, time: self.times[at], stored }
        };
        batch.iter_mut().map(place).collect()
    }
}

impl Drop for FailOnExit {
    fn drop(&mut self) {
        self.0.fail("the thread that writes it has ended; restart");
    }
}

/// Reports a batch landed and wakes each appender once, or seldom more often.
fn report(batch: &mut Vec<Pending>, places: &[(Offset, Time)]) {
    for (pending, &(offset, time)) in batch.iter_mut().zip(places) {
        pending.land(offset, time);
    }
    for (at, pending) in batch.iter().enumerate() {
        if batch.get(at + 1).is_none_or(|next| !pending.is_of_same_appender(next)) {
            pending.wake();
        }
    }
    batch.clear();
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::super::queue::InFlight;
    use super::*;
    use crate::adapters::SystemClock;
    use crate::log::{Stamp, Term};
    use crate::ports::{AppendError, NewRecord, Report, SendNumber};

    const P0: Partition = Partition(0);
    const NOW: Time = Time::from_millis(9_999_999_999_999);

    /// A queue, a tail, an appender's share, and a thread whose commits the test decides.
    struct Rig {
        queue: Arc<Queue>,
        tails: Arc<[Tail]>,
        in_flight: Arc<InFlight>,
        sent: u64,
        /// The size of each batch, when its commit begins.
        begun: mpsc::Receiver<usize>,
        /// Lets a commit end so.
        end: mpsc::Sender<Result<(), &'static str>>,
        thread: thread::JoinHandle<()>,
    }

    impl Rig {
        fn new() -> Self {
            let queue = Arc::new(Queue::default());
            let tails = Arc::<[Tail]>::from(vec![Tail::new(Offset(0), 1_000)]);
            let (begin, begun) = mpsc::channel();
            let (end, ended) = mpsc::channel();
            let commit = move |writes: Vec<Write>| {
                begin.send(writes.len()).expect("the test listens");
                ended.recv().expect("the test decides or ends: a panic then")
            };
            // In the far future: the log's time never goes back, so every record has this one.
            let (clock, times) = (Arc::new(SystemClock), vec![NOW]);
            let shared = (Arc::clone(&queue), Arc::clone(&tails));
            let writer = Writer::new(shared.0, shared.1, clock, times, commit);
            let thread = thread::spawn(move || writer.run());
            let in_flight = Arc::new(InFlight::new(8, 1_000));
            Self { queue, tails, in_flight, sent: 0, begun, end, thread }
        }

        fn append(&mut self) -> Result<(), AppendError> {
            let stamp = Stamp::Claim { term: Term(1) };
            let encoded = record::encode(&NewRecord { key: None, stamp, value: b"value" });
            let pending = Pending::new(&self.in_flight, P0, SendNumber(self.sent), encoded)?;
            self.sent += 1;
            self.queue.push(pending);
            Ok(())
        }

        fn begun(&self) -> usize {
            self.begun.recv().expect("a commit begins")
        }

        async fn reports(&self) -> Vec<Report> {
            let mut reports = Vec::new();
            self.in_flight.settled(&mut reports).await;
            reports
        }
    }

    fn landed(first: u64, count: u64) -> Report {
        let time = NOW;
        Report::Landed { first: SendNumber(first), count, offset: Offset(first), time }
    }

    fn failed(send: u64) -> Report {
        Report::Failed { send: SendNumber(send) }
    }

    #[tokio::test]
    async fn what_comes_during_a_commit_shares_the_next_one() {
        let mut rig = Rig::new();
        rig.append().expect("room");
        assert_eq!(rig.begun(), 1);
        for _ in 0..5 {
            rig.append().expect("room");
        }
        rig.end.send(Ok(())).expect("a commit ends");
        assert_eq!(rig.reports().await, [landed(0, 1)]);
        assert_eq!(rig.begun(), 5);
        rig.end.send(Ok(())).expect("a commit ends");
        assert_eq!(rig.reports().await, [landed(1, 5)]);
    }

    #[tokio::test]
    async fn nobody_sees_a_record_before_its_commit_has_ended() {
        let mut rig = Rig::new();
        rig.append().expect("room");
        rig.begun();
        assert_eq!(rig.tails[0].end(), Offset(0));
        rig.end.send(Ok(())).expect("a commit ends");
        assert_eq!(rig.reports().await, [landed(0, 1)]);
        assert_eq!(rig.tails[0].end(), Offset(1), "who is told that it landed finds it");
    }

    #[tokio::test]
    async fn after_a_commit_that_failed_everything_fails() {
        let mut rig = Rig::new();
        rig.append().expect("room");
        rig.begun();
        rig.append().expect("room");
        rig.end.send(Err("no space")).expect("a commit ends");
        rig.thread.join().expect("no panic");
        let reason = rig.queue.failure().expect("it has failed");
        assert!(reason.contains("no space"), "{reason}");
        let mut reports = Vec::new();
        rig.in_flight.settled(&mut reports).await;
        reports.sort_by_key(Report::first);
        assert_eq!(reports, [failed(0), failed(1)]);
        assert_eq!(rig.tails[0].end(), Offset(0));
    }

    #[tokio::test]
    async fn a_panic_in_the_thread_fails_what_waits_and_what_comes() {
        let mut rig = Rig::new();
        rig.append().expect("room");
        rig.begun();
        let (nobody, _) = mpsc::channel();
        rig.end = nobody; // drops the old one: the commit panics
        assert_eq!(rig.reports().await, [failed(0)]);
        rig.append().expect("room");
        assert_eq!(rig.reports().await, [failed(1)]);
    }

    #[tokio::test]
    async fn an_appender_has_room_again_only_when_its_reports_were_taken() {
        let mut rig = Rig::new();
        rig.append().expect("room");
        rig.begun();
        for _ in 1..8 {
            rig.append().expect("room");
        }
        assert_eq!(rig.append(), Err(AppendError::Full));
        rig.end.send(Ok(())).expect("a commit ends");
        rig.begun(); // of the other seven: the first has landed
        assert_eq!(rig.append(), Err(AppendError::Full));
        assert_eq!(rig.reports().await, [landed(0, 1)]);
        rig.append().expect("room");
    }

    #[tokio::test]
    async fn what_was_given_up_is_not_written() {
        let mut rig = Rig::new();
        rig.append().expect("room");
        rig.begun();
        rig.append().expect("room");
        rig.in_flight.abandon();
        rig.end.send(Ok(())).expect("a commit ends");
        drop(rig.end); // a second commit panics
        rig.queue.close();
        rig.thread.join().expect("no second commit");
        assert_eq!(rig.tails[0].end(), Offset(1));
    }
}
