//! Building a generation beside the live one, until it takes its place.
//!
//! The pointer says what is built, as what, and by whom: a replay that was broken off by a crash
//! is gone on with as it was asked for, by this node's next life or by another node.

use uuid::Uuid;

use crate::contract::{Offset, Partition};
use crate::ports::{Order, Pointer, Space};

use super::super::generations::Generation;
use super::super::lane::Build;
use super::super::replay::{ReplayOptions, ReplayPart, ReplayState};
use super::super::status::LaneState;
use super::{Supervisor, Unable};

/// How often a pointer that others change meanwhile is tried.
const ATTEMPTS_MAX: u32 = 10;

pub(super) struct Building {
    pub(super) generation: Generation,
    replay: Uuid,
    /// Whether another began it, who may be able to finish it where this binary is not.
    took_over: bool,
    /// Up to where it is built before it is compared and follows.
    until: Vec<Offset>,
    /// Which generation was live when it had caught up, and how far that was.
    floor: Option<(Option<Uuid>, Vec<Offset>)>,
}

impl Supervisor {
    /// Begins or goes on with what is built.
    pub(super) async fn replay(&mut self, pointer: &Pointer) -> Result<(), Unable> {
        if pointer.order.as_ref().is_some_and(|order| order.cancelled) {
            return self.end_cancelled(pointer).await;
        }
        if self.is_paused(pointer) {
            self.pause_building().await;
            return Ok(());
        }
        if self.building.is_some() {
            return self.go_on_building(pointer).await;
        }
        let blocked = self.published.blocked.borrow().clone();
        match (pointer.building, blocked) {
            (Some(generation), None) => self.take_over_or_observe(pointer, generation).await,
            (Some(_), Some(blocked)) => {
                // A newer binary can finish it; this one would only be in its way.
                if let Some(asked) = self.asked.take() {
                    let error = blocked.detail().to_owned();
                    self.end_replay(asked, ReplayState::Failed { error });
                }
                Ok(())
            }
            // What it met is in the log for ever, so that it need not try again by itself.
            (None, Some(_)) if self.asked.is_none() => Ok(()),
            (None, _) if self.asked.is_some() || self.live_is_lost() => self.begin(pointer).await,
            (None, _) => Ok(()),
        }
    }

    /// Stops building what is no longer this process's to build.
    pub(super) async fn let_go(&mut self, pointer: &Pointer) {
        if let Some((generation, replay)) = self.observed
            && pointer.building != Some(generation)
        {
            let is_live = pointer.live == Some(generation);
            let state = if is_live { ReplayState::Done } else { ReplayState::Cancelled };
            self.end_replay(replay, state);
            self.observed = None;
        }
        let is_ours = |building: &Building| {
            let lease = pointer.order.as_ref().and_then(|order| order.lease.as_ref());
            pointer.building == Some(building.generation.id) && self.leases.is_own(lease)
        };
        let Some(building) = self.building.take_if(|building| !is_ours(building)) else { return };
        let id = building.generation.id;
        building.generation.stop().await;
        if pointer.dropping.contains(&id) {
            self.end_replay(building.replay, ReplayState::Cancelled);
        } else if pointer.building != Some(id) {
            // The store was emptied: begin again.
            self.drop_spaces(id);
            self.asked = Some(building.replay);
        }
    }

    /// What is paused is gone on with when it is resumed.
    async fn pause_building(&mut self) {
        if let Some(building) = self.building.take() {
            building.generation.stop().await;
        }
        if let Some(asked) = self.asked.take() {
            let by = if self.is_paused_here() { "read.paused" } else { "an operator" };
            let error = format!("the projection is paused by {by}");
            self.end_replay(asked, ReplayState::Failed { error });
        }
    }

    async fn begin(&mut self, pointer: &Pointer) -> Result<(), Unable> {
        let asked = match self.asked {
            Some(asked) => asked,
            None => match self.replays.begin(&[self.name()], ReplayOptions::default()) {
                Ok(replay) => *self.asked.insert(replay),
                // Asked for a moment ago: the request is in the queue.
                Err(_) => return Ok(()),
            },
        };
        let order = self.replays.order(asked).map(|order| self.ours(order));
        let Some(order) = order else {
            self.asked = None;
            return Ok(());
        };
        let new = pointer.begun(self.shared.ids.next(), order);
        if self.set(pointer, &new).await? {
            self.asked = None;
            self.build(&new, false).await?;
        }
        Ok(())
    }

    /// Goes on with what nobody builds any more; looks on while somebody does.
    async fn take_over_or_observe(
        &mut self,
        pointer: &Pointer,
        generation: Uuid,
    ) -> Result<(), Unable> {
        let lease = pointer.order.as_ref().and_then(|order| order.lease.as_ref());
        if self.leases.is_own(lease) {
            return self.build(pointer, false).await;
        }
        if self.is_nobodys(pointer, generation) {
            let order = pointer.order.clone().unwrap_or_else(|| self.unknown_order());
            let order = Some(self.ours(order));
            let new = Pointer { order, ..pointer.clone() };
            if self.set(pointer, &new).await? {
                self.build(&new, true).await?;
            }
            return Ok(());
        }
        if let Some(order) = pointer.order.as_ref().filter(|_| self.observed.is_none()) {
            self.replays.join(order, self.name());
            self.observed = Some((generation, order.replay));
        }
        Ok(())
    }

    /// Whether nobody lives who builds this generation.
    fn is_nobodys(&self, pointer: &Pointer, generation: Uuid) -> bool {
        let lease = pointer.order.as_ref().and_then(|order| order.lease.as_ref());
        lease.is_none_or(|lease| self.leases.is_dead(generation, lease))
    }

    async fn build(&mut self, pointer: &Pointer, took_over: bool) -> Result<(), Unable> {
        let (Some(id), Some(order)) = (pointer.building, &pointer.order) else { return Ok(()) };
        let live = pointer.live.filter(|_| !self.live_is_lost());
        let nexts = match live {
            Some(live) => self.nexts_of(live).await?,
            None => None,
        };
        let beside = live.filter(|_| nexts.is_some());
        let until = match nexts {
            Some(nexts) => nexts,
            None => self.ends().await?,
        };
        tracing::info!(projection = self.name(), generation = %id, "building");
        self.replays.join(order, self.name());
        self.observed = None;
        let rate = self.replays.rate(order.replay);
        let build = |partition: Partition| {
            let beside = beside.map(|live| Space::new(self.name(), live, partition));
            let until = until[partition.0 as usize];
            Some(Build { until, rate: rate.clone(), beside, sample: None, ends: false })
        };
        let generation = self.start(id, build);
        let (replay, floor) = (order.replay, None);
        self.building = Some(Building { generation, replay, took_over, until, floor });
        Ok(())
    }

    async fn go_on_building(&mut self, pointer: &Pointer) -> Result<(), Unable> {
        let Some(building) = &mut self.building else { return Ok(()) };
        let generation = &building.generation;
        if let Some(stuck) = stuck(generation) {
            let error = stuck.detail().to_owned();
            self.published.blocked.send_replace(Some(stuck));
            return self.give_up(pointer, error).await;
        }
        if generation.any(|state| *state == LaneState::Lost) {
            let replay = building.replay;
            if self.set(pointer, &pointer.given_up()).await? {
                self.stop_building().await;
                self.asked = Some(replay);
            }
            return Ok(());
        }
        let is_behind = generation.any(|state| *state != LaneState::Following);
        let differs = generation.compared().differences > 0;
        let stops = pointer.order.as_ref().is_some_and(|order| order.require_equal) && differs;
        if is_behind || stops {
            building.floor = None;
            let state = if is_behind { ReplayState::Running } else { ReplayState::Differs };
            self.report_building(state);
            return Ok(());
        }
        self.report_building(ReplayState::Running);
        match self.floor(pointer) {
            Some(floor) => self.flip(pointer, &floor).await,
            None => Ok(()),
        }
    }

    /// Where the live generation was when this one had caught up, once this one is there, too.
    fn floor(&mut self, pointer: &Pointer) -> Option<Vec<Offset>> {
        let live = self.live.as_ref().filter(|_| !self.live_is_lost()).map(Generation::nexts);
        let building = self.building.as_mut()?;
        let nexts = building.generation.nexts();
        let floor = building.floor.take_if(|(live, _)| *live == pointer.live);
        let (_, floor) =
            building.floor.insert(floor.unwrap_or((pointer.live, live.unwrap_or(nexts.clone()))));
        nexts.iter().zip(&*floor).all(|(at, floor)| at >= floor).then(|| floor.clone())
    }

    /// Makes the generation that was built the live one, in one step.
    async fn flip(&mut self, pointer: &Pointer, floor: &[Offset]) -> Result<(), Unable> {
        let keep = !self.live_is_lost() && !self.shared.replay.keep_previous.is_zero();
        let new = pointer.flipped(self.by_partition(floor), self.shared.ids.now(), keep);
        if self.set(pointer, &new).await? {
            tracing::info!(projection = self.name(), generation = ?new.live, "live");
            self.follow(&new).await;
        }
        Ok(())
    }

    /// Gives up building, but leaves what another process may finish.
    async fn give_up(&mut self, pointer: &Pointer, error: String) -> Result<(), Unable> {
        let Some(building) = &self.building else { return Ok(()) };
        let replay = building.replay;
        let new = match (building.took_over, pointer.order.clone()) {
            (true, Some(order)) => {
                let order = Some(Order { lease: None, ..order });
                Pointer { order, ..pointer.clone() }
            }
            _ => pointer.given_up(),
        };
        if self.set(pointer, &new).await? {
            self.stop_building().await;
            self.end_replay(replay, ReplayState::Failed { error });
        }
        Ok(())
    }

    /// Asks whoever builds to give up.
    pub(super) async fn cancel_replay(&mut self, replay: Uuid) -> Result<(), Unable> {
        if self.asked.take_if(|asked| *asked == replay).is_some() {
            self.end_replay(replay, ReplayState::Cancelled);
            return Ok(());
        }
        self.amend(replay, |order| Order { cancelled: true, ..order }).await
    }

    /// Lets a replay flip although views differ.
    pub(super) async fn let_flip(&mut self, replay: Uuid) -> Result<(), Unable> {
        self.amend(replay, |order| Order { require_equal: false, ..order }).await
    }

    async fn amend(&self, replay: Uuid, amended: impl Fn(Order) -> Order) -> Result<(), Unable> {
        for _ in 0..ATTEMPTS_MAX {
            let pointer = self.pointer().await?;
            let order = pointer.order.clone().filter(|order| order.replay == replay);
            let Some(order) = order.map(&amended) else { return Ok(()) };
            if self.set(&pointer, &Pointer { order: Some(order), ..pointer.clone() }).await? {
                break;
            }
        }
        Ok(())
    }

    /// Only who builds gives up, or whoever finds that nobody does: until its lanes have stopped
    /// they may begin the space anew.
    async fn end_cancelled(&mut self, pointer: &Pointer) -> Result<(), Unable> {
        let (Some(id), Some(order)) = (pointer.building, &pointer.order) else { return Ok(()) };
        if self.leases.is_own(order.lease.as_ref()) || self.is_nobodys(pointer, id) {
            self.stop_building().await;
            if self.set(pointer, &pointer.given_up()).await? {
                self.observed = None;
                self.end_replay(order.replay, ReplayState::Cancelled);
            }
        }
        Ok(())
    }

    async fn stop_building(&mut self) {
        if let Some(building) = self.building.take() {
            building.generation.stop().await;
        }
    }

    async fn ends(&self) -> Result<Vec<Offset>, Unable> {
        let mut ends = Vec::new();
        for partition in self.partitions().iter() {
            ends.push(self.shared.log.end(partition).await?);
        }
        Ok(ends)
    }

    fn ours(&self, order: Order) -> Order {
        Order { lease: Some(self.leases.own()), ..order }
    }

    /// Of what a version began that told nobody.
    fn unknown_order(&self) -> Order {
        let (replay, started_at) = (self.shared.ids.next(), self.shared.ids.now());
        let (records_per_second, require_equal, cancelled) = (None, false, false);
        let lease = None;
        Order { replay, started_at, records_per_second, require_equal, cancelled, lease }
    }

    fn report_building(&self, state: ReplayState) {
        if let Some(building) = &self.building {
            self.report(building, state);
        }
    }

    pub(super) fn report(&self, building: &Building, state: ReplayState) {
        let folded = building.generation.folded();
        let done = folded.iter().zip(&building.until).map(|(at, until)| at.min(until).0).sum();
        let records_total = building.until.iter().map(|until| until.0).sum();
        let records = if state == ReplayState::Running { done } else { records_total };
        let compared = building.generation.compared();
        let part = ReplayPart { state, records, records_total, compared };
        self.replays.update(building.replay, self.name(), part);
    }

    fn end_replay(&self, replay: Uuid, state: ReplayState) {
        self.replays.end(replay, self.name(), state);
    }
}

/// What this binary cannot get past, if it has met something.
pub(super) fn stuck(generation: &Generation) -> Option<LaneState> {
    let is_stuck = |state: &LaneState| {
        matches!(state, LaneState::NewerEvents { .. } | LaneState::TooManyParked { .. })
    };
    generation.lanes.iter().map(|lane| lane.borrow().state.clone()).find(is_stuck)
}
