//! Asks a supervisor to read its pointer again, and waits until it has.
//!
//! A query that finds no checkpoint where one must be knows a generation that is not live any
//! more: perhaps another node has put another in its place.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::generations::Live;
use super::queries::Entry;

/// How long a reload is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Pointers are read again at most this often, however many queries ask for it.
const INTERVAL: Duration = Duration::from_millis(20);

/// How long a query waits for a generation that is live and not shown yet.
const SOON: Duration = Duration::from_millis(500);

/// Clones are the same.
#[derive(Clone)]
pub(super) struct Reload(Arc<Inner>);

struct Inner {
    asked: Notify,
    turns: watch::Sender<Turns>,
}

/// How many turns a supervisor has begun and ended.
#[derive(Clone, Copy, Default)]
struct Turns {
    begun: u64,
    ended: u64,
    /// Whether another generation is live than the one that is shown, and will be soon.
    comes: bool,
}

impl Reload {
    pub(super) fn new() -> Self {
        let (asked, turns) = (Notify::new(), watch::Sender::new(Turns::default()));
        Self(Arc::new(Inner { asked, turns }))
    }

    /// Returns once the pointer was read after this was called; says whether another generation
    /// will be shown soon.
    pub(super) async fn again(&self) -> bool {
        let mut turns = self.0.turns.subscribe();
        let begun = turns.borrow().begun;
        self.0.asked.notify_one();
        let ended = timeout(PATIENCE, turns.wait_for(|turns| turns.ended > begun)).await;
        ended.is_ok_and(|turns| turns.is_ok_and(|turns| turns.comes))
    }

    /// A turn begins.
    pub(super) fn begin(&self) {
        self.0.turns.send_modify(|turns| turns.begun += 1);
    }

    /// The turn has ended.
    pub(super) fn end(&self, comes: bool) {
        self.0.turns.send_modify(|turns| {
            turns.ended = turns.begun;
            turns.comes = comes;
        });
    }

    /// Returns when somebody has asked, and the turn that ended at `ended_at` is long enough ago.
    pub(super) async fn asked(&self, ended_at: Instant) {
        self.0.asked.notified().await;
        sleep_until(ended_at + INTERVAL).await;
    }
}

impl Entry {
    /// Has the pointer read again, and waits a moment for another generation, if there is one.
    pub(super) async fn reload(&self, seen: &Live) {
        let mut shown = self.live.clone();
        let comes = tokio::select! {
            biased;
            comes = self.reload.again() => comes,
            // Nobody reads the pointer any more: the process goes down.
            _ = shown.wait_for(|_| false) => false,
        };
        if comes {
            let mut live = self.live.clone();
            let is_other = |live: &Option<Arc<Live>>| {
                live.as_ref().is_some_and(|live| live.generation != seen.generation)
            };
            drop(timeout(SOON, live.wait_for(is_other)).await);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_had_begun_before_does_not_count() {
        let reload = Reload::new();
        reload.begin();
        let mut again = std::pin::pin!(reload.again());
        assert!(again.as_mut().now_or_never().is_none());
        reload.end(true);
        assert!(again.as_mut().now_or_never().is_none(), "it may have read the pointer before");
        reload.begin();
        reload.end(true);
        assert_eq!(again.now_or_never(), Some(true));
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_ask_are_one() {
        let (reload, ended_at) = (Reload::new(), Instant::now());
        let mut first = std::pin::pin!(reload.again());
        let mut second = std::pin::pin!(reload.again());
        assert!(first.as_mut().now_or_never().is_none());
        assert!(second.as_mut().now_or_never().is_none());
        reload.asked(ended_at).await;
        assert_eq!(ended_at.elapsed(), INTERVAL);
        assert!(reload.asked(ended_at).now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_supervisor_that_does_not_answer_is_not_waited_for_for_ever() {
        assert!(!Reload::new().again().await);
    }
}
