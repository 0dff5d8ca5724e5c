//! What is counted where it happens: counters and distributions, without a lock.
//!
//! Whoever counts owns what it counts with; whoever wants the numbers asks its handle. Nothing
//! here knows how they are shown.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that only grows.
///
/// ```
/// use retell::measure::Counter;
///
/// let errors = Counter::default();
/// errors.count();
/// errors.add(2);
/// assert_eq!(errors.get(), 3);
/// ```
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// How many values there were up to each of some bounds.
///
/// ```
/// use std::time::Duration;
///
/// use retell::measure::Histogram;
///
/// let calls = Histogram::of_durations();
/// calls.duration(Duration::from_millis(1));
/// calls.duration(Duration::from_millis(4));
/// assert_eq!(calls.read().sum, 5_000); // microseconds
/// ```
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One for each bound, and one for what is beyond the last.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// What a histogram has counted.
///
/// ```
/// use retell::measure::Histogram;
///
/// let sizes = Histogram::of_sizes();
/// [3, 4, 2_000_000].into_iter().for_each(|size| sizes.size(size));
/// let read = sizes.read();
/// assert_eq!(read.bounds[..2], [1, 4]);
/// assert_eq!(read.counts[..2], [0, 2]);
/// assert_eq!((read.count(), read.counts.last()), (3, Some(&1)));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Distribution {
    /// In rising order, in the unit of the values.
    pub bounds: &'static [u64],
    /// The values up to each bound and above the one before; then those beyond the last.
    pub counts: Vec<u64>,
    /// All values together.
    pub sum: u64,
}

/// From a tenth of a millisecond to ten seconds, in microseconds.
const DURATIONS: &[u64] = &[
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

/// Fourfold from one to the next.
const SIZES: &[u64] = &[1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576];

impl Counter {
    /// One more.
    pub fn count(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// How many so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Histogram {
    /// Of durations, which are counted in microseconds.
    #[must_use]
    pub fn of_durations() -> Self {
        Self::of(DURATIONS)
    }

    /// Of sizes: bytes, or how many there are of something.
    #[must_use]
    pub fn of_sizes() -> Self {
        Self::of(SIZES)
    }

    fn of(bounds: &'static [u64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0) }
    }

    /// Counts a size.
    pub fn size(&self, size: usize) {
        self.record(size as u64);
    }

    /// Counts a duration.
    pub fn duration(&self, duration: Duration) {
        self.record(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    /// What was counted so far. Values that come meanwhile may be in it in part.
    #[must_use]
    pub fn read(&self) -> Distribution {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        Distribution { bounds: self.bounds, counts, sum: self.sum.load(Ordering::Relaxed) }
    }

    fn record(&self, value: u64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        self.counts[at].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }
}

impl Distribution {
    /// How many values there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_counted_once_below_the_first_bound_that_it_does_not_exceed() {
        let sizes = Histogram::of_sizes();
        for size in [0, 1, 2, 4, 5, 2_000_000] {
            sizes.size(size);
        }
        let read = sizes.read();
        assert_eq!(read.counts[..3], [2, 2, 1]);
        assert_eq!(read.counts.last(), Some(&1));
        assert_eq!((read.count(), read.sum), (6, 2_000_012));
    }

    #[test]
    fn durations_are_microseconds() {
        let durations = Histogram::of_durations();
        durations.duration(Duration::from_millis(1));
        let read = durations.read();
        assert_eq!(read.sum, 1_000);
        let at = read.counts.iter().position(|count| *count == 1).expect("it was counted");
        assert_eq!(read.bounds[at], 1_000);
    }
}
