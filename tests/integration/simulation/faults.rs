//! What goes wrong in one history, and how often.
//!
//! Each history has its own mix: faults that always come together would hide each other.

use super::chance::Chance;

/// Rates of faults, each in a thousand of the occasions that it has.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    /// A record never lands, those after it do.
    pub(super) lost: u64,
    /// A record lands long after it was given up.
    pub(super) late: u64,
    /// A record lands a second time, later.
    pub(super) twice: u64,
    /// A record that lands is reported as failed.
    pub(super) failed: u64,
    /// A record that lands is never reported.
    pub(super) silent: u64,
    /// A record that lands is reported without its offset.
    pub(super) odd: u64,
    /// A report overtakes those before it.
    pub(super) overtaking: u64,
    /// A producer takes no more records.
    pub(super) dead: u64,
    /// An offset is taken that no reader gets.
    pub(super) hole: u64,
    /// A question to the log is not answered.
    pub(super) log_silent: u64,
    /// A question to the view store is not answered.
    pub(super) store_silent: u64,
    /// A write to the view store is not answered, though it happened or will happen.
    pub(super) store_unsure: u64,
    /// What the log answers, and when, is up to so many milliseconds late.
    pub(super) latency_ms: u64,
    /// The log's clock stands still.
    pub(super) clock_stands: bool,
}

impl Faults {
    /// A mix: each fault is in every second history, at a rate of its own.
    pub(super) fn of(chance: &Chance) -> Self {
        let rate = |most: u64| if chance.one_in(2) { 1 + chance.below(most) } else { 0 };
        Self {
            lost: rate(80),
            late: rate(80),
            twice: rate(80),
            failed: rate(50),
            silent: rate(50),
            odd: rate(150),
            overtaking: rate(150),
            dead: rate(20),
            hole: rate(100),
            log_silent: rate(30),
            store_silent: rate(60),
            store_unsure: rate(60),
            latency_ms: 1 + chance.below(12),
            clock_stands: chance.one_in(3),
        }
    }
}
