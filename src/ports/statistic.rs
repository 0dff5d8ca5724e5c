//! What an adapter's client tells of itself, for who watches the process.

use crate::measure::Distribution;

/// A number of a client: of a connection, a queue, or calls.
///
/// ```
/// use retell::ports::{Measured, Statistic};
///
/// let connections = Statistic::number("retell_redis_connections", "commands", 8.0);
/// assert!(matches!(connections.value, Measured::Number(8.0)));
/// ```
#[derive(Clone, Debug)]
pub struct Statistic {
    /// Its name, which `docs/metrics.md` explains.
    pub name: &'static str,
    /// Which of an adapter's clients: one of a few fixed names.
    pub client: &'static str,
    /// How many.
    pub value: Measured,
}

/// What was measured.
///
/// ```
/// use std::time::Duration;
///
/// use retell::measure::Histogram;
/// use retell::ports::Measured;
///
/// let calls = Histogram::of_durations();
/// calls.duration(Duration::from_millis(3));
/// let measured = Measured::Durations(calls.read());
/// assert!(matches!(measured, Measured::Durations(of) if of.count() == 1 && of.sum == 3_000));
/// ```
#[derive(Clone, Debug)]
pub enum Measured {
    /// One number.
    Number(f64),
    /// Durations, in microseconds.
    Durations(Distribution),
}

impl Statistic {
    /// One number of a client.
    #[must_use]
    pub const fn number(name: &'static str, client: &'static str, value: f64) -> Self {
        Self { name, client, value: Measured::Number(value) }
    }
}
