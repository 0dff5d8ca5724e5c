//! A query that has no answer yet: it waits for a generation, or for positions, up to a limit.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use crate::contract::{Offset, Partition, Positions};
use crate::gate::GateState;
use crate::ports::StoreError;

use super::generations::Live;
use super::lane::Progress;
use super::pace::Pace;
use super::queries::{Entry, Inner, QueryError};

/// How long a wait goes on before the log is asked whether the position exists at all.
const TRUST: Duration = Duration::from_millis(100);

/// How often a wait looks at the store, for commits of another process.
const LOOK: Duration = Duration::from_millis(50);

/// What a query has waited for so far.
pub(super) struct Waiting<'v> {
    views: &'v Inner,
    entry: &'v Entry,
    after: &'v Positions,
    begun: Instant,
    deadline: Instant,
    /// Whether the log has said that it has the positions.
    trusted: bool,
    /// Whether the lane said, when it was last asked, that it has passed the position.
    told: bool,
}

impl<'v> Waiting<'v> {
    /// Begins to wait for these positions, at most so long.
    pub(super) fn begin(
        views: &'v Inner,
        entry: &'v Entry,
        after: &'v Positions,
        wait: Duration,
    ) -> Result<Self, QueryError> {
        views.check_store()?;
        views.check_partitions(after)?;
        let begun = Instant::now();
        let deadline = begun + if after.is_empty() { Duration::ZERO } else { wait };
        Ok(Self { views, entry, after, begun, deadline, trusted: false, told: false })
    }

    /// The generation to read.
    pub(super) async fn live(&self) -> Result<Arc<Live>, QueryError> {
        loop {
            let live = self.entry.live.borrow().clone();
            match live {
                Some(live) => return Ok(live),
                None => self.wait_for_live().await?,
            }
        }
    }

    /// Returns when it is worth to look again at a partition that had not come far enough.
    pub(super) async fn passed(
        &mut self,
        live: &Live,
        partition: Partition,
    ) -> Result<(), QueryError> {
        if Instant::now() >= self.deadline {
            return Err(QueryError::Behind(behind(live, partition, self.after)));
        }
        if !self.trusted && self.begun.elapsed() >= TRUST {
            self.views.check_positions(self.after).await?;
            self.trusted = true;
        }
        let at = partition.0 as usize;
        let _hurry = self.views.paces[at].hurry();
        let _linger = self.entry.lingers.get(at).map(Pace::hurry);
        let mut progress = live.lanes[at].clone();
        let passed = |progress: &Progress| has_passed(progress, self.after.get(partition));
        let look_at = (Instant::now() + LOOK).min(self.deadline);
        // A lane that twice says more than the store shows has lost its space, and does not
        // know it yet: without a rest this would ask the store again and again.
        let told = passed(&progress.borrow());
        let told_again = std::mem::replace(&mut self.told, told) && told;
        let ended = matches!(timeout_at(look_at, progress.wait_for(passed)).await, Ok(Err(_)));
        if ended || told_again {
            // Only the store can tell what the lane's successor has done.
            sleep_until(look_at).await;
        }
        Ok(())
    }

    async fn wait_for_live(&self) -> Result<(), QueryError> {
        let mut live = self.entry.live.clone();
        let waited = timeout_at(self.deadline, live.wait_for(Option::is_some)).await;
        match waited {
            Ok(Ok(_)) => Ok(()),
            _ => Err(QueryError::Behind(match &*self.entry.blocked.borrow() {
                Some(blocked) => {
                    let why = blocked.detail();
                    format!("no generation is live, and none can be built: {why}")
                }
                None => "no generation is live yet; one is being built".to_owned(),
            })),
        }
    }
}

impl Inner {
    /// A store whose settings are wrong, such as one that evicts, is not believed.
    fn check_store(&self) -> Result<(), QueryError> {
        if self.store_gate.is_open() {
            return Ok(());
        }
        match self.store_gate.state() {
            GateState::Open => Ok(()),
            GateState::Waiting(why) => Err(StoreError::Unavailable(why).into()),
            GateState::Refused(why) => Err(StoreError::Settings(vec![why]).into()),
        }
    }

    pub(super) fn check_partitions(&self, after: &Positions) -> Result<(), QueryError> {
        let partitions = self.log.partitions().count();
        match after.iter().find(|position| position.partition.0 >= partitions) {
            Some(position) => Err(QueryError::PartitionUnknown { position, partitions }),
            None => Ok(()),
        }
    }

    pub(super) async fn check_positions(&self, after: &Positions) -> Result<(), QueryError> {
        for position in after.iter() {
            let end = self.log.end(position.partition).await;
            let end = end.map_err(|error| QueryError::LogUnavailable(error.to_string()))?;
            if position.offset >= end {
                return Err(QueryError::PositionUnknown { position, end });
            }
        }
        Ok(())
    }
}

fn has_passed(progress: &Progress, wanted: Option<Offset>) -> bool {
    wanted.is_none_or(|wanted| progress.next > wanted)
}

fn behind(live: &Live, partition: Partition, after: &Positions) -> String {
    let at = live.lanes[partition.0 as usize].borrow().next;
    match after.get(partition) {
        Some(wanted) => format!("partition {partition} is at {at}, {wanted} was asked for"),
        None => format!("partition {partition} is being rebuilt"),
    }
}
