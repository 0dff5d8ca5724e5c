//! A clock that stands still until the test moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::contract::Time;
use crate::ports::Clock;

/// Wall time as the test says it is. Clones are the same clock.
///
/// ```
/// use std::time::Duration;
/// use retell::adapters::memory::ManualClock;
/// use retell::{Time, ports::Clock};
///
/// let clock = ManualClock::new(Time::from_millis(1_000));
/// clock.advance(Duration::from_millis(5));
/// assert_eq!(clock.now(), Time::from_millis(1_005));
/// ```
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    millis: Arc<AtomicI64>,
}

impl ManualClock {
    /// A clock that shows `time`.
    #[must_use]
    pub fn new(time: Time) -> Self {
        Self { millis: Arc::new(AtomicI64::new(time.millis())) }
    }

    /// Sets the clock, also back: wall time may do that.
    pub fn set(&self, time: Time) {
        self.millis.store(time.millis(), Ordering::SeqCst);
    }

    /// Moves the clock on; what is less than a millisecond is lost.
    pub fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.millis.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        Time::from_millis(self.millis.load(Ordering::SeqCst))
    }
}
