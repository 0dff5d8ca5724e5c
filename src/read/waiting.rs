//! How a query waits: for a live generation, and for the positions that it names.
//!
//! A lane of this process tells of its commits itself. Where another process commits, the store
//! tells of it; since that may get lost, the store is looked at from time to time as well.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use crate::contract::{Offset, Partition, Positions};
use crate::ports::{Space, Watch};

use super::generations::Live;
use super::lane::Progress;
use super::queries::{Entry, Inner, Miss};
use super::query_error::QueryError;
use super::status::LaneState;

/// How long a wait goes on before the log is asked whether the position exists at all.
const TRUST: Duration = Duration::from_millis(100);

/// How often a wait looks at the store, whatever it was told.
const LOOK: Duration = Duration::from_millis(50);

/// One query's wait.
pub(super) struct Waiting<'q> {
    views: &'q Inner,
    entry: &'q Entry,
    after: &'q Positions,
    begun: Instant,
    deadline: Instant,
    /// Whether the positions were found to be in the log.
    trusted: bool,
    /// Whether the pointer was read again.
    reloaded: bool,
    /// Whether the lane said more than the store showed.
    told: bool,
    /// Tells of the commits of another process.
    watch: Option<(Space, Box<dyn Watch>)>,
}

impl<'q> Waiting<'q> {
    /// A wait for positions; without any it does not wait.
    pub(super) fn new(
        views: &'q Inner,
        entry: &'q Entry,
        after: &'q Positions,
        wait: Duration,
    ) -> Self {
        let begun = Instant::now();
        let deadline = begun + if after.is_empty() { Duration::ZERO } else { wait };
        let (trusted, reloaded, told, watch) = (false, false, false, None);
        Self { views, entry, after, begun, deadline, trusted, reloaded, told, watch }
    }

    /// The generation to look at.
    pub(super) async fn live(&mut self) -> Result<Arc<Live>, QueryError> {
        // Nearly always it is there, and no timer is needed.
        let live = self.entry.live.borrow().clone();
        if let Some(live) = live {
            return Ok(live);
        }
        let mut live = self.entry.live.clone();
        if let Ok(Ok(live)) = timeout_at(self.deadline, live.wait_for(Option::is_some)).await
            && let Some(live) = live.clone()
        {
            return Ok(live);
        }
        Err(QueryError::Behind(match &*self.entry.blocked.borrow() {
            Some(blocked) => {
                format!("no generation is live, and none can be built: {}", blocked.detail())
            }
            None => "no generation is live yet; one is being built".to_owned(),
        }))
    }

    /// Returns when it is worth looking again. Where a partition is not there, another generation
    /// may be live by now.
    pub(super) async fn missed(&mut self, live: &Live, miss: Miss) -> Result<(), QueryError> {
        match miss {
            Miss::NotHere(_) if !self.reloaded => {
                self.reloaded = true;
                self.entry.reload(live).await;
                Ok(())
            }
            Miss::NotHere(partition) | Miss::NotYet(partition) => self.moved(live, partition).await,
        }
    }

    /// Returns when it is worth looking again at a partition that has not come far enough.
    async fn moved(&mut self, live: &Live, partition: Partition) -> Result<(), QueryError> {
        let is_over = Instant::now() >= self.deadline;
        if !self.trusted && (is_over || self.begun.elapsed() >= TRUST) {
            self.views.check_positions(self.after).await?;
            self.trusted = true;
        }
        if is_over {
            return Err(QueryError::Behind(behind(live, partition, self.after)));
        }
        let _hurry = self.views.paces[partition.0 as usize].hurry();
        let _lane = self.entry.lingers[partition.0 as usize].hurry();
        let mut progress = live.lanes[partition.0 as usize].clone();
        let wanted = self.after.get(partition);
        let passed = |progress: &Progress| has_passed(progress, wanted);
        let look_at = (Instant::now() + LOOK).min(self.deadline);
        // A lane that twice says more than the store shows has lost its space, and does not
        // know it yet: without a rest this would ask the store again and again.
        let told_again = std::mem::replace(&mut self.told, passed(&progress.borrow())) && self.told;
        let commits_here = progress.borrow().state == LaneState::Following;
        if !commits_here && self.begin_watch(live, partition).await {
            return Ok(()); // what was committed before the watch, it does not tell of
        }
        let other = async {
            match &mut self.watch {
                Some((_, watch)) if !commits_here => watch.moved().await,
                _ => std::future::pending().await,
            }
        };
        let ended = tokio::select! {
            biased;
            ended = progress.wait_for(passed) => ended.is_err(),
            () = other => false,
            () = sleep_until(look_at) => false,
        };
        if ended || told_again {
            // Only the store can tell what the lane's successor has done.
            sleep_until(look_at).await;
        }
        Ok(())
    }

    /// Watches the partition's space; says whether it did not do so before.
    async fn begin_watch(&mut self, live: &Live, partition: Partition) -> bool {
        let space = live.space(partition).expect("positions were checked against the partitions");
        if self.watch.as_ref().is_some_and(|(watched, _)| watched == space) {
            return false;
        }
        self.watch = Some((space.clone(), self.views.store.watch(space).await));
        true
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
