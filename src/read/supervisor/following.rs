//! Runs the generations that the pointer names, and shows the live one to queries while it is
//! whole.

use std::sync::Arc;

use uuid::Uuid;

use crate::ports::Pointer;

use super::super::generations::{Generation, Live};
use super::super::replay::ReplayState;
use super::super::status::LaneState;
use super::Supervisor;

impl Supervisor {
    /// Runs the live generation and the one before, and nothing else that was either. One that
    /// was built here goes on as it is, when it is live.
    pub(super) async fn follow(&mut self, pointer: &Pointer) {
        let paused = self.is_paused(pointer);
        self.published.paused.send_if_modified(|was| std::mem::replace(was, paused) != paused);
        let built = self.building.take_if(|it| pointer.live == Some(it.generation.id));
        let built = built.map(|building| {
            self.report(&building, ReplayState::Done);
            building.generation
        });
        let running = [self.live.take(), self.previous.take(), built];
        let mut running: Vec<Generation> = running.into_iter().flatten().collect();
        let mut take = |id: Uuid| {
            let at = running.iter().position(|it| it.id == id && it.is_paused() == paused);
            (id, at.map(|at| running.swap_remove(at)))
        };
        let live = pointer.live.map(&mut take);
        let previous = pointer.previous.filter(|_| !paused).map(&mut take);
        for ended in running {
            ended.stop().await;
        }
        let start = |(id, running): (Uuid, Option<Generation>)| match running {
            Some(running) => running,
            None if paused => {
                Generation::paused(id, |at| self.lane_parts(id, at), self.partitions())
            }
            None => self.start(id, |_| None),
        };
        (self.live, self.previous) = (live.map(start), previous.map(start));
        self.show(pointer);
    }

    pub(super) fn is_paused(&self, pointer: &Pointer) -> bool {
        pointer.paused || self.is_paused_here()
    }

    /// Whether this node serves the views, but does not fold them.
    pub(super) fn is_paused_here(&self) -> bool {
        self.shared.read.paused.iter().any(|name| name == self.name())
    }

    pub(super) fn live_is_lost(&self) -> bool {
        self.live.as_ref().is_none_or(|live| live.any(|state| *state == LaneState::Lost))
    }

    /// Whether a generation is live that will be shown once it is known to be of this log.
    pub(super) fn will_show_another(&self) -> bool {
        let shown = self.published.live.borrow().as_ref().map(|live| live.generation);
        let live = self.live.as_ref().filter(|_| !self.live_is_lost());
        live.is_some_and(|live| shown != Some(live.id))
    }

    fn show(&self, pointer: &Pointer) {
        let whole = self.live.as_ref().filter(|_| !self.live_is_lost());
        let shown = self.published.live.borrow().as_ref().map(|live| live.generation);
        match whole {
            // Until then nobody knows whether it is of this log.
            Some(live) if shown != Some(live.id) && live.is_known() => {
                self.published.blocked.send_replace(None);
                let live = self.shown(live, pointer);
                tracing::debug!(projection = self.name(), generation = %live.generation, "shown");
                self.published.live.send_replace(Some(Arc::new(live)));
            }
            // As after a pause: the lanes that tell of its progress are others.
            Some(live) if shown == Some(live.id) && !self.shows_lanes_of(live) => {
                let live = self.shown(live, pointer);
                self.published.live.send_replace(Some(Arc::new(live)));
            }
            None if shown.is_some() => drop(self.published.live.send_replace(None)),
            _ => {}
        }
    }

    fn shows_lanes_of(&self, live: &Generation) -> bool {
        let shown = self.published.live.borrow();
        let lanes = shown.as_ref().map_or(&[][..], |shown| &shown.lanes);
        lanes.len() == live.lanes.len()
            && lanes.iter().zip(&live.lanes).all(|(shown, lane)| shown.same_channel(lane))
    }

    fn shown(&self, live: &Generation, pointer: &Pointer) -> Live {
        Live {
            generation: live.id,
            floor: pointer.floor.clone(),
            lanes: live.lanes.clone(),
            mends: live.mends.clone(),
            kept: live.kept.clone(),
            spaces: self.spaces(live.id),
        }
    }
}
