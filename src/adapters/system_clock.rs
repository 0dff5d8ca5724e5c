//! The wall clock of this machine.

use crate::contract::Time;
use crate::ports::Clock;

/// Wall time as the operating system tells it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where the system's clock is read")]
    fn now(&self) -> Time {
        Time::from_millis(chrono::Utc::now().timestamp_millis())
    }
}
