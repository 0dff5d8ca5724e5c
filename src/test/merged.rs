//! Tests of a [`MergedProjection`](crate::MergedProjection), or one with links: every aggregate
//! is in a partition of its own, so that each view of more than one aggregate is merged from parts.

use std::collections::BTreeMap;

use crate::contract::{Aggregate, EventOf, Key, LinkedProjection, Partition, Time};
use crate::events::Metadata;

use super::recorder::Recorder;
use super::twin::{Twin, expect_view, json_of};

/// A test of a merged projection, with links or without.
///
/// ```
/// use retell::test::MergedTest;
/// # use retell::doc::{Light, LightEvent, LightsOn, LightsOnView};
///
/// MergedTest::of(LightsOn)
///     .given::<Light>("hall", [LightEvent::SwitchedOn {}])
///     .given::<Light>("cellar", [LightEvent::SwitchedOn {}])
///     .when::<Light>("hall", LightEvent::SwitchedOff {})
///     .then_view("all", Some(LightsOnView { on: 1 }));
/// ```
#[derive(Debug)]
pub struct MergedTest<P: LinkedProjection> {
    projection: P,
    recorder: Recorder,
    /// By aggregate; each has a partition of its own.
    links: BTreeMap<Partition, Twin<P::Link>>,
    parts: BTreeMap<Key, BTreeMap<Partition, Twin<P::View>>>,
}

impl<P: LinkedProjection> MergedTest<P> {
    /// A test of this projection.
    pub const fn of(projection: P) -> Self {
        Self {
            projection,
            recorder: Recorder::new(),
            links: BTreeMap::new(),
            parts: BTreeMap::new(),
        }
    }

    /// The events that an aggregate has had; further events may follow those of others.
    ///
    /// # Panics
    /// As [`when`](Self::when).
    #[must_use]
    pub fn given<A: Aggregate>(
        self,
        id: &str,
        events: impl IntoIterator<Item = EventOf<A>>,
    ) -> Self {
        events.into_iter().fold(self, |test, event| test.when::<A>(id, event))
    }

    /// The next event happens at this time, instead of a second after the one before.
    #[must_use]
    pub const fn at(mut self, time: Time) -> Self {
        self.recorder.set_time(time);
        self
    }

    /// All further events are recorded with this metadata, instead of none.
    #[must_use]
    pub fn with(mut self, metadata: Metadata) -> Self {
        self.recorder.set_metadata(metadata);
        self
    }

    /// One more event, of this aggregate.
    ///
    /// # Panics
    /// The id is no [`Key`], or the projection does not name `A` among its sources, or the link
    /// of the aggregate becomes another one by being stored.
    #[must_use]
    pub fn when<A: Aggregate>(mut self, id: &str, event: EventOf<A>) -> Self {
        assert!(
            self.projection.sources().iter().any(|source| source.aggregate_type == A::TYPE),
            "`{}` is not among the sources of `{}`, which therefore gets none of its events",
            A::TYPE,
            P::NAME,
        );
        let id = Key::new(id).expect("the id of an aggregate is a key");
        let (projection, links, parts) = (&self.projection, &mut self.links, &mut self.parts);
        self.recorder.record::<A>(&id, &event, |recorded| {
            let partition = recorded.position().partition;
            let link = links.entry(partition).or_insert(Twin::EMPTY);
            link.fold(|link| Some(projection.link(link.unwrap_or_default(), recorded)));
            let link = link.view().expect("it was folded");
            for key in projection.keys(link, recorded) {
                let part = parts.entry(key.clone()).or_default();
                part.entry(partition).or_insert(Twin::EMPTY).fold(|part| {
                    Some(projection.fold(part.unwrap_or_default(), &key, link, recorded))
                });
            }
        });
        self
    }

    /// The view under this key is now this one; `None`: there is none. More may happen afterwards.
    ///
    /// # Panics
    /// It is not, or it becomes another one by being stored, or its parts break a law of `merge`.
    pub fn then_view(self, key: &str, expected: Option<P::View>) -> Self {
        let parts = self.parts_of(key);
        check_merge(&self.projection, &parts);
        let whole = parts.into_iter().reduce(|left, right| self.projection.merge(left, right));
        expect_view(whole.as_ref(), expected.as_ref());
        self
    }

    fn parts_of(&self, key: &str) -> Vec<P::View> {
        let of_key = self.parts.get(key).into_iter().flat_map(BTreeMap::values);
        of_key.filter_map(|part| part.view().cloned()).collect()
    }
}

/// Checks on these parts that `merge` is associative and commutative, and that the default view
/// is its identity.
///
/// # Panics
/// One of the three does not hold; the message has the parts.
pub fn check_merge<P: LinkedProjection>(projection: &P, parts: &[P::View]) {
    let merge = |left: &P::View, right: &P::View| projection.merge(left.clone(), right.clone());
    for a in parts {
        let whole = merge(a, &P::View::default());
        expect_law("View::default() is the identity of merge", &[a], &whole, a);
        for b in parts {
            expect_law("merge is commutative", &[a, b], &merge(a, b), &merge(b, a));
            for c in parts {
                let (left, right) = (merge(&merge(a, b), c), merge(a, &merge(b, c)));
                expect_law("merge is associative", &[a, b, c], &left, &right);
            }
        }
    }
}

fn expect_law<V: crate::contract::View>(law: &str, parts: &[&V], left: &V, right: &V) {
    let (left, right) = (json_of(Some(left)), json_of(Some(right)));
    let parts = || parts.iter().map(|part| json_of(Some(*part))).collect::<Vec<_>>().join("\n");
    assert!(left == right, "{law}, but not of\n{}\nOnce it is\n{left}\nonce\n{right}", parts());
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use crate::contract::{MergedProjection, Recorded, Sources};
    use crate::doc::{Light, LightEvent, LightsOn, LightsOnView};

    use super::{Key, MergedTest, check_merge};

    /// Counts as [`LightsOn`] does, but merges by this function.
    struct Lawless {
        sources: Sources,
        merge: fn(i64, i64) -> i64,
    }

    impl MergedProjection for Lawless {
        type View = LightsOnView;
        const NAME: &'static str = "lawless";
        const REVISION: u32 = 1;

        fn sources(&self) -> Sources {
            self.sources.clone()
        }

        fn keys(&self, recorded: &Recorded<'_>) -> Vec<Key> {
            LightsOn.keys(recorded)
        }

        fn fold(&self, part: LightsOnView, key: &Key, recorded: &Recorded<'_>) -> LightsOnView {
            LightsOn.fold(part, key, recorded)
        }

        fn merge(&self, left: LightsOnView, right: LightsOnView) -> LightsOnView {
            LightsOnView { on: (self.merge)(left.on, right.on) }
        }
    }

    fn lawless(merge: fn(i64, i64) -> i64) -> Lawless {
        Lawless { sources: Sources::default().and::<Light>(), merge }
    }

    fn broken_law(merge: fn(i64, i64) -> i64) -> String {
        let parts = [1, 2, 3].map(|on| LightsOnView { on });
        let checked = catch_unwind(|| check_merge(&lawless(merge), &parts));
        *checked.expect_err("a broken law").downcast::<String>().expect("panics with a text")
    }

    #[test]
    fn each_broken_law_of_merge_is_named() {
        assert!(broken_law(|left, right| left + right + 1).contains("identity"));
        assert!(broken_law(|left, _| left).contains("commutative"));
        let mean_of_two = |left: i64, right: i64| match (left, right) {
            (0, one) | (one, 0) => one,
            _ => i64::midpoint(left, right),
        };
        assert!(broken_law(mean_of_two).contains("associative"));
    }

    #[test]
    fn a_test_with_two_aggregates_checks_the_laws_on_their_parts() {
        let test = || {
            MergedTest::of(lawless(|left, _| left))
                .given::<Light>("hall", [LightEvent::SwitchedOn {}])
                .given::<Light>("cellar", [LightEvent::SwitchedOff {}])
                .then_view("all", Some(LightsOnView { on: 1 }));
        };
        let panic = catch_unwind(test).expect_err("a broken law");
        let complaint = panic.downcast::<String>().expect("panics with a text");
        assert!(complaint.contains("commutative"), "{complaint}");
    }

    #[test]
    fn an_event_of_an_aggregate_that_is_no_source_is_a_mistake_of_the_test() {
        let test = || {
            let deaf = Lawless { sources: Sources::default(), merge: |left, right| left + right };
            drop(MergedTest::of(deaf).when::<Light>("hall", LightEvent::SwitchedOn {}));
        };
        let panic = catch_unwind(test).expect_err("a complaint");
        let complaint = panic.downcast::<String>().expect("panics with a text");
        assert!(complaint.contains("`light` is not among the sources of `lawless`"));
    }
}
