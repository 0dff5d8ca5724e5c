//! Ticks: what a timer makes commands of.

use super::Time;

/// One beat of the timer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tick {
    /// When it is: a multiple of `timer.interval_ms` since 1970, the same on every node.
    pub time: Time,
    /// What `timer.text` says at this time.
    pub text: String,
}
