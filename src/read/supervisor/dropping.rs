//! Removes what is over: the generation before once it was kept for long enough, what dead
//! builders left behind, and every generation that the pointer says is to be dropped.
//!
//! A generation leaves the pointer only when nothing of it is left, so a crash in the middle of a
//! drop is made up for by whoever reads the pointer next.

use std::collections::BTreeSet;

use tokio::task::JoinSet;
use uuid::Uuid;

use crate::ports::Pointer;

use super::super::generations::drop_generation;
use super::super::status::LaneState;
use super::{Supervisor, Unable};

/// Drops under way, and those that are done and still named.
#[derive(Default)]
pub(super) struct Drops {
    tasks: JoinSet<(Uuid, bool)>,
    running: BTreeSet<Uuid>,
    done: BTreeSet<Uuid>,
}

impl Supervisor {
    /// Brings the pointer up to date, and starts the drops that it asks for.
    pub(super) async fn tidy(&mut self, pointer: &Pointer) -> Result<(), Unable> {
        let mut new = pointer.clone();
        if self.previous_is_over(pointer) {
            new = new.without_previous();
        }
        for (generation, lease) in &pointer.hidden {
            if self.leases.is_dead(*generation, lease) {
                new = new.without_hidden(*generation);
            }
        }
        new.dropping.retain(|generation| !self.drops.done.contains(generation));
        self.leases.beat(&mut new);
        if new != *pointer && self.set(pointer, &new).await? {
            self.drops.done.clear();
        }
        // Never what queries read, whatever the pointer says.
        let unnamed = pointer.dropping.iter().filter(|&&generation| !pointer.names(generation));
        for generation in unnamed {
            self.drop_spaces(*generation);
        }
        Ok(())
    }

    fn previous_is_over(&self, pointer: &Pointer) -> bool {
        let now = self.shared.ids.now();
        let kept_for = pointer.since.map_or(u64::MAX, |since| now.millis_since(since));
        let is_lost = |previous: &super::Generation| previous.any(|it| *it == LaneState::Lost);
        pointer.previous.is_some()
            && (u128::from(kept_for) >= self.shared.replay.keep_previous.as_millis()
                || self.previous.as_ref().is_some_and(is_lost))
    }

    pub(super) fn drop_spaces(&mut self, id: Uuid) {
        if self.drops.done.contains(&id) || !self.drops.running.insert(id) {
            return;
        }
        let (store, keys_max) = (self.shared.store.clone(), self.shared.replay.drop_keys_max);
        let (spaces, name) = (self.spaces(id), self.name());
        self.drops.tasks.spawn(async move {
            let is_done = match drop_generation(&*store, &spaces, keys_max).await {
                Ok(()) => true,
                Err(error) => {
                    tracing::warn!(projection = name, generation = %id, %error, "dropped later");
                    false
                }
            };
            (id, is_done)
        });
    }
}

impl Drops {
    /// Whether nothing is left of a generation.
    pub(super) fn has_dropped(&self, generation: Uuid) -> bool {
        self.done.contains(&generation)
    }

    /// Returns when a drop has ended.
    pub(super) async fn ended(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok((id, is_done))) => {
                self.running.remove(&id);
                if is_done {
                    self.done.insert(id);
                }
            }
            Some(Err(_)) => {}
            None => std::future::pending().await,
        }
    }

    /// Gives up what is under way: another process, or the next one, goes on with it.
    pub(super) async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}
