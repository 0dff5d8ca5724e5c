//! Where a lane's space stands: as the lane left it, moved by another, or lost.

use tokio::time::{Instant, sleep};

use crate::log::Tracker;
use crate::ports::{Space, SpaceState, StoreError, ViewStore};

use super::super::generations::drop_whole;
use super::super::parked::{PARKED_MAP, ParkedMap, parked_of};
use super::super::status::LaneState;
use super::{Halt, IDLE_CHECK, Lane, LaneParts, STILL_CHECKS};

impl Lane {
    /// Finds out where the space stands, and whether that is of this log.
    pub(super) async fn open(&mut self) -> Result<(), Halt> {
        let LaneParts { store, space, origin, .. } = &self.parts;
        let asked_at = Instant::now();
        let (state, parked) = store.read_map(space, PARKED_MAP).await?;
        let checkpoint = state.checkpoint().copied();
        let known = match &checkpoint {
            Some(checkpoint) => origin.has(checkpoint).await?,
            None => false,
        };
        self.workspace.clear();
        self.links.clear();
        self.regrown.clear();
        match checkpoint.filter(|_| known) {
            Some(checkpoint) => {
                self.tracker = Tracker::resume(&checkpoint).checking(self.parts.checks);
                self.state = state;
                self.parked = parked_of(space, &parked)?;
                if self.build.is_none() {
                    self.kept.committed(checkpoint, &[], asked_at);
                }
            }
            None if self.build.is_none() => return Err(Halt::Lost),
            None => {
                if state != SpaceState::Empty {
                    // A build that died in the middle of a flush, or of another log.
                    drop_whole(store.as_ref(), space).await?;
                }
                self.tracker = Tracker::default().checking(self.parts.checks);
                self.state = SpaceState::Empty;
                self.parked.clear();
            }
        }
        self.publish(false);
        Ok(())
    }

    /// Looks whether the space is still what this lane made it.
    pub(super) async fn check_space(&self) -> Result<(), Halt> {
        let asked_at = Instant::now();
        let (state, _) = self.parts.store.read(&self.parts.space, &[]).await?;
        if !self.is_own(&state) {
            return Err(self.moved(&state));
        }
        self.kept.sure(asked_at);
        Ok(())
    }

    /// Whether the space is where this lane left it.
    pub(super) fn is_own(&self, state: &SpaceState) -> bool {
        *state == self.state || !self.parts.checks.checkpoint
    }

    /// What it means that the space is not where this lane left it.
    pub(super) fn moved(&self, state: &SpaceState) -> Halt {
        let next = |state: &SpaceState| state.checkpoint().map(|checkpoint| checkpoint.next);
        match state {
            SpaceState::Empty => Halt::Lost,
            // No runner goes back: the store has, to an older file. It goes on from there.
            state if next(state).is_some() && next(state) < next(&self.state) => Halt::Reopen,
            _ => Halt::StandBy,
        }
    }

    /// Tells how far others have brought the space, until it is not the one that was opened.
    pub(super) async fn look_on(&mut self) -> Halt {
        loop {
            sleep(IDLE_CHECK).await;
            if let Err(halt) = self.look_again().await {
                return halt;
            }
        }
    }

    async fn look_again(&mut self) -> Result<(), Halt> {
        let (state, parked) = self.parts.store.read_map(&self.parts.space, PARKED_MAP).await?;
        let (Some(was), Some(is)) = (self.state.checkpoint(), state.checkpoint()) else {
            return Err(Halt::Lost);
        };
        if is.log != was.log || is.next < was.next {
            return Err(Halt::Reopen);
        }
        self.tracker = Tracker::resume(is);
        self.parked = parked_of(&self.parts.space, &parked)?;
        self.state = state;
        self.publish(false);
        Ok(())
    }

    /// Waits until the other runner stops; says when the space is lost meanwhile.
    pub(super) async fn stand_by(&mut self) -> Result<(), Halt> {
        tracing::warn!(space = %self.parts.space, "another runner commits here: standing by");
        let (mut last, mut still) = (SpaceState::Empty, 0);
        while still < STILL_CHECKS {
            sleep(IDLE_CHECK).await;
            let read = self.parts.store.read_map(&self.parts.space, PARKED_MAP).await;
            let (state, parked) = match read {
                Ok(read) => read,
                Err(StoreError::Torn { .. }) => return Err(Halt::Lost),
                Err(_) => continue,
            };
            if state == SpaceState::Empty && self.build.is_none() {
                return Err(Halt::Lost);
            }
            still = if state == last { still + 1 } else { 0 };
            last = state;
            self.state = last.clone();
            self.parked = parked_of(&self.parts.space, &parked)?;
            self.say(LaneState::StandingBy);
        }
        Ok(())
    }
}

/// The aggregates that a space holds back.
pub(in super::super) async fn parked_in(
    store: &dyn ViewStore,
    space: &Space,
) -> Result<ParkedMap, StoreError> {
    let (_, fields) = store.read_map(space, PARKED_MAP).await?;
    parked_of(space, &fields)
}
