//! Where the first outcome of each command is whose id may come again.
//!
//! Only the place is kept, by a hash of target and id: the record in the log is the outcome. So a
//! place that is found must be looked at; one that is not found proves that the id is new. Places
//! are kept for a day of log time, and forgotten a few at a time, so that nobody waits for it.

use std::collections::{HashMap, VecDeque};

use sha2::{Digest as _, Sha256};

use crate::contract::{Offset, Target, Time};

/// How long an outcome is kept: a day, and the hour that has begun.
pub(super) const HOURS_KEPT: i64 = 25;
const HOUR_MS: i64 = 3_600_000;
/// Places that are forgotten with each that is noted: more than one, so that they grow fewer.
const FORGOTTEN_AT_ONCE: usize = 4;

/// A target and a command's id, in eight bytes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct IdHash(pub(super) u64);

/// The places of all outcomes of one partition, at most as many as there is room for.
pub(super) struct Outcomes {
    len_max: usize,
    /// The latest place of each hash.
    places: HashMap<IdHash, Offset>,
    /// Earlier places of a hash that came again: another id, or an id whose day was over.
    earlier: Vec<(IdHash, Offset)>,
    /// All places by their hour of log time, the oldest hour first.
    hours: VecDeque<(i64, Vec<(IdHash, Offset)>)>,
}

impl IdHash {
    pub(super) fn of(target: &Target, command_id: &str) -> Self {
        let digest = Sha256::new()
            .chain_update(target.as_str())
            .chain_update([0])
            .chain_update(command_id)
            .finalize();
        Self(u64::from_be_bytes(*digest.first_chunk().expect("SHA-256 has 32 bytes")))
    }
}

impl Outcomes {
    pub(super) fn new(len_max: usize) -> Self {
        let (places, earlier, hours) = (HashMap::new(), Vec::new(), VecDeque::new());
        Self { len_max, places, earlier, hours }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.len_max);
    }

    /// How many places are kept.
    pub(super) fn len(&self) -> usize {
        self.places.len() + self.earlier.len()
    }

    /// Whether there is room for this many more at this time.
    ///
    /// What is over is forgotten here, too: as long as there is no room, nothing is noted.
    pub(super) fn have_room(&mut self, more: usize, now: Time) -> bool {
        if self.len() + more > self.len_max {
            self.forget(now);
        }
        self.len() + more <= self.len_max
    }

    /// Notes where an outcome is, by the log's clock. What is in the log is noted whether there is
    /// room for it or not: forgetting it would do the command twice.
    pub(super) fn note(&mut self, hash: IdHash, offset: Offset, time: Time) {
        self.forget(time);
        let hour = hour_of(time);
        if let Some(before) = self.places.insert(hash, offset) {
            self.earlier.push((hash, before));
        }
        match self.hours.back_mut() {
            // A clock that went back does not open an hour again.
            Some((latest, places)) if *latest >= hour => places.push((hash, offset)),
            _ => self.hours.push_back((hour, vec![(hash, offset)])),
        }
    }

    /// Where the outcome may be, the latest place first; empty: there is none.
    pub(super) fn places(&self, hash: IdHash) -> Vec<Offset> {
        let Some(latest) = self.places.get(&hash) else { return Vec::new() };
        let earlier = self.earlier.iter().rev().filter(|(other, _)| *other == hash);
        std::iter::once(*latest).chain(earlier.map(|(_, offset)| *offset)).collect()
    }

    /// Forgets a few of those whose day is over.
    fn forget(&mut self, now: Time) {
        let last = hour_of(now) - HOURS_KEPT;
        for _ in 0..FORGOTTEN_AT_ONCE {
            let Some((hour, oldest)) = self.hours.front_mut() else { return };
            if *hour > last {
                return;
            }
            match oldest.pop() {
                Some((hash, offset)) if self.places.get(&hash) == Some(&offset) => {
                    self.places.remove(&hash);
                }
                Some(place) => self.earlier.retain(|earlier| *earlier != place),
                None => drop(self.hours.pop_front()),
            }
        }
    }
}

/// The hour of a moment.
pub(super) const fn hour_of(time: Time) -> i64 {
    time.millis().div_euclid(HOUR_MS)
}

/// The moment at which an hour begins.
pub(super) const fn begin_of(hour: i64) -> Time {
    Time::from_millis(hour * HOUR_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(hours: i64) -> Time {
        Time::from_millis(hours * HOUR_MS)
    }

    fn outcomes() -> Outcomes {
        Outcomes::new(1_000)
    }

    fn hash(command_id: &str) -> IdHash {
        IdHash::of(&Target::parse(b"account/ann").expect("a target"), command_id)
    }

    /// L8: what is kept is bounded by a day.
    #[test]
    fn a_place_is_kept_for_a_day_and_forgotten_after_it() {
        let mut outcomes = outcomes();
        for i in 0..100 {
            outcomes.note(hash(&format!("old {i}")), Offset(i), at(0));
        }
        outcomes.note(hash("next day"), Offset(100), at(24));
        assert_eq!(outcomes.places(hash("old 7")), [Offset(7)]);
        for i in 101..140 {
            outcomes.note(hash(&format!("later {i}")), Offset(i), at(26));
        }
        assert_eq!(outcomes.len(), 40, "the first hour is forgotten");
        assert!(outcomes.places(hash("old 7")).is_empty());
        assert_eq!(outcomes.places(hash("next day")), [Offset(100)]);
    }

    #[test]
    fn two_ids_with_one_hash_are_both_found() {
        let mut outcomes = outcomes();
        outcomes.note(hash("one"), Offset(1), at(0));
        outcomes.note(hash("one"), Offset(2), at(20));
        assert_eq!(outcomes.places(hash("one")), [Offset(2), Offset(1)], "the latest first");
        outcomes.note(hash("two"), Offset(3), at(30));
        assert_eq!(outcomes.places(hash("one")), [Offset(2)], "the first day is over");
        assert_eq!(outcomes.len(), 2);
    }

    /// L8: also when nothing is noted any more because there is no room.
    #[test]
    fn there_is_room_again_when_the_day_is_over() {
        let mut outcomes = Outcomes::new(10);
        for i in 0..9 {
            outcomes.note(hash(&format!("k {i}")), Offset(i), at(0));
        }
        assert!(outcomes.have_room(1, at(24)));
        assert!(!outcomes.have_room(2, at(24)));
        assert!(outcomes.have_room(2, at(25)));
        assert_eq!(outcomes.len(), 5, "a few at a time");
    }
}
