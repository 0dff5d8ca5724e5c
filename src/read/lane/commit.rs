//! From changed views in memory to the space: views and checkpoint together.

use tokio::time::{Instant, sleep};

use crate::ports::{Change, Commit, SpaceState};

use super::super::any_projection::{LinkSlot, Slot};
use super::super::index::Indexes;
use super::super::parked::PARKED_MAP;
use super::super::status::LaneState;
use super::{Halt, Lane, LaneParts, RETRY_DELAY};

impl Lane {
    /// Commits what was folded, in one piece.
    pub(super) async fn commit(&mut self) -> Result<(), Halt> {
        let Some(checkpoint) = self.tracker.checkpoint() else { return Ok(()) };
        let changes = self.take_changes();
        self.commit_as(SpaceState::At(checkpoint), &changes).await?;
        self.workspace.age(self.parts.config.cached_views_max);
        self.publish(false);
        Ok(())
    }

    /// Commits what was folded, in as many pieces as it takes. Nobody reads the space meanwhile;
    /// if this process dies between two pieces, the space is dropped and built again.
    pub(super) async fn flush(&mut self) -> Result<(), Halt> {
        let Some(checkpoint) = self.tracker.checkpoint() else { return Ok(()) };
        let changes = self.take_changes();
        let last = SpaceState::At(checkpoint);
        if changes.is_empty() && self.state == last {
            return Ok(());
        }
        let is_limited = self.build.as_ref().is_some_and(|build| build.rate.is_some());
        let mut pieces = changes.chunks(self.parts.store.changes_max()).peekable();
        while let Some(piece) = pieces.next() {
            if pieces.peek().is_none() {
                self.commit_surely(last.clone(), piece).await?;
                break;
            }
            // Another id for each piece: whoever stands by sees that somebody is at it.
            let begun = Instant::now();
            let between = SpaceState::Flushing(self.parts.ids.next());
            self.commit_surely(between, piece).await?;
            if is_limited {
                // Others get as much of the store as this does.
                sleep(begun.elapsed()).await;
            }
        }
        if changes.is_empty() {
            self.commit_surely(last, &[]).await?;
        }
        self.workspace.clear();
        self.links.clear();
        Ok(())
    }

    /// Commits a piece of a flush. Where the store does not answer it is asked what came of it:
    /// what is in memory is worth more than beginning again.
    async fn commit_surely(&mut self, new: SpaceState, changes: &[Change]) -> Result<(), Halt> {
        let mut is_open = false;
        loop {
            let halt = match self.is_there(is_open, &new).await {
                Ok(true) => return Ok(()),
                Ok(false) => match self.commit_as(new.clone(), changes).await {
                    Ok(()) => return Ok(()),
                    // What was sent before may have come late.
                    Err(Halt::StandBy) if is_open => continue,
                    Err(halt) => halt,
                },
                Err(halt) => halt,
            };
            let Halt::Retry(reason) = halt else { return Err(halt) };
            tracing::warn!(space = %self.parts.space, %reason, "a flush waits");
            self.say(LaneState::Waiting { reason });
            sleep(RETRY_DELAY).await;
            is_open = true;
        }
    }

    /// Whether the store has this state, where that is open.
    async fn is_there(&mut self, is_open: bool, new: &SpaceState) -> Result<bool, Halt> {
        if !is_open {
            return Ok(false);
        }
        let (state, _) = self.parts.store.read(&self.parts.space, &[]).await?;
        if state == *new {
            self.state = state;
            return Ok(true);
        }
        if self.is_own(&state) { Ok(false) } else { Err(self.moved(&state)) }
    }

    /// The changes that make the space equal to what is held.
    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        let projection = self.parts.projection.as_ref();
        let render = |slot: &Slot| projection.render(slot);
        let mut changes = self
            .workspace
            .take_changes(projection.indexes(), render, |slot| projection.kept_for(slot));
        if let Some(links) = projection.links() {
            let render = |link: &LinkSlot| Some(links.render_link(link));
            changes.append(&mut self.links.take_changes(Indexes::NONE, render, |_| None));
        }
        for aggregate in std::mem::take(&mut self.regrown) {
            let map = PARKED_MAP.to_owned();
            changes.push(match self.parked.get(&aggregate) {
                Some(parked) => {
                    let value = serde_json::to_vec(parked).expect("it has string keys only").into();
                    Change::PutField { map, field: aggregate, value, expires_in: None }
                }
                None => Change::DeleteField { map, field: aggregate },
            });
        }
        changes
    }

    pub(super) async fn commit_as(
        &mut self,
        new: SpaceState,
        changes: &[Change],
    ) -> Result<(), Halt> {
        let LaneParts { store, space, measures, .. } = &self.parts;
        let sent_at = Instant::now();
        match store.commit(space, &self.state, &new, changes).await? {
            Commit::Committed => {
                measures.commits.duration(sent_at.elapsed());
                measures.changes.size(changes.len());
                if let (SpaceState::At(checkpoint), None) = (&new, &self.build) {
                    self.kept.committed(*checkpoint, changes, sent_at);
                }
                self.state = new;
                Ok(())
            }
            Commit::Stale(state) if self.is_own(&state) => {
                // The check is left out: what another has written since is written over.
                self.state = state;
                Box::pin(self.commit_as(new, changes)).await
            }
            Commit::Stale(state) => Err(self.moved(&state)),
        }
    }
}
