//! Who builds what, and whether it still lives.
//!
//! A builder moves the number of its lease. Others watch whether it moves, by their own clocks:
//! nobody compares the clocks of two machines. What this node's earlier life was building is
//! nobody's from the first look on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::ports::{Lease, Pointer};

/// How often a lease is moved in the time after which its builder is taken for dead; and the number
/// of a revision in that after which nobody serves it.
pub(super) const BEATS: u32 = 5;

pub(super) struct Leases {
    node: String,
    instance: Uuid,
    /// How long a lease may stand still before its builder is taken for dead.
    silence_max: Duration,
    beaten_at: Instant,
    /// The number of whoever serves this revision, and when it was seen to move; not yet before
    /// this process has moved it.
    served: (u64, Option<Instant>),
    /// When the lease of a generation was last seen to move.
    seen: BTreeMap<Uuid, (Lease, Instant)>,
    /// Processes that were this node before.
    earlier: Option<BTreeSet<Uuid>>,
}

impl Leases {
    pub(super) fn new(node: &str, instance: Uuid, silence_max: Duration) -> Self {
        let (node, beaten_at) = (node.to_owned(), Instant::now());
        let (served, seen, earlier) = ((0, None), BTreeMap::new(), None);
        Self { node, instance, silence_max, beaten_at, served, seen, earlier }
    }

    /// A lease of this process.
    pub(super) fn own(&self) -> Lease {
        Lease { node: self.node.clone(), instance: self.instance, beat: 0 }
    }

    /// Looks at every lease in the pointer.
    pub(super) fn look(&mut self, pointer: &Pointer) {
        let leases = || leases(pointer).filter(|(_, lease)| lease.instance != self.instance);
        self.earlier.get_or_insert_with(|| {
            let of_this_node = leases().filter(|(_, lease)| lease.node == self.node);
            of_this_node.map(|(_, lease)| lease.instance).collect()
        });
        let now = Instant::now();
        let (number, moved_at) = &mut self.served;
        if std::mem::replace(number, pointer.served) != pointer.served {
            *moved_at = moved_at.map(|_| now);
        }
        let look = |(generation, lease): (Uuid, &Lease)| {
            let before = self.seen.get(&generation).filter(|(before, _)| before == lease);
            (generation, before.cloned().unwrap_or_else(|| (lease.clone(), now)))
        };
        self.seen = leases().map(look).collect();
    }

    pub(super) fn is_own(&self, lease: Option<&Lease>) -> bool {
        lease.is_some_and(|lease| lease.instance == self.instance)
    }

    /// Whether nobody builds this generation any more, as of the last look.
    pub(super) fn is_dead(&self, generation: Uuid, lease: &Lease) -> bool {
        let is_earlier = self.earlier.as_ref().is_some_and(|it| it.contains(&lease.instance));
        let stands = self.seen.get(&generation).is_some_and(|(_, since)| {
            lease.instance != self.instance && since.elapsed() >= self.silence_max
        });
        is_earlier || stands
    }

    /// Moves every lease of this process, and the number of those that serve this revision unless
    /// another has, when it is time.
    pub(super) fn beat(&mut self, pointer: &mut Pointer) {
        let (_, moved_at) = self.served;
        if moved_at.is_none_or(|at| at.elapsed() >= self.silence_max) {
            pointer.served += 1;
            self.served = (pointer.served, Some(Instant::now()));
        }
        if self.beaten_at.elapsed() < self.silence_max / BEATS {
            return;
        }
        self.beaten_at = Instant::now();
        let of_order = pointer.order.as_mut().and_then(|order| order.lease.as_mut());
        for lease in pointer.hidden.values_mut().chain(of_order) {
            if lease.instance == self.instance {
                lease.beat += 1;
            }
        }
    }
}

fn leases(pointer: &Pointer) -> impl Iterator<Item = (Uuid, &Lease)> {
    let of_order = pointer.order.as_ref().and_then(|order| order.lease.as_ref());
    let hidden = pointer.hidden.iter().map(|(generation, lease)| (*generation, lease));
    pointer.building.zip(of_order).into_iter().chain(hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENERATION: Uuid = Uuid::from_u128(1);
    const OURS: Uuid = Uuid::from_u128(2);
    const OTHERS: Uuid = Uuid::from_u128(3);
    const SILENCE_MAX: Duration = Duration::from_secs(15);

    fn hidden(node: &str, instance: Uuid, beat: u64) -> Pointer {
        Pointer::default().hiding(GENERATION, Lease { node: node.to_owned(), instance, beat })
    }

    fn is_dead(leases: &Leases, pointer: &Pointer) -> bool {
        leases.is_dead(GENERATION, &pointer.hidden[&GENERATION])
    }

    #[tokio::test(start_paused = true)]
    async fn a_builder_is_dead_when_its_lease_stands_still_for_too_long() {
        let mut leases = Leases::new("n1", OURS, SILENCE_MAX);
        for beat in 0..5 {
            let moved = hidden("n2", OTHERS, beat);
            leases.look(&moved);
            tokio::time::advance(SILENCE_MAX / 2).await;
            leases.look(&moved);
            assert!(!is_dead(&leases, &moved), "it moved a moment ago");
        }
        let still = hidden("n2", OTHERS, 4);
        tokio::time::advance(SILENCE_MAX / 2).await;
        leases.look(&still);
        assert!(is_dead(&leases, &still));
    }

    #[tokio::test(start_paused = true)]
    async fn what_this_node_was_building_before_it_started_again_is_nobodys_at_once() {
        let mut leases = Leases::new("n1", OURS, SILENCE_MAX);
        leases.look(&hidden("n1", OTHERS, 7));
        assert!(is_dead(&leases, &hidden("n1", OTHERS, 7)));
        let twin = hidden("n1", Uuid::from_u128(4), 0);
        leases.look(&twin);
        assert!(!is_dead(&leases, &twin), "one of the same name that came later lives");
    }

    #[tokio::test(start_paused = true)]
    async fn only_own_leases_are_moved_and_not_too_often() {
        let mut leases = Leases::new("n1", OURS, SILENCE_MAX);
        let mut pointer = hidden("n1", OURS, 0);
        leases.beat(&mut pointer);
        assert_eq!(pointer.hidden, hidden("n1", OURS, 0).hidden);
        tokio::time::advance(SILENCE_MAX / BEATS).await;
        leases.beat(&mut pointer);
        assert_eq!(pointer.hidden, hidden("n1", OURS, 1).hidden);
        tokio::time::advance(SILENCE_MAX / BEATS).await;
        let mut others = hidden("n1", OTHERS, 0);
        leases.beat(&mut others);
        assert_eq!(others.hidden, hidden("n1", OTHERS, 0).hidden);
    }

    #[tokio::test(start_paused = true)]
    async fn one_of_all_that_serve_a_revision_says_so_at_once_and_then_now_and_again() {
        let [mut one, mut another] = ["n1", "n2"].map(|it| Leases::new(it, OURS, SILENCE_MAX));
        let mut pointer = Pointer::default();
        for wanted in [2, 3, 4] {
            for leases in [&mut one, &mut another] {
                leases.look(&pointer);
                leases.beat(&mut pointer);
            }
            assert_eq!(pointer.served, wanted);
            tokio::time::advance(SILENCE_MAX).await;
        }
    }
}
