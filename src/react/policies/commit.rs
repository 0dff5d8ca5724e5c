//! How far a runner is: committed to its space if that is as it was left, and noted beside the log.

use tokio::time::Instant;

use crate::ports::{Change, KEEP_AGAIN, SpaceState};
use crate::read::IDLE_CHECK;

use super::held::{self, done_to};
use super::runner::{Halt, Runner};

impl Runner {
    /// Commits how far everything is done or held back, and what is held back.
    pub(super) async fn commit(&mut self) -> Result<(), Halt> {
        let Some(checkpoint) = self.tracker.checkpoint() else { return Ok(()) };
        let new = SpaceState::At(checkpoint);
        if new != self.state || !self.changed.is_empty() {
            let changes = self.changes();
            self.change(new, &changes).await?;
            self.changed.clear();
        }
        self.committed_at = Instant::now();
        self.publish();
        let done = done_to(&self.held, checkpoint);
        if self.next_due.is_none() {
            self.done = Some(done);
        }
        if self.is_bookmark_due() {
            let first = self.first_put_off().await?;
            self.done = first.into_iter().chain([done]).min_by_key(|at| at.next);
            self.keep_bookmark().await;
        }
        Ok(())
    }

    fn changes(&self) -> Vec<Change> {
        let change = |field: &String| {
            let (map, field) = (held::MAP.to_owned(), field.clone());
            match self.held.get(&field) {
                Some(held) => {
                    let value = serde_json::to_vec(held).expect("it has string keys only").into();
                    Change::PutField { map, field, value, expires_in: None }
                }
                None => Change::DeleteField { map, field },
            }
        };
        self.changed.iter().map(change).collect()
    }

    /// Nothing was appended for a while: commits what nothing followed from, and looks whether the
    /// space is still what this runner made it.
    pub(super) async fn look(&mut self) -> Result<(), Halt> {
        self.commit().await?;
        self.check_space().await
    }

    pub(super) async fn check_space(&mut self) -> Result<(), Halt> {
        let (state, _) = self.parts.store.read(&self.space, &[]).await?;
        if state == self.state { Ok(()) } else { Err(self.moved(state)) }
    }

    /// What it means that the space is not as this runner left it. No runner goes back.
    pub(super) fn moved(&self, found: SpaceState) -> Halt {
        let next = |state: &SpaceState| state.checkpoint().map(|checkpoint| checkpoint.next);
        if next(&found) < next(&self.state) { Halt::SetBack(found) } else { Halt::StandBy }
    }

    fn is_bookmark_due(&self) -> bool {
        let (Some(done), Some((kept, at))) = (&self.done, self.bookmark) else { return true };
        let elapsed = at.elapsed();
        // While something waits for its time, only the space knows how far all is done.
        let may_have_moved = done.next != kept || self.next_due.is_some();
        let is_time = elapsed >= self.parts.config.bookmark_interval;
        may_have_moved && is_time || elapsed >= KEEP_AGAIN
    }

    /// Notes beside the log up to where everything is done.
    pub(super) async fn keep_bookmark(&mut self) {
        let Some(done) = self.done else { return };
        // One that was not kept is tried again with the next, and not at once.
        self.bookmark = Some((done.next, Instant::now()));
        let kept = self.parts.bookmarks.keep(&self.name, self.parts.partition, &done);
        if let Ok(Ok(())) = tokio::time::timeout(IDLE_CHECK, kept).await {
            return;
        }
        tracing::warn!(policy = self.name, "its bookmark was not kept");
    }
}
