//! A stranger who writes into the log: nothing of it may stop a reader or change a view.
//!
//! Not one who forges commits that count: those take the numbers of ours, and the protocol only
//! promises an alarm then. Nobody but Retell may have the right to produce.

use bytes::Bytes;
use retell::Partition;
use retell::log::{Chain, Flaw, Stamp, Term};

use super::node::Cluster;

/// Appends one record of a kind that chance chooses.
pub(super) fn write(cluster: &Cluster) {
    let Cluster { world, broker, .. } = cluster;
    let chance = &world.chance;
    let partition = Partition(u32::from(cluster.partitions > 1 && chance.one_in(2)));
    let rules = world.truth().ledger(partition.0).term();
    let stamp = match chance.below(6) {
        0 => Stamp::Foreign(Flaw::Missing("kind")),
        1 => Stamp::Claim { term: Term(chance.below(rules + 1)) },
        2 => Stamp::Claim { term: Term(rules + 2 + chance.below(3)) },
        3 => Stamp::Commit { term: Term(chance.below(rules.max(1))), chain: Chain(0) },
        4 => Stamp::Commit { term: Term(rules + 1), chain: Chain(chance.below(3)) },
        // The worst that a stranger can do without knowing the term: nobody of ours rules then.
        _ => Stamp::Claim { term: Term(rules + 1) },
    };
    world.count("stranger");
    let key = matches!(stamp, Stamp::Commit { .. }).then(|| Bytes::from_static(b"counter/x"));
    broker.land(partition, key, stamp, Bytes::from_static(b"{\"v\":1}"));
}
