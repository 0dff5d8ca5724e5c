//! Where a writer begins: at the checkpoint of its state space, or at the log's beginning.

use std::collections::BTreeSet;

use crate::contract::{Offset, Target};
use crate::events::Claim;
use crate::log::{Checkpoint, Stamp, Tracker};
use crate::ports::{Chunk, LogRecord, SpaceState, StoreError};

use super::filter::Filter;
use super::outcomes::{Listed, Sealed};
use super::places::Places;
use super::recovery::{CHUNK_BYTES_MAX, CHUNK_RECORDS_MAX};
use super::setback::Setback;
use super::space::READ_MAX;
use super::waypoints::Waypoints;
use super::writer::Writer;

/// What is read of a segment of places.
enum Content {
    Sealed(Filter, Sealed),
    Open(Places),
}

impl Writer {
    /// Reads to the end without states. What is in flight may have landed before the checkpoint
    /// at which the fold goes on: here it is found.
    pub(super) async fn skim_to_end(&mut self) -> Result<(), Setback> {
        if self.tracker.next() == Offset(0) && self.in_flight.is_empty() {
            return Ok(());
        }
        let mut reader = self.shared.log.reader(self.partition, self.tracker.next()).await?;
        loop {
            let chunk = reader.next(CHUNK_RECORDS_MAX, CHUNK_BYTES_MAX).await?;
            self.take_chunk(&chunk);
            if chunk.at_end {
                return Ok(());
            }
        }
    }

    /// Finds out where the state space stands, and goes on from there.
    pub(super) async fn open(&mut self) -> Result<(), Setback> {
        let state = match self.saving.space.read(&[]).await {
            Ok((state, _)) => state,
            Err(StoreError::Torn { detail, .. }) => {
                tracing::warn!(partition = %self.partition, detail, "the state space is torn");
                SpaceState::Empty
            }
            Err(error) => return self.open_without_store(&error).await,
        };
        match state.checkpoint() {
            Some(checkpoint) if !self.must_rebuild && self.origin.has(checkpoint).await? => {
                self.resume(checkpoint, &state).await
            }
            _ => {
                self.saving.space.drop_whole().await?;
                self.was_rebuilt |= std::mem::take(&mut self.must_rebuild);
                if self.shared.log.end(self.partition).await? > Offset(0) {
                    tracing::warn!(partition = %self.partition, "the states are rebuilt");
                }
                self.begin_anew();
                Ok(())
            }
        }
    }

    /// An empty log has no states: there is nothing to wait for.
    async fn open_without_store(&mut self, error: &StoreError) -> Result<(), Setback> {
        if self.shared.log.end(self.partition).await? > Offset(0) {
            return Err(Setback::Store(error.to_string()));
        }
        self.begin_anew();
        Ok(())
    }

    fn begin_anew(&mut self) {
        self.go_on_from(Tracker::default(), SpaceState::Empty);
        self.aggregates.begin(Offset(0), true);
    }

    async fn resume(&mut self, at: &Checkpoint, state: &SpaceState) -> Result<(), Setback> {
        let known_to = self.tracker.next();
        if known_to > Offset(0) && at.next > known_to {
            return Err(Setback::moved());
        }
        let segments = self.read_segments(state).await?;
        let (now, waypoints) = self.saving.space.read_waypoints(at.time).await?;
        if now != *state {
            return Err(Setback::moved());
        }
        if self.layout.is_none() {
            let claim = self.origin.first_claim().await?;
            let claim = claim.and_then(|claim| Claim::decode(&claim).ok());
            self.layout = claim.map(|claim| (claim.partitions, claim.hash));
        }
        self.go_on_from(Tracker::resume(at), state.clone());
        self.aggregates.begin(at.next, false);
        // Those of another log may be left.
        for at in waypoints.iter().filter(|it| it.log == at.log).chain([at]) {
            let tracker = Tracker::resume(at).checking(self.shared.checks);
            self.waypoints.pass(at.time, &tracker);
        }
        for (listed, content) in segments {
            self.saving.listed = Some(listed.number);
            match content {
                Content::Sealed(filter, sealed) => {
                    self.outcomes.take_sealed(&listed, filter, sealed);
                }
                Content::Open(places) => self.outcomes.take_open(&listed, places),
            }
        }
        tracing::info!(partition = %self.partition, from = %at.next, "goes on from its states");
        Ok(())
    }

    /// The places of outcomes whose day is not over.
    async fn read_segments(
        &mut self,
        state: &SpaceState,
    ) -> Result<Vec<(Listed, Content)>, Setback> {
        let (now, listed) = self.saving.space.read_segments().await?;
        let listed = self.believe_listed(now == *state, listed)?;
        let mut segments = Vec::with_capacity(listed.len());
        let over = self.shared.ids.now();
        for listed in listed.into_iter().filter(|listed| !listed.is_over(over)) {
            let space = &self.saving.space;
            let (now, content) = match listed.sealed {
                Some(sealed) => {
                    let (now, filter) = space.read_filter(listed.number).await?;
                    (now, filter.map(|filter| Content::Sealed(filter, sealed)))
                }
                None => {
                    let (now, places) = space.read_places(listed.number).await?;
                    (now, Some(Content::Open(places)))
                }
            };
            segments.push((listed, self.believe_listed(now == *state, content)?));
        }
        Ok(segments)
    }

    /// What is read must be of the state that is begun at. What is lost alone is made anew with
    /// the rest.
    fn believe_listed<T>(&mut self, is_of_state: bool, read: Option<T>) -> Result<T, Setback> {
        if !is_of_state {
            return Err(Setback::moved());
        }
        self.must_rebuild |= read.is_none();
        read.ok_or_else(|| Setback::Lost("keys are not as they were stored".to_owned()))
    }

    fn go_on_from(&mut self, tracker: Tracker, state: SpaceState) {
        self.forget();
        self.tracker = tracker.checking(self.shared.checks);
        self.waypoints = Waypoints::default();
        self.saving.begin(state);
        self.is_open = true;
    }

    /// Takes records, with the states that they need.
    pub(super) async fn take_with_states(&mut self, chunk: &Chunk) -> Result<(), Setback> {
        let mut records = &chunk.records[..];
        while !records.is_empty() {
            let (ready, rest) = records.split_at(self.make_ready(records).await?);
            self.take_all(ready);
            self.seal_now().await?;
            if !self.is_open {
                return Err(Setback::Lost(
                    "an aggregate was not read before its events".to_owned(),
                ));
            }
            records = rest;
        }
        Ok(())
    }

    /// Brings the aggregates of the next records into memory. Says of how many records.
    async fn make_ready(&mut self, records: &[LogRecord]) -> Result<usize, Setback> {
        if self.aggregates.is_complete() && self.aggregates.room() >= records.len() {
            return Ok(records.len());
        }
        let room = self.find_room(records.len().min(READ_MAX)).await?;
        let mut missing = BTreeSet::new();
        let mut ready = records.len();
        for (at, record) in records.iter().enumerate() {
            let Some(target) = self.target_of(record) else { continue };
            if self.aggregates.touch(&target) || missing.contains(&target) {
                continue;
            }
            if missing.len() == room {
                ready = at;
                break;
            }
            missing.insert(target);
        }
        if !missing.is_empty() && !self.aggregates.is_complete() {
            let targets: Vec<Target> = missing.into_iter().collect();
            let (state, values) = self.saving.space.read(&targets).await?;
            // What another owner has stored since would be skipped by the fold, and so never be
            // stored by this one: if the store is set back, it would be lost.
            if state != self.saving.state {
                return Err(Setback::moved());
            }
            self.load(&targets, &values)?;
        }
        Ok(ready)
    }

    /// Makes room for aggregates, at most so many and at least one; what is needed for it is
    /// stored.
    async fn find_room(&mut self, wanted: usize) -> Result<usize, Setback> {
        loop {
            let wanted = wanted.min(self.aggregates.len_max().div_ceil(4));
            while self.aggregates.room() < wanted && self.aggregates.evict() {}
            match self.aggregates.room() {
                // What cannot be read stays; it must not keep the rest from being read.
                0 if !self.save_now().await? => return Ok(1),
                0 => {}
                room => return Ok(room.min(wanted)),
            }
        }
    }

    /// The aggregate of a commit that somebody here decides on.
    fn target_of(&self, record: &LogRecord) -> Option<Target> {
        if !matches!(record.stamp, Stamp::Commit { .. }) {
            return None;
        }
        let target = Target::parse(record.key.as_deref()?).ok()?;
        self.shared.kinds.get(target.aggregate_type()).map(|_| target)
    }
}
