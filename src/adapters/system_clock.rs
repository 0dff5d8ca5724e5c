//! The wall clock of this machine.

use crate::contract::Time;
use crate::ports::Clock;

/// Wall time as the operating system tells it.
///
/// ```
/// use retell::adapters::SystemClock;
/// use retell::{Time, ports::Clock};
///
/// let released: Time = "2026-01-01T00:00:00.000Z".parse()?;
/// assert!(SystemClock.now() > released);
/// # Ok::<(), retell::InvalidTime>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where the system's clock is read")]
    fn now(&self) -> Time {
        Time::from_millis(chrono::Utc::now().timestamp_millis())
    }
}
