//! Which generations of a projection there are, and what becomes of them.
//!
//! A pointer is exchanged in one step (law 7 of the view store). A generation that is no longer
//! named as live, previous, building or hidden is named in `dropping` by the same step, so that
//! no crash leaves a generation behind that nobody would remove.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::contract::{Offset, Partition, Time};

/// The generations of one revision of a projection.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use retell::{Time, ports::Pointer};
/// use uuid::Uuid;
///
/// let (old, new) = (Uuid::from_u128(1), Uuid::from_u128(2));
/// let pointer = Pointer { live: Some(old), building: Some(new), ..Pointer::default() };
/// let flipped = pointer.flipped(BTreeMap::new(), Time::from_millis(7), true);
/// assert_eq!((flipped.live, flipped.previous), (Some(new), Some(old)));
/// let back = flipped.rolled_back(BTreeMap::new(), Time::from_millis(8));
/// assert!(back.live == Some(old) && back.dropping.contains(&new));
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Pointer {
    /// The generation that queries read.
    pub live: Option<Uuid>,
    /// When it went live, by the clock of whoever made it so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// The generation before it, which keeps following for a while.
    pub previous: Option<Uuid>,
    /// The generation that a replay is building.
    pub building: Option<Uuid>,
    /// As what it is built, and by whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// How far the live generation had come, at least, when it went live.
    pub floor: BTreeMap<Partition, Offset>,
    /// Generations that verifications build, each with its builder.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hidden: BTreeMap<Uuid, Lease>,
    /// Generations that are to be removed.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub dropping: BTreeSet<Uuid>,
    /// Counts up while a binary of this revision runs; 0 where none ever said so.
    #[serde(skip_serializing_if = "is_zero")]
    pub served: u64,
    /// Whether nobody folds the projection, because an operator says so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
}

/// What a replay was asked to do. Whoever goes on with it after a crash does the same.
///
/// ```
/// use retell::Time;
/// use retell::ports::{Order, Pointer};
/// use uuid::Uuid;
///
/// let (replay, building) = (Uuid::from_u128(7), Uuid::from_u128(2));
/// let order = Order {
///     replay,
///     started_at: Time::from_millis(1_000),
///     records_per_second: "5000".parse().ok(),
///     require_equal: true,
///     cancelled: false,
///     lease: None,
/// };
/// let pointer = Pointer::default().begun(building, order);
/// assert_eq!(pointer.order.as_ref().map(|order| order.replay), Some(replay));
/// assert_eq!(pointer.given_up().order, None);
/// ```
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct Order {
    /// The replay's id.
    pub replay: Uuid,
    /// When it was asked for.
    pub started_at: Time,
    /// The most records that it reads in a second.
    pub records_per_second: Option<NonZeroU32>,
    /// Whether it stops before the flip when a view differs.
    pub require_equal: bool,
    /// Whether it is to be given up, by whoever builds.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancelled: bool,
    /// Who builds; nobody, when it was left to whoever can.
    pub lease: Option<Lease>,
}

/// Who builds a generation, and a number that moves while it lives. Others look whether it moves;
/// nobody compares clocks.
///
/// ```
/// use retell::ports::{Lease, Pointer};
/// use uuid::Uuid;
///
/// let generation = Uuid::from_u128(2);
/// let lease = Lease { node: "n1".into(), instance: Uuid::from_u128(7), beat: 1 };
/// let pointer = Pointer::default().hiding(generation, lease.clone());
/// // It lives: the number has moved.
/// let later = pointer.hiding(generation, Lease { beat: 2, ..lease });
/// assert!(later.hidden[&generation].beat > pointer.hidden[&generation].beat);
/// ```
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct Lease {
    /// The node.
    pub node: String,
    /// The process.
    pub instance: Uuid,
    /// Counts up.
    pub beat: u64,
}

impl Pointer {
    /// A replay begins.
    #[must_use]
    pub fn begun(&self, building: Uuid, order: Order) -> Self {
        Self { building: Some(building), order: Some(order), ..self.given_up() }
    }

    /// A replay ends without a flip.
    #[must_use]
    pub fn given_up(&self) -> Self {
        let mut new = self.clone();
        new.order = None;
        new.dropping.extend(new.building.take());
        new
    }

    /// What was built goes live; what was live is kept as the one before, or dropped.
    #[must_use]
    pub fn flipped(&self, floor: BTreeMap<Partition, Offset>, now: Time, keep: bool) -> Self {
        let mut new = self.clone();
        new.order = None;
        new.dropping.extend(new.previous.take());
        match keep {
            true => new.previous = new.live.take(),
            false => new.dropping.extend(new.live.take()),
        }
        Self { live: new.building.take(), since: Some(now), floor, ..new }
    }

    /// The one before goes live again; what was live is dropped.
    #[must_use]
    pub fn rolled_back(&self, floor: BTreeMap<Partition, Offset>, now: Time) -> Self {
        let mut new = self.clone();
        new.dropping.extend(new.live.take());
        Self { live: new.previous.take(), since: Some(now), floor, ..new }
    }

    /// The one before is kept no longer.
    #[must_use]
    pub fn without_previous(&self) -> Self {
        let mut new = self.clone();
        new.dropping.extend(new.previous.take());
        new
    }

    /// A verification builds this generation, or goes on to.
    #[must_use]
    pub fn hiding(&self, generation: Uuid, lease: Lease) -> Self {
        let mut new = self.clone();
        new.hidden.insert(generation, lease);
        new
    }

    /// A verification has ended.
    #[must_use]
    pub fn without_hidden(&self, generation: Uuid) -> Self {
        let mut new = self.clone();
        if new.hidden.remove(&generation).is_some() {
            new.dropping.insert(generation);
        }
        new
    }

    /// Nobody serves the revision any more: all that there is of it is to be removed.
    #[must_use]
    pub fn abandoned(&self) -> Self {
        let mut new = self.given_up().without_previous();
        new.dropping.extend(new.live.take());
        new.dropping.extend(std::mem::take(&mut new.hidden).into_keys());
        Self { since: None, floor: BTreeMap::new(), ..new }
    }

    /// Whether it names any generation that is not to be removed.
    #[must_use]
    pub fn names_any(&self) -> bool {
        let named = [self.live, self.previous, self.building];
        named.iter().any(Option::is_some) || !self.hidden.is_empty()
    }

    /// Whether queries read it, or may do so by one step, or somebody builds it.
    #[must_use]
    pub fn names(&self, generation: Uuid) -> bool {
        [self.live, self.previous, self.building].contains(&Some(generation))
            || self.hidden.contains_key(&generation)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Uuid = Uuid::from_u128(1);
    const B: Uuid = Uuid::from_u128(2);
    const C: Uuid = Uuid::from_u128(3);
    const D: Uuid = Uuid::from_u128(4);

    fn order() -> Order {
        Order {
            replay: Uuid::from_u128(9),
            started_at: Time::from_millis(5),
            records_per_second: NonZeroU32::new(5),
            require_equal: true,
            cancelled: false,
            lease: Some(lease()),
        }
    }

    fn lease() -> Lease {
        Lease { node: "n1".to_owned(), instance: Uuid::nil(), beat: 0 }
    }

    fn live() -> Pointer {
        Pointer { live: Some(A), previous: Some(B), ..Pointer::default() }
    }

    /// Whatever was named before and is not any more is to be removed.
    fn forgets_nothing(before: &Pointer, after: &Pointer) {
        for id in [A, B, C, D].into_iter().filter(|&id| before.names(id)) {
            assert!(after.names(id) != after.dropping.contains(&id), "{id}: {after:?}");
        }
    }

    #[test]
    fn no_step_forgets_a_generation() {
        let (now, floor) = (Time::from_millis(7), BTreeMap::new());
        let building = live().begun(C, order()).hiding(D, lease());
        let steps = [
            building.begun(Uuid::from_u128(5), order()),
            building.given_up(),
            building.flipped(floor.clone(), now, true),
            building.flipped(floor.clone(), now, false),
            building.rolled_back(floor, now),
            building.without_previous(),
            building.without_hidden(D),
            building.abandoned(),
        ];
        steps.iter().for_each(|after| forgets_nothing(&building, after));
    }

    #[test]
    fn a_flip_keeps_the_one_before_and_a_rollback_returns_to_it() {
        let (now, floor) = (Time::from_millis(7), BTreeMap::from([(Partition(0), Offset(3))]));
        let flipped = live().begun(C, order()).flipped(floor.clone(), now, true);
        assert_eq!((flipped.live, flipped.previous, flipped.building), (Some(C), Some(A), None));
        assert_eq!((&flipped.floor, flipped.since, &flipped.order), (&floor, Some(now), &None));
        assert_eq!(flipped.dropping, [B].into());
        let back = flipped.rolled_back(floor, now);
        assert_eq!((back.live, back.previous), (Some(A), None));
        assert_eq!(back.dropping, [B, C].into());
    }

    #[test]
    fn what_nobody_serves_any_more_is_removed_and_what_an_operator_said_stays() {
        let served = Pointer { served: 7, paused: true, ..live() };
        let all = served.begun(C, order()).hiding(D, lease());
        assert!(all.names_any() && Pointer::default().hiding(D, lease()).names_any());
        let abandoned = all.abandoned();
        let dropping = [A, B, C, D].into();
        let wanted = Pointer { served: 7, paused: true, dropping, ..Pointer::default() };
        assert_eq!(abandoned, wanted);
        assert!(!abandoned.names_any());
    }

    #[test]
    fn a_pointer_of_an_earlier_version_is_read() {
        let json = r#"{"live":null,"previous":null,"building":null}"#;
        assert_eq!(serde_json::from_str::<Pointer>(json).expect("JSON"), Pointer::default());
        let json = serde_json::to_string(&live()).expect("JSON");
        let said = ["dropping", "paused", "served"].into_iter().find(|it| json.contains(it));
        assert_eq!(said, None, "{json}");
        let all = live().begun(C, order()).hiding(D, lease()).without_hidden(D);
        let json = serde_json::to_string(&all).expect("JSON");
        assert_eq!(serde_json::from_str::<Pointer>(&json).expect("JSON"), all);
    }
}
