//! States of another schema, left by the binary before: they are dropped when nobody is expected
//! to go back to them any more.
//!
//! The store notes for each partition whose states are live, since which offset, and whose were
//! before. A binary that goes back finds its states as it left them, and makes them live again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::contract::{Offset, Time};
use crate::ports::{EventLog, LogError, Pointer, StoreError};

use super::search::first_record;
use super::setback::Setback;
use super::space::{NAME, StateSpace};
use super::writer::Writer;

/// How often it is looked whether something may be dropped.
const LOOK_INTERVAL: Duration = Duration::from_mins(1);

/// The look that is under way.
#[derive(Default)]
pub(super) struct Former {
    looking: JoinSet<Result<(), Setback>>,
    began: Option<Instant>,
}

/// What a look needs to know.
struct Look {
    log: Arc<dyn EventLog>,
    space: StateSpace,
    /// How far the log is folded.
    next: Offset,
    now: Time,
    /// How long former states are kept.
    keep: Duration,
}

impl Writer {
    /// Looks after the states of other schemas from time to time, beside the loop.
    pub(super) fn look_at_former(&mut self) {
        let former = &mut self.saving.former;
        if let Some(Ok(Err(setback))) = former.looking.try_join_next() {
            tracing::debug!(%setback, "states of another schema are left for now");
        }
        let is_due = former.began.is_none_or(|began| began.elapsed() >= LOOK_INTERVAL);
        if is_due && former.looking.is_empty() && self.saving.state.checkpoint().is_some() {
            let look = Look {
                log: self.shared.log.clone(),
                space: self.saving.space.clone(),
                next: self.tracker.next(),
                now: self.shared.ids.now(),
                keep: self.shared.config.keep_states,
            };
            former.began = Some(Instant::now());
            former.looking.spawn(look.run());
        }
    }
}

impl Look {
    async fn run(self) -> Result<(), Setback> {
        let mut noted = self.noted().await?;
        if noted.as_ref().and_then(|noted| noted.live) != Some(self.space.generation()) {
            noted = self.make_live(noted).await?;
        }
        let Some(noted) = noted else { return Ok(()) };
        match noted.previous {
            Some(former) if self.is_over(&noted).await? => {
                self.space.drop_generation(former).await?;
                let new = Pointer { previous: None, ..noted.clone() };
                self.set(Some(&noted), &new).await?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn noted(&self) -> Result<Option<Pointer>, StoreError> {
        let mut noted = self.space.store.pointers(NAME).await?;
        Ok(noted.remove(&self.space.space.partition.0))
    }

    /// Makes these states live. Only those that were so last are kept.
    async fn make_live(&self, noted: Option<Pointer>) -> Result<Option<Pointer>, StoreError> {
        let (live, former) = noted.as_ref().map_or((None, None), |it| (it.live, it.previous));
        let own = self.space.generation();
        if let Some(older) = former.filter(|former| *former != own) {
            self.space.drop_generation(older).await?;
        }
        let floor = BTreeMap::from([(self.space.space.partition, self.next)]);
        let new = Pointer { live: Some(own), previous: live, floor, ..Pointer::default() };
        Ok(self.set(noted.as_ref(), &new).await?.then_some(new))
    }

    /// Whether these states are live for so long that nobody goes back.
    async fn is_over(&self, noted: &Pointer) -> Result<bool, LogError> {
        let partition = self.space.space.partition;
        let since = noted.floor.get(&partition).map_or(0, |floor| floor.0.saturating_sub(1));
        let mut reader = self.log.reader(partition, Offset(since)).await?;
        let record = first_record(reader.as_mut()).await?;
        Ok(Duration::from_millis(self.now.millis_since(record.time)) >= self.keep)
    }

    async fn set(&self, noted: Option<&Pointer>, new: &Pointer) -> Result<bool, StoreError> {
        self.space.store.set_pointer(NAME, self.space.space.partition.0, noted, new).await
    }
}
