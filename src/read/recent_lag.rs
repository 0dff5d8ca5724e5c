//! The lag of each partition over the last minutes, for who looks at it once.
//!
//! It is of the projection that is furthest behind in that partition, and bounded in length.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::contract::Partition;
use crate::log::Partitions;
use crate::shutdown::Shutdown;

use super::queries::Views;
use super::status::ProjectionInfo;

/// How often it is looked at; the log's ends are asked for as often.
const INTERVAL: Duration = Duration::from_secs(5);

/// Samples that are kept: five minutes.
const SAMPLES_MAX: usize = 60;

/// The latest samples of each partition, the newest last. Cheap to clone.
#[derive(Clone)]
pub(super) struct RecentLag(Arc<Mutex<Vec<VecDeque<u64>>>>);

impl RecentLag {
    pub(super) fn new(partitions: Partitions) -> Self {
        Self(Arc::new(Mutex::new(partitions.iter().map(|_| VecDeque::new()).collect())))
    }

    pub(super) fn get(&self, partition: Partition) -> Vec<u64> {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        samples.get(partition.0 as usize).into_iter().flatten().copied().collect()
    }

    /// Takes samples until the process goes down.
    pub(super) async fn run(self, views: Views, shutdown: Shutdown) {
        loop {
            tokio::select! {
                biased;
                () = tokio::time::sleep(INTERVAL) => self.add(&views.list()),
                () = shutdown.requested() => return,
            }
        }
    }

    fn add(&self, projections: &[ProjectionInfo]) {
        let mut partitions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (at, samples) in partitions.iter_mut().enumerate() {
            let lanes = projections.iter().filter_map(|projection| projection.partitions.get(at));
            samples.push_back(lanes.map(|lane| lane.lag).max().unwrap_or(0));
            if samples.len() > SAMPLES_MAX {
                samples.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Offset;
    use crate::read::{LaneState, LaneStatus, Sampled, ViewKind};

    fn projection(lags: &[u64]) -> ProjectionInfo {
        let lane = |(at, &lag): (usize, &u64)| LaneStatus {
            partition: Partition(u32::try_from(at).expect("few")),
            next: Offset(0),
            lag,
            state: LaneState::Following,
            time: None,
            parked: 0,
        };
        ProjectionInfo {
            name: "accounts",
            revision: 1,
            generation: None,
            keyed_by: ViewKind::Merged,
            indexes: Vec::new(),
            schema: serde_json::Value::Null,
            paused: false,
            newer_events: None,
            too_many_parked: None,
            sampled: Sampled::default(),
            partitions: lags.iter().enumerate().map(lane).collect(),
        }
    }

    #[test]
    fn it_is_of_the_projection_that_is_furthest_behind_and_only_of_the_last_minutes() {
        let recent = RecentLag::new(Partitions::new(2).expect("two"));
        recent.add(&[projection(&[3, 0]), projection(&[1, 7]), projection(&[])]);
        assert_eq!((recent.get(Partition(0)), recent.get(Partition(1))), (vec![3], vec![7]));
        for lag in 0..100 {
            recent.add(&[projection(&[lag, 0])]);
        }
        assert_eq!(recent.get(Partition(0)), (40..100).collect::<Vec<_>>());
        assert_eq!(recent.get(Partition(2)), Vec::<u64>::new());
    }
}
