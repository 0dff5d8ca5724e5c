//! Where a runner begins: at its checkpoint, at its bookmark, or where the policy was new.

use crate::contract::{Offset, Start};
use crate::events::Claim;
use crate::log::{Checkpoint, Mark, Tracker};
use crate::ports::{Dropped, SpaceState, StoreError};
use crate::read::parked_of;

use super::held;
use super::past::KNOWN_MS;
use super::runner::{Halt, Parts, Runner};
use super::status::PolicyState;

/// Keys removed at once from a space that is torn.
const DROP_KEYS_MAX: usize = 500;

impl Runner {
    /// Finds out where the policy stands: at the furthest of what is known.
    pub(super) async fn open(&mut self) -> Result<(), Halt> {
        self.say(PolicyState::Starting);
        let (state, fields) = match self.parts.store.read_map(&self.space, held::MAP).await {
            Err(StoreError::Torn { detail, .. }) => {
                self.drop_space().await?;
                return Err(Halt::Retry(format!("its space was torn: {detail}")));
            }
            read => read?,
        };
        let of_store = self.if_of_this_log(state.checkpoint().copied()).await?;
        if of_store.is_none() && state != SpaceState::Empty {
            self.drop_space().await?;
            return Err(Halt::Retry("its space was of another log".to_owned()));
        }
        let bookmark = self.parts.bookmarks.find(&self.name, self.parts.partition).await?;
        let bookmark = self.if_of_this_log(bookmark).await?;
        let done = self.if_of_this_log(self.done).await?;
        let known = [of_store, bookmark, done].into_iter().flatten().max_by_key(|at| at.next);
        let begin = match known {
            Some(known) => Some(known),
            None => self.first_place().await?,
        };
        self.tracker = begin.as_ref().map_or_else(Tracker::default, Tracker::resume);
        self.state = state;
        self.mending.clear();
        self.in_mending.clear();
        self.held = parked_of(&self.space, &fields)?;
        self.changed.clear();
        self.find_next_due().await
    }

    async fn if_of_this_log(&mut self, at: Option<Checkpoint>) -> Result<Option<Checkpoint>, Halt> {
        let Some(at) = at else { return Ok(None) };
        Ok(self.parts.origin.has(&at).await?.then_some(at))
    }

    /// Where it begins when nothing is known. A person may have said where.
    async fn first_place(&mut self) -> Result<Option<Checkpoint>, Halt> {
        self.say(PolicyState::Beginning);
        match (self.told, self.parts.issuer.policy.start()) {
            (Some(Start::Beginning), _) | (None, Start::Beginning) => Ok(None),
            (Some(Start::New), _) => self.end_of_log().await,
            (None, Start::New) => self.first_claim().await,
        }
    }

    /// Behind the first claim that names it. When that is too long ago, it has run for long, and
    /// how far is lost.
    async fn first_claim(&mut self) -> Result<Option<Checkpoint>, Halt> {
        let parts = self.parts.clone();
        let Parts { log, partition, read, ids, issuer, .. } = &*parts;
        let mut reader = log.reader(*partition, Offset(0)).await?;
        let mut tracker = Tracker::default();
        loop {
            let chunk = reader.next(read.chunk_records_max, read.chunk_bytes_max).await?;
            for record in chunk.records {
                let mark = tracker.step(record.offset, record.time, &record.stamp, &record.value);
                if mark != Mark::Claim || !names(&record.value, issuer.policy.name().as_str()) {
                    continue;
                }
                if ids.now().millis_since(record.time) > KNOWN_MS {
                    return Err(Halt::Lost(format!(
                        "it has run since {}, and neither the view store nor its bookmark says \
                         how far",
                        record.time
                    )));
                }
                return Ok(tracker.checkpoint());
            }
        }
    }

    /// Behind the last record.
    async fn end_of_log(&mut self) -> Result<Option<Checkpoint>, Halt> {
        let parts = self.parts.clone();
        let Parts { log, partition, read, .. } = &*parts;
        let mut reader = log.reader(*partition, Offset(0)).await?;
        let mut tracker = Tracker::default();
        loop {
            let chunk = reader.next(read.chunk_records_max, read.chunk_bytes_max).await?;
            for record in chunk.records {
                tracker.step(record.offset, record.time, &record.stamp, &record.value);
            }
            if chunk.at_end {
                return Ok(tracker.checkpoint());
            }
        }
    }

    async fn drop_space(&mut self) -> Result<(), Halt> {
        while self.parts.store.drop_space(&self.space, DROP_KEYS_MAX).await? == Dropped::More {}
        Ok(())
    }
}

/// Whether a claim says that its process runs this policy.
fn names(claim: &[u8], policy: &str) -> bool {
    Claim::decode(claim).is_ok_and(|claim| claim.policies.iter().any(|name| name == policy))
}
