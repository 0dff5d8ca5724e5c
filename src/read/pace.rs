//! How often the records of a busy partition are given out, and its views committed: seldom enough
//! that each commit carries many, and at once while somebody waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// How long the gathering takes for each record a millisecond: 50 records a second are worth one
/// more millisecond. A view that several of them change is written once.
const FOR_A_RECORD_A_MILLI: Duration = Duration::from_millis(20);
/// Less than this is not worth a timer: feeds give out in chunks anyway.
const GATHERING_MIN: Duration = Duration::from_millis(10);

/// The pace of one partition. Clones are the same.
#[derive(Clone)]
pub(super) struct Pace(Arc<Inner>);

struct Inner {
    interval: Duration,
    /// How many are waiting.
    hurried_by: AtomicUsize,
    hurried: Notify,
}

/// While it lives, somebody waits.
pub(super) struct Hurry<'a>(&'a Inner);

impl Pace {
    pub(super) fn new(interval: Duration) -> Self {
        Self(Arc::new(Inner { interval, hurried_by: AtomicUsize::new(0), hurried: Notify::new() }))
    }

    pub(super) fn interval(&self) -> Duration {
        self.0.interval
    }

    /// Rests as long as more may come before it is given out, unless somebody waits.
    pub(super) async fn rest(&self) {
        self.rest_for(self.0.interval).await;
    }

    /// Rests for so long, unless somebody waits.
    pub(super) async fn rest_for(&self, interval: Duration) {
        let mut hurried = std::pin::pin!(self.0.hurried.notified());
        hurried.as_mut().enable();
        if self.0.hurried_by.load(Ordering::SeqCst) == 0 {
            drop(timeout(interval, hurried).await);
        }
    }

    /// Says that somebody waits, until the answer is dropped.
    pub(super) fn hurry(&self) -> Hurry<'_> {
        self.0.hurried_by.fetch_add(1, Ordering::SeqCst);
        self.0.hurried.notify_waiters();
        Hurry(&self.0)
    }
}

/// How busy a partition is, from what a lane folds of it.
pub(super) struct Busy {
    since: Instant,
}

impl Busy {
    pub(super) fn new() -> Self {
        Self { since: Instant::now() }
    }

    /// How long to gather after so many records: the faster they come, the longer, up to a limit;
    /// not at all where few do.
    pub(super) fn gathering(&mut self, records: usize, max: Duration) -> Duration {
        let now = Instant::now();
        let passed = now.duration_since(std::mem::replace(&mut self.since, now));
        let a_milli = records as f64 / passed.max(Duration::from_millis(1)).as_secs_f64() / 1_000.0;
        let gathering = FOR_A_RECORD_A_MILLI.mul_f64(a_milli).min(max);
        if gathering < GATHERING_MIN { Duration::ZERO } else { gathering }
    }
}

impl Drop for Hurry<'_> {
    fn drop(&mut self) {
        self.0.hurried_by.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const INTERVAL: Duration = Duration::from_millis(5);

    #[tokio::test(start_paused = true)]
    async fn it_rests_unless_somebody_waits() {
        let pace = Pace::new(INTERVAL);
        let began = Instant::now();
        pace.rest().await;
        assert!(began.elapsed() >= INTERVAL, "{:?}", began.elapsed());
        let began = Instant::now();
        let hurry = pace.hurry();
        pace.rest().await;
        assert_eq!(began.elapsed(), Duration::ZERO);
        drop(hurry);
        pace.rest().await;
        assert!(began.elapsed() >= INTERVAL, "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn the_faster_records_come_the_longer_they_are_gathered() {
        let (mut busy, max) = (Busy::new(), Duration::from_millis(100));
        // Records, the milliseconds in which they came, and the milliseconds to gather.
        for (records, passed, gathering) in
            [(1, 1_000, 0), (2, 5, 0), (5, 10, 10), (24, 5, 96), (500, 5, 100), (400, 100, 80)]
        {
            sleep(Duration::from_millis(passed)).await;
            let wanted = Duration::from_millis(gathering);
            assert_eq!(busy.gathering(records, max), wanted, "{records} in {passed} ms");
        }
        assert_eq!(busy.gathering(500, Duration::ZERO), Duration::ZERO, "it can be switched off");
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_while_it_rests_ends_the_rest() {
        let pace = Pace::new(INTERVAL);
        let began = Instant::now();
        let comes = async {
            tokio::task::yield_now().await;
            drop(pace.hurry());
        };
        tokio::join!(pace.rest(), comes);
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
