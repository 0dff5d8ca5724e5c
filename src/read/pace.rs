//! How often the records of a busy partition are given out: seldom enough that each commit of
//! views carries many, and at once while somebody waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

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

    /// Rests as long as more may come before it is given out, unless somebody waits.
    pub(super) async fn rest(&self) {
        let mut hurried = std::pin::pin!(self.0.hurried.notified());
        hurried.as_mut().enable();
        if self.0.hurried_by.load(Ordering::SeqCst) == 0 {
            drop(timeout(self.0.interval, hurried).await);
        }
    }

    /// Says that somebody waits, until the answer is dropped.
    pub(super) fn hurry(&self) -> Hurry<'_> {
        self.0.hurried_by.fetch_add(1, Ordering::SeqCst);
        self.0.hurried.notify_waiters();
        Hurry(&self.0)
    }
}

impl Drop for Hurry<'_> {
    fn drop(&mut self) {
        self.0.hurried_by.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

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
