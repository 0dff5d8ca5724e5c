//! States of the validity fold along the log, to begin reading near a moment.

use std::collections::VecDeque;

use crate::contract::Time;
use crate::log::Tracker;

/// Records between two waypoints.
const RECORDS_BETWEEN: u64 = 4_096;
/// How long a waypoint is kept: longer than an outcome.
const KEPT_MS: u64 = 26 * 3_600_000;

/// The waypoints of one partition, in the order of the log.
#[derive(Default)]
pub(super) struct Waypoints(VecDeque<(Time, Tracker)>);

impl Waypoints {
    /// Notes where the fold stands, if that is far enough from where it stood.
    pub(super) fn pass(&mut self, time: Time, tracker: &Tracker) {
        if self.0.back().is_some_and(|(_, at)| tracker.next().0 < at.next().0 + RECORDS_BETWEEN) {
            return;
        }
        self.0.push_back((time, *tracker));
        // The one before the oldest moment that is asked for stays.
        while self.0.get(1).is_some_and(|(second, _)| time.millis_since(*second) > KEPT_MS) {
            self.0.pop_front();
        }
    }

    /// Where to begin, in order to meet everything that landed after this moment.
    pub(super) fn before(&self, time: Time) -> Tracker {
        let after = self.0.partition_point(|(at, _)| *at < time);
        after.checked_sub(1).map_or_else(Tracker::default, |at| self.0[at].1)
    }
}
