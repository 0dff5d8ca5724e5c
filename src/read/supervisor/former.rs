//! Generations of other revisions, which the binary before has left: they are removed once nobody
//! is expected to go back to them.
//!
//! Whoever serves a revision moves a number in its pointer. One that has stood still, by the clock
//! of whoever looks, for as long as the generation before is kept has nobody any more. Its pointer
//! gives up all that it names in one step; a binary that wakes up just then finds that it has to
//! build again, and one that has moved its number meanwhile keeps everything.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::ports::Pointer;

use super::leases::BEATS;
use super::{Supervisor, Unable};

/// What was seen of the other revisions.
#[derive(Default)]
pub(super) struct Former {
    /// The number of each, and since when it stands.
    seen: BTreeMap<u32, (u64, Instant)>,
}

impl Supervisor {
    /// Looks after the revisions that are not this binary's. While its own views are not whole,
    /// somebody may want to go back.
    pub(super) async fn drop_former(
        &mut self,
        mut pointers: BTreeMap<u32, Pointer>,
    ) -> Result<(), Unable> {
        pointers.remove(&self.projection.revision());
        self.former.look(&pointers);
        if self.published.live.borrow().is_none() {
            return Ok(());
        }
        let replay = &self.shared.replay;
        let keep = replay.keep_previous.max(replay.takeover_timeout * BEATS);
        for (revision, pointer) in pointers {
            if !pointer.names_any() {
                self.go_on_dropping(revision, &pointer).await?;
            } else if self.former.stands(revision).is_some_and(|since| since.elapsed() >= keep)
                && self.set_of(revision, &pointer, &pointer.abandoned()).await?
            {
                tracing::info!(projection = self.name(), revision, "nobody serves it: dropped");
            }
        }
        Ok(())
    }

    /// Removes what a revision without a generation has still to drop: nobody else is there to.
    async fn go_on_dropping(&mut self, revision: u32, pointer: &Pointer) -> Result<(), Unable> {
        let mut new = pointer.clone();
        new.dropping.retain(|&generation| !self.drops.has_dropped(generation));
        for &generation in &new.dropping {
            self.drop_spaces(generation);
        }
        if new != *pointer {
            self.set_of(revision, pointer, &new).await?;
        }
        Ok(())
    }
}

impl Former {
    fn look(&mut self, pointers: &BTreeMap<u32, Pointer>) {
        let now = Instant::now();
        let look = |(&revision, pointer): (&u32, &Pointer)| {
            let before = self.seen.get(&revision).filter(|(number, _)| *number == pointer.served);
            (revision, before.copied().unwrap_or((pointer.served, now)))
        };
        self.seen = pointers.iter().map(look).collect();
    }

    /// Since when the number of a revision stands. One that was never moved is of a binary from
    /// before there was such a number: it may live.
    fn stands(&self, revision: u32) -> Option<Instant> {
        self.seen.get(&revision).filter(|(number, _)| *number > 0).map(|&(_, since)| since)
    }
}
