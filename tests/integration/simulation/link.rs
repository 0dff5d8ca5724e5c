//! A process's way to the log and the store. While it is held up the process does nothing: all
//! that it does begins or ends with an answer that comes through here.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

pub(super) struct Link {
    held_until: Mutex<Instant>,
    is_dead: AtomicBool,
}

impl Link {
    pub(super) fn new() -> Self {
        Self { held_until: Mutex::new(Instant::now()), is_dead: AtomicBool::new(false) }
    }

    /// Holds the process up, as a long pause of it or of its network does.
    pub(super) fn hold(&self, time: Duration) {
        *self.held_until.lock().expect("no panic while it is held") = Instant::now() + time;
    }

    /// The process was killed: what it had not sent yet may never be sent.
    pub(super) fn cut(&self) {
        self.is_dead.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::SeqCst)
    }

    pub(super) fn held_until(&self) -> Instant {
        *self.held_until.lock().expect("no panic while it is held")
    }

    /// Returns when the process may go on.
    pub(super) async fn pass(&self) {
        loop {
            let until = self.held_until();
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }
}
