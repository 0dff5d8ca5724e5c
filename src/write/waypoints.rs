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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Offset;
    use crate::log::{Chain, Stamp, Term};

    /// Records land one a second; the first is a claim.
    fn passed(records: u64) -> Waypoints {
        let (mut waypoints, mut tracker) = (Waypoints::default(), Tracker::default());
        for at in 0..records {
            let stamp = match at.checked_sub(1) {
                None => Stamp::Claim { term: Term(1) },
                Some(chain) => Stamp::Commit { term: Term(1), chain: Chain(chain) },
            };
            tracker.step(Offset(at), second(at), &stamp, b"");
            waypoints.pass(second(at), &tracker);
        }
        waypoints
    }

    fn second(at: u64) -> Time {
        Time::from_millis(i64::try_from(at).expect("small") * 1_000)
    }

    #[test]
    fn reading_begins_before_the_moment_and_not_long_before_it() {
        let waypoints = passed(20_000);
        for moment in [0, 1, 4_095, 4_096, 9_999, 19_999] {
            let from = waypoints.before(second(moment)).next().0;
            assert!(from <= moment, "{moment} from {from}");
            assert!(from + RECORDS_BETWEEN >= moment, "{moment} from {from}");
        }
        let at = waypoints.before(second(10_000));
        assert_eq!(at.fold().next_chain, Chain(at.next().0 - 1), "the fold is that of its offset");
    }

    /// L8: what is kept is bounded by a day.
    #[test]
    fn a_waypoint_is_forgotten_after_a_day() {
        let records = 3 * KEPT_MS / 1_000;
        let waypoints = passed(records);
        assert!(waypoints.0.len() as u64 <= KEPT_MS / 1_000 / RECORDS_BETWEEN + 2);
        let yesterday = records - KEPT_MS / 1_000;
        assert!(waypoints.before(second(yesterday)).next().0 + RECORDS_BETWEEN >= yesterday);
    }
}
