//! What a copy comes to, partition by partition.

use serde::Serialize;

use crate::contract::Partition;
use crate::log::Sum;
use crate::ports::LeftBehind;

/// A finished copy. It is a good one only if it [`is_equal`](Report::is_equal).
///
/// ```
/// # use retell::{Partition, log::Digest, ports::LeftBehind};
/// use retell::transfer::{PartitionReport, Report};
///
/// # let (partition, left_behind) = (Partition(0), LeftBehind::default());
/// # let mut digest = Digest::default();
/// # digest.add(Some(b"light/hall"), b"{}");
/// # let [source, target] = [digest.sum(), digest.sum()];
/// let whole = PartitionReport { partition, copied: 0, left_behind, source, target };
/// let report = Report { partitions: vec![whole], has_grown: false };
/// // The copy is a good one, and was there before.
/// assert!(report.is_equal());
/// assert_eq!((report.records(), report.copied()), (1, 0));
/// ```
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Each partition, by its number.
    pub partitions: Vec<PartitionReport>,
    /// Whether the source was written to meanwhile; that is not in the copy yet.
    pub has_grown: bool,
}

/// What became of one partition.
///
/// ```
/// use retell::log::Digest;
/// use retell::{Partition, ports::LeftBehind, transfer::PartitionReport};
///
/// let (mut source, target) = (Digest::default(), Digest::default());
/// source.add(Some(b"light/hall"), b"{}");
/// let (partition, left_behind) = (Partition(5), LeftBehind::default());
/// let (source, target) = (source.sum(), target.sum());
/// let report = PartitionReport { partition, copied: 0, left_behind, source, target };
/// assert!(!report.is_equal(), "the target lacks a commit");
/// ```
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct PartitionReport {
    /// Which.
    pub partition: Partition,
    /// How many commits this run has copied; the others were there before.
    pub copied: u64,
    /// What does not count in the source, and stayed behind.
    pub left_behind: LeftBehind,
    /// The commits of the source.
    pub source: Sum,
    /// The commits of the target, read again at the end.
    pub target: Sum,
}

impl Report {
    /// Whether source and target hold the same commits in the same order.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.partitions.iter().all(PartitionReport::is_equal)
    }

    /// How many commits the source has.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.source.records).sum()
    }

    /// How many of them this run has copied.
    #[must_use]
    pub fn copied(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.copied).sum()
    }
}

impl PartitionReport {
    /// Whether source and target hold the same commits in the same order.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.source == self.target
    }
}
