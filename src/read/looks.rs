//! When those to whom nothing happens look whether their space is still there: all of a process
//! at the same moments, so that the store gets their questions at once, and an idle process wakes
//! up once a second and not once for each.

use std::time::Duration;

use tokio::time::Instant;

/// Between two looks.
pub(crate) const IDLE_CHECK: Duration = Duration::from_secs(1);

/// Who waits for records looks not sooner than this after the last, also at the shared moment.
const QUIET_MIN: Duration = Duration::from_millis(250);

/// The moments, counted from one that all share.
#[derive(Clone, Copy)]
pub(super) struct Looks(Instant);

impl Looks {
    pub(super) fn begin() -> Self {
        Self(Instant::now())
    }

    /// How long it is to the next.
    pub(super) fn rest(self) -> Duration {
        rest(Instant::now().saturating_duration_since(self.0))
    }
}

fn rest(passed: Duration) -> Duration {
    let into = Duration::new(passed.as_secs() % IDLE_CHECK.as_secs(), passed.subsec_nanos());
    let rest = IDLE_CHECK.saturating_sub(into);
    if rest < QUIET_MIN { rest + IDLE_CHECK } else { rest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_look_at_the_same_moments_but_nobody_at_once() {
        let at = |millis| rest(Duration::from_millis(millis)).as_millis();
        assert_eq!([at(0), at(300), at(750), at(5_000), at(5_749)], [1_000, 700, 250, 1_000, 251]);
        assert_eq!([at(751), at(999), at(5_999)], [1_249, 1_001, 1_001]);
    }
}
