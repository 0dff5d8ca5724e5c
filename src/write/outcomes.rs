//! Where the first outcome of each command is whose id may come again.
//!
//! Only the place is kept, by a hash of target and id: the record in the log is the outcome. So a
//! place that is found must be looked at; one that is not found proves that the id is new. Places
//! are kept for a day of log time.
//!
//! They come in segments: of an hour, or of as many as may be held as they are. The last one is
//! open. A closed one is sealed: pages in the state space have its places, and a filter in memory
//! says whether a page must be looked at. So a new id costs no read, and a day's ids little memory.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::contract::{Offset, Target, Time};

use super::filter::{Bits, Filter, share_of};
use super::places::Places;

/// How long a segment is kept after its last place came.
pub(super) const KEPT_MS: u64 = 24 * 3_600_000;
/// How long a segment is open, at most.
const OPEN_MS: u64 = 3_600_000;
/// Places of a page.
const PAGE_LEN: usize = 512;

/// A target and a command's id, in eight bytes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct IdHash(pub(super) u64);

/// The number of a segment, in the order of the log.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub(super) struct SegmentNumber(pub(super) u64);

/// A page of a segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct PageName {
    pub(super) segment: SegmentNumber,
    pub(super) page: usize,
}

/// The places of all outcomes of one partition.
pub(super) struct Outcomes {
    /// The most places that commands may add to.
    len_max: usize,
    /// The most places of the open segment.
    open_max: usize,
    len: usize,
    /// The oldest first. Only the last one may be open.
    segments: VecDeque<Segment>,
    next_number: SegmentNumber,
}

struct Segment {
    number: SegmentNumber,
    /// When its first place came, by the log's clock.
    begin: Time,
    /// When its last one came.
    end: Time,
    keys: Keys,
}

/// The places of a segment, or what is left of them in memory.
enum Keys {
    Open(Places),
    Closed(Arc<Places>),
    Sealed(Filter, Sealed),
}

/// How much is in a sealed segment.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Sealed {
    pub(super) keys: usize,
    pub(super) pages: usize,
}

/// A segment as the state space lists it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Listed {
    pub(super) number: SegmentNumber,
    pub(super) begin: Time,
    pub(super) end: Time,
    /// `None` when its places are in a map, as they came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sealed: Option<Sealed>,
}

/// Where an id may have come before. Nowhere: it is new.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Trace {
    /// The latest first.
    pub(super) places: Vec<Offset>,
    /// Pages that may have more.
    pub(super) pages: Vec<PageName>,
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

impl Sealed {
    pub(super) fn of(keys: usize) -> Self {
        Self { keys, pages: keys.div_ceil(PAGE_LEN).max(1) }
    }

    /// The page of a hash.
    pub(super) fn page_of(self, hash: IdHash) -> usize {
        share_of(hash, self.pages)
    }
}

impl Listed {
    /// Whether its day is over.
    pub(super) fn is_over(&self, now: Time) -> bool {
        now.millis_since(self.end) > KEPT_MS
    }
}

impl Trace {
    pub(super) fn is_new(&self) -> bool {
        self.places.is_empty() && self.pages.is_empty()
    }
}

impl Outcomes {
    pub(super) fn new(len_max: usize, open_max: usize) -> Self {
        let (len, segments, next_number) = (0, VecDeque::new(), SegmentNumber(0));
        Self { len_max, open_max: open_max.max(1), len, segments, next_number }
    }

    /// Forgets everything; the next segment has this number.
    pub(super) fn begin(&mut self, next_number: SegmentNumber) {
        *self = Self { next_number, ..Self::new(self.len_max, self.open_max) };
    }

    /// How many places are kept.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// How many of them are held as they are.
    pub(super) fn exact_len(&self) -> usize {
        let is_exact = |segment: &&Segment| !matches!(segment.keys, Keys::Sealed(..));
        self.segments.iter().filter(is_exact).map(Segment::len).sum()
    }

    /// Whether there is room for this many more.
    pub(super) const fn have_room(&self, more: usize) -> bool {
        self.len + more <= self.len_max
    }

    /// Notes where an outcome is, by the log's clock; says in which segment. What is in the log is
    /// noted whether there is room for it or not: forgetting it would do the command twice.
    pub(super) fn note(&mut self, hash: IdHash, offset: Offset, time: Time) -> SegmentNumber {
        self.len += 1;
        if let Some(Segment { number, begin, end, keys: Keys::Open(places) }) =
            self.segments.back_mut()
            && places.len() < self.open_max
            && time.millis_since(*begin) < OPEN_MS
        {
            places.add(hash, offset);
            *end = time.max(*end); // a clock that goes back shortens no day
            return *number;
        }
        self.close();
        self.forget(time);
        let mut places = Places::default();
        places.add(hash, offset);
        let number = self.next_number;
        self.take(Segment { number, begin: time, end: time, keys: Keys::Open(places) });
        number
    }

    /// Where an id may have come before.
    pub(super) fn look(&self, hash: IdHash) -> Trace {
        let mut trace = Trace::default();
        let bits = Bits::of(hash);
        for Segment { number, keys, .. } in self.segments.iter().rev() {
            match keys {
                Keys::Open(places) => places.find(hash, &mut trace.places),
                Keys::Closed(places) => places.find(hash, &mut trace.places),
                Keys::Sealed(filter, sealed) if filter.may_have(hash, bits) => {
                    trace.pages.push(PageName { segment: *number, page: sealed.page_of(hash) });
                }
                Keys::Sealed(..) => {}
            }
        }
        trace
    }

    /// Forgets what is over.
    pub(super) fn forget(&mut self, now: Time) {
        let is_over = |it: &mut Segment| now.millis_since(it.end) > KEPT_MS;
        while let Some(segment) = self.segments.pop_front_if(is_over) {
            self.len -= segment.len();
        }
    }

    /// The oldest segment that is closed and not sealed.
    pub(super) fn closed(&self) -> Option<(SegmentNumber, Arc<Places>)> {
        self.segments.iter().find_map(|segment| match &segment.keys {
            Keys::Closed(places) => Some((segment.number, places.clone())),
            _ => None,
        })
    }

    /// How many segments wait to be sealed.
    pub(super) fn closed_len(&self) -> usize {
        self.segments.iter().filter(|segment| matches!(segment.keys, Keys::Closed(_))).count()
    }

    /// Exchanges the places of a segment for a filter: the pages are in the state space.
    pub(super) fn seal(&mut self, number: SegmentNumber, filter: Filter, sealed: Sealed) {
        if let Some(segment) = self.segments.iter_mut().find(|it| it.number == number) {
            segment.keys = Keys::Sealed(filter, sealed);
        }
    }

    /// All segments as the state space lists them; this one as if it was sealed.
    pub(super) fn listed(&self, sealing: Option<(SegmentNumber, Sealed)>) -> Vec<Listed> {
        let listed = |segment: &Segment| {
            let sealed = match (&segment.keys, sealing) {
                (Keys::Sealed(_, sealed), _) => Some(*sealed),
                (_, Some((number, sealed))) if number == segment.number => Some(sealed),
                _ => None,
            };
            let Segment { number, begin, end, .. } = *segment;
            // More may come to one that is not sealed.
            let latest = Time::from_millis(begin.millis().saturating_add_unsigned(OPEN_MS));
            let end = if sealed.is_some() { end } else { end.max(latest) };
            Listed { number, begin, end, sealed }
        };
        self.segments.iter().map(listed).collect()
    }

    /// Takes a segment whose pages are in the state space, with its filter.
    pub(super) fn take_sealed(&mut self, listed: &Listed, filter: Filter, sealed: Sealed) {
        self.take_listed(listed, Keys::Sealed(filter, sealed));
    }

    /// Takes a segment that is not sealed. The last one is gone on with.
    pub(super) fn take_open(&mut self, listed: &Listed, places: Places) {
        self.take_listed(listed, Keys::Open(places));
    }

    fn take_listed(&mut self, listed: &Listed, keys: Keys) {
        self.close();
        let Listed { number, begin, end, .. } = *listed;
        let segment = Segment { number, begin, end, keys };
        self.len += segment.len();
        self.take(segment);
    }

    fn take(&mut self, segment: Segment) {
        self.next_number = SegmentNumber(segment.number.0 + 1);
        self.segments.push_back(segment);
    }

    /// Closes the open segment, if there is one.
    fn close(&mut self) {
        let Some(Segment { keys, .. }) = self.segments.back_mut() else { return };
        if let Keys::Open(places) = keys {
            *keys = Keys::Closed(Arc::new(std::mem::take(places)));
        }
    }
}

impl Segment {
    fn len(&self) -> usize {
        match &self.keys {
            Keys::Open(places) => places.len(),
            Keys::Closed(places) => places.len(),
            Keys::Sealed(_, sealed) => sealed.keys,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(hours: i64) -> Time {
        Time::from_millis(hours * 3_600_000)
    }

    fn outcomes(open_max: usize) -> Outcomes {
        Outcomes::new(1_000, open_max)
    }

    fn hash(command_id: &str) -> IdHash {
        IdHash::of(&Target::parse(b"account/ann").expect("a target"), command_id)
    }

    fn places(outcomes: &Outcomes, command_id: &str) -> Vec<Offset> {
        let trace = outcomes.look(hash(command_id));
        assert!(trace.pages.is_empty());
        trace.places
    }

    /// L8: what is kept is bounded by a day.
    #[test]
    fn a_place_is_kept_for_a_day_and_forgotten_after_it() {
        let mut outcomes = outcomes(1_000);
        for i in 0..100 {
            outcomes.note(hash(&format!("old {i}")), Offset(i), at(0));
        }
        outcomes.note(hash("next day"), Offset(100), at(24));
        assert_eq!(places(&outcomes, "old 7"), [Offset(7)]);
        outcomes.note(hash("later"), Offset(101), at(26));
        assert_eq!(outcomes.len(), 2, "the first hour is forgotten");
        assert!(outcomes.look(hash("old 7")).is_new());
        assert_eq!(places(&outcomes, "next day"), [Offset(100)]);
    }

    #[test]
    fn two_ids_with_one_hash_are_both_found() {
        let mut outcomes = outcomes(1_000);
        outcomes.note(hash("one"), Offset(1), at(0));
        outcomes.note(hash("one"), Offset(2), at(0));
        outcomes.note(hash("one"), Offset(3), at(20));
        let latest_first = [Offset(3), Offset(2), Offset(1)];
        assert_eq!(places(&outcomes, "one"), latest_first);
        outcomes.note(hash("two"), Offset(4), at(30));
        assert_eq!(places(&outcomes, "one"), [Offset(3)], "the first day is over");
        assert_eq!(outcomes.len(), 2);
    }

    /// L8: also when nothing is noted any more because there is no room.
    #[test]
    fn there_is_room_again_when_the_day_is_over() {
        let mut outcomes = Outcomes::new(10, 1_000);
        for i in 0..9 {
            outcomes.note(hash(&format!("k {i}")), Offset(i), at(0));
        }
        assert!(outcomes.have_room(1));
        assert!(!outcomes.have_room(2));
        outcomes.forget(at(24));
        assert!(!outcomes.have_room(2));
        outcomes.forget(at(25));
        assert!(outcomes.have_room(10));
    }

    #[test]
    fn a_segment_is_closed_when_it_is_full_or_its_hour_is_over() {
        let mut outcomes = outcomes(3);
        let mut note = |i: u64, hour| outcomes.note(hash(&i.to_string()), Offset(i), at(hour)).0;
        let numbers: Vec<u64> = (0..7).map(|i| note(i, 0)).collect();
        assert_eq!((&numbers[..], note(7, 1)), (&[0, 0, 0, 1, 1, 1, 2][..], 3));
        assert_eq!(outcomes.closed_len(), 3);
    }

    /// What a sealed segment says is never that an id is new which it has.
    #[test]
    fn a_sealed_segment_points_to_its_page() {
        let mut outcomes = Outcomes::new(10_000, 2_000);
        for i in 0..2_001 {
            outcomes.note(hash(&i.to_string()), Offset(i), at(0));
        }
        let (number, places) = outcomes.closed().expect("a full one");
        let mut filter = Filter::new(places.len());
        places.iter().for_each(|(hash, _)| filter.add(hash));
        let sealed = Sealed::of(places.len());
        let listed = outcomes.listed(Some((number, sealed)));
        outcomes.seal(number, filter, sealed);
        assert_eq!(outcomes.listed(None), listed);
        assert!(outcomes.closed().is_none());
        for i in 0..2_000 {
            let hash = hash(&i.to_string());
            let page = PageName { segment: number, page: sealed.page_of(hash) };
            assert_eq!(outcomes.look(hash), Trace { places: Vec::new(), pages: vec![page] });
            assert!(page.page < 4);
        }
        assert_eq!(places.len() + 1, outcomes.len());
        let again = outcomes.note(hash("5"), Offset(9_000), at(0));
        let trace = outcomes.look(hash("5"));
        assert_eq!((trace.places, trace.pages.len()), (vec![Offset(9_000)], 1));
        assert_eq!(again, SegmentNumber(1));
    }
}
