//! Building a generation beside the live one, until it takes its place.

use std::sync::atomic::Ordering;

use uuid::Uuid;

use crate::contract::Offset;
use crate::ports::Pointer;

use super::super::generations::Generation;
use super::super::replay::{Part, ReplayState};
use super::super::status::LaneState;
use super::{Building, Supervisor, Unable};

impl Supervisor {
    /// Builds a generation, from where an earlier process left it if one did.
    pub(super) async fn build(&mut self, id: Uuid, joined: bool) -> Result<(), Unable> {
        let mut until = Vec::new();
        for partition in self.partitions().iter() {
            until.push(self.shared.log.end(partition).await.map_err(Unable::Log)?);
        }
        let name = self.projection.name().as_str();
        let replay = match self.asked.take() {
            Some(replay) => replay,
            None => match self.replays.begin(&[name]) {
                Ok(replay) => replay,
                // Asked for a moment ago: the request is in the queue.
                Err(_) => return Ok(()),
            },
        };
        tracing::info!(projection = name, generation = %id, "building");
        self.is_watched.store(true, Ordering::Relaxed);
        let generation = self.start(id, Some(&until));
        self.building = Some(Building { generation, replay, joined, until });
        Ok(())
    }

    pub(super) async fn go_on_building(&mut self, pointer: &Pointer) -> Result<(), Unable> {
        let Some(building) = &self.building else { return Ok(()) };
        self.report(building, ReplayState::Running);
        if let Some(stuck) = stuck(&building.generation) {
            let error = stuck.detail().to_owned();
            self.published.blocked.send_replace(Some(stuck));
            self.give_up(ReplayState::Failed { error }).await;
            return Ok(());
        }
        if building.generation.any(|state| *state == LaneState::Lost) {
            let replay = building.replay;
            self.abandon_quietly().await;
            self.asked = Some(replay);
            return Ok(());
        }
        let is_following = |state: &LaneState| *state == LaneState::Following;
        let floor = match &self.live {
            Some(live) if !self.live_is_lost() => live.nexts(),
            _ => building.generation.nexts(),
        };
        let caught_up =
            building.generation.nexts().iter().zip(&floor).all(|(at, floor)| at >= floor);
        if caught_up && !building.generation.any(|state| !is_following(state)) {
            self.flip(pointer, &floor).await?;
        }
        Ok(())
    }

    /// Makes the generation that was built the live one, in one step.
    async fn flip(&mut self, pointer: &Pointer, floor: &[Offset]) -> Result<(), Unable> {
        let Some(built) = self.building.as_ref().map(|building| building.generation.id) else {
            return Ok(());
        };
        let floor = self.partitions().iter().zip(floor.iter().copied()).collect();
        let new = Pointer { live: Some(built), previous: pointer.live, building: None, floor };
        if !self.set(pointer, &new).await? {
            return Ok(()); // somebody else moved the pointer: the next turn looks again
        }
        let Some(building) = self.building.take() else { return Ok(()) };
        self.report(&building, ReplayState::Done);
        tracing::info!(projection = %self.projection.name(), generation = %built, "live");
        self.show(&building.generation, &new);
        let old = self.live.replace(building.generation);
        if let Some(replaced) = self.previous.take() {
            self.drop_now(replaced).await;
        }
        self.previous = pointer.live.map(|id| self.keep(id, old));
        self.changed.notify_one();
        Ok(())
    }

    /// Lets go of what another process has finished and made live while it was built here too.
    pub(super) async fn end_what_is_live(&mut self, pointer: &Pointer) {
        let is_live = |building: &mut Building| pointer.live == Some(building.generation.id);
        let Some(building) = self.building.take_if(is_live) else { return };
        self.report(&building, ReplayState::Done);
        building.generation.stop().await;
    }

    /// Gives up building, but leaves what another process may finish.
    async fn give_up(&mut self, state: ReplayState) {
        match self.building.take_if(|building| building.joined) {
            Some(joined) => {
                self.end(joined.replay, state);
                joined.generation.stop().await;
            }
            None => self.abandon(state).await,
        }
    }

    /// Gives up what is being built.
    pub(super) async fn abandon(&mut self, state: ReplayState) {
        let Some(replay) = self.building.as_ref().map(|building| building.replay) else { return };
        self.abandon_quietly().await;
        if let Ok(pointer) = self.pointer().await {
            let new = Pointer { building: None, ..pointer.clone() };
            drop(self.set(&pointer, &new).await);
        }
        self.end(replay, state);
    }

    pub(super) async fn abandon_quietly(&mut self) {
        let Some(building) = self.building.take() else { return };
        let id = building.generation.id;
        building.generation.stop().await;
        self.drop_spaces(id);
    }

    fn report(&self, building: &Building, state: ReplayState) {
        let folded = building.generation.folded();
        let done = folded.iter().zip(&building.until).map(|(at, until)| at.min(until).0).sum();
        let total = building.until.iter().map(|until| until.0).sum();
        let records = if state == ReplayState::Done { total } else { done };
        let part = Part { state, records, records_total: total };
        self.replays.update(building.replay, self.projection.name().as_str(), part);
    }

    pub(super) fn end(&self, replay: Uuid, state: ReplayState) {
        let part = Part { state, records: 0, records_total: 0 };
        self.replays.update(replay, self.projection.name().as_str(), part);
    }
}

/// What this binary cannot get past, if it has met something.
fn stuck(generation: &Generation) -> Option<LaneState> {
    let is_stuck = |state: &LaneState| {
        matches!(state, LaneState::NewerEvents { .. } | LaneState::TooManyParked { .. })
    };
    generation.lanes.iter().map(|lane| lane.borrow().state.clone()).find(is_stuck)
}
