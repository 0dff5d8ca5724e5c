//! Wall time and new ids. Monotonic time and sleep are tokio's, which tests pause.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

use crate::contract::Time;

/// Wall time.
///
/// ```
/// use std::sync::Arc;
///
/// use retell::Time;
/// use retell::ports::{Clock, Ids};
///
/// /// It is always the same moment.
/// struct Stopped(Time);
///
/// impl Clock for Stopped {
///     fn now(&self) -> Time {
///         self.0
///     }
/// }
/// let ids = Ids::new(Arc::new(Stopped(Time::from_millis(1_000))));
/// assert_eq!(ids.now(), Time::from_millis(1_000));
/// ```
pub trait Clock: Send + Sync + 'static {
    /// Now. It may go back; whoever needs order must not ask a clock for it.
    fn now(&self) -> Time;
}

/// Makes ids: UUIDv7 from a clock and a generator that a test can seed.
///
/// ```
/// use std::sync::Arc;
///
/// use retell::adapters::memory::ManualClock;
/// use retell::ports::Ids;
///
/// let clock = Arc::new(ManualClock::default());
/// let (ids, again) = (Ids::seeded(clock.clone(), 7), Ids::seeded(clock, 7));
/// let id = ids.next();
/// assert_eq!(id, again.next());
/// assert_ne!(id, ids.next());
/// ```
#[derive(Clone)]
pub struct Ids {
    clock: Arc<dyn Clock>,
    random: Arc<Mutex<StdRng>>,
}

impl Ids {
    /// Ids that nobody can foresee.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, random: Arc::new(Mutex::new(rand::make_rng())) }
    }

    /// The same ids for the same seed and the same clock.
    #[must_use]
    pub fn seeded(clock: Arc<dyn Clock>, seed: u64) -> Self {
        Self { clock, random: Arc::new(Mutex::new(StdRng::seed_from_u64(seed))) }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// A random part of a duration, at least half of it: so that many who wait do not come at once.
    #[must_use]
    pub fn spread(&self, whole: Duration) -> Duration {
        whole / 2 + whole / 512 * u32::from(self.next().as_bytes()[15])
    }

    /// A new id of this moment.
    #[must_use]
    pub fn next(&self) -> Uuid {
        let mut bytes = [0; 10];
        self.random.lock().expect("no panic while it is held").fill_bytes(&mut bytes);
        let millis = u64::try_from(self.now().millis()).unwrap_or_default();
        uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
    }
}

impl std::fmt::Debug for Ids {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ids").finish_non_exhaustive()
    }
}
