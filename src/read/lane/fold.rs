//! From records to changed views in memory.

use std::convert::Infallible;

use bytes::Bytes;

use crate::contract::{Key, Position};
use crate::ports::{LogRecord, SpaceState};

use super::super::inlet::Inlet;
use super::super::parked::Poison;
use super::super::steps::{Before, Limits, Step, Steps};
use super::super::workspace::doc_key;
use super::{Halt, IDLE_CHECK, Lane, LaneParts};

/// Views read from the store at once.
const LOAD_MAX: usize = 1_000;

impl Lane {
    /// Folds until something is in the way.
    pub(super) async fn fold_on(&mut self) -> Halt {
        match self.try_fold_on().await {
            Ok(never) => match never {},
            Err(halt) => halt,
        }
    }

    async fn try_fold_on(&mut self) -> Result<Infallible, Halt> {
        let LaneParts { log, space, feed, linger, config, .. } = self.parts.clone();
        let from = self.tracker.next();
        let mut inlet = Inlet::open(log, space.partition, feed, from, &config).await?;
        loop {
            let following = self.build_until.is_none();
            let fed = tokio::select! {
                biased;
                Some(mend) = self.mends.recv() => {
                    self.mend(mend).await?;
                    continue;
                }
                fed = inlet.next(self.tracker.next(), following, IDLE_CHECK) => fed?,
            };
            let Some(fed) = fed else {
                self.check_space().await?;
                continue;
            };
            let from = self.tracker.next();
            let seen = fed.records.partition_point(|record| record.offset < from);
            let parked = self.parked.len();
            self.fold_records(&fed.records[seen..]).await?;
            if let Some(until) = self.build_until {
                let built = fed.at_end || self.tracker.next() >= until;
                // A fold that panics begins again at the last flush: not from far before each time.
                let parked = self.parked.len() > parked;
                if built || parked || self.workspace.bytes() > self.parts.build_bytes_max {
                    self.flush().await?;
                }
                if built && self.state.checkpoint().is_some() {
                    self.build_until = None;
                }
            }
            self.publish(fed.at_end);
            if let Some(pace) = &linger {
                inlet.linger(pace).await;
            }
        }
    }

    async fn fold_records(&mut self, mut records: &[LogRecord]) -> Result<(), Halt> {
        let partition = self.parts.space.partition;
        let following = self.build_until.is_none();
        // A view that is new takes two changes: itself, and its place in the index.
        let live_max = self.parts.store.changes_max() / 2;
        let keys_max = if following { live_max } else { usize::MAX };
        while !records.is_empty() {
            let position = |record: &LogRecord| Position { partition, offset: record.offset };
            let before = Before {
                sources: &self.sources,
                tracker: &self.tracker,
                parked: &self.parked,
                poison: &self.poison,
            };
            let parked_max = self.parts.config.parked_aggregates_max;
            let limits = Limits { keys_max, parked_max };
            let projection = self.parts.projection.clone();
            let steps = Steps::of(projection.as_ref(), &before, records, position, &limits);
            self.load(&steps).await?;
            if let Err((aggregate, position, poison)) = self.fold(&steps) {
                // What was folded before it is lost with it: again, up to there.
                self.poison.insert(aggregate, (position, poison));
                return Err(Halt::Reopen);
            }
            self.tracker = steps.tracker;
            self.regrown.extend(steps.parked.keys().cloned());
            self.parked.extend(steps.parked);
            if following {
                self.commit().await?;
            }
            if let Some(stop) = steps.stop {
                self.flush_before_stop(following).await?;
                return Err(stop.into());
            }
            records = &records[steps.taken..];
        }
        Ok(())
    }

    /// Brings every view that the steps change into memory.
    async fn load(&mut self, steps: &Steps<'_>) -> Result<(), Halt> {
        self.load_keys(steps.steps.iter().flat_map(Step::keys)).await
    }

    /// Brings the views under these keys into memory.
    pub(super) async fn load_keys(&mut self, keys: impl Iterator<Item = &str>) -> Result<(), Halt> {
        let mut missing: Vec<&str> = Vec::new();
        for key in keys {
            if !self.workspace.touch(key) {
                missing.push(key);
            }
        }
        missing.sort_unstable();
        missing.dedup();
        let projection = self.parts.projection.clone();
        let empty = self.state == SpaceState::Empty;
        for keys in missing.chunks(LOAD_MAX) {
            let stored = if empty { vec![None; keys.len()] } else { self.read(keys).await? };
            for (key, stored) in keys.iter().zip(stored) {
                let slot = projection.slot(stored.as_deref()).map_err(|error| {
                    tracing::error!(space = %self.parts.space, key, %error, "a view is torn");
                    Halt::Lost
                })?;
                self.workspace.hold(Key::known(key), slot, stored.is_some());
            }
        }
        Ok(())
    }

    async fn read(&self, keys: &[&str]) -> Result<Vec<Option<Bytes>>, Halt> {
        let keys: Vec<String> = keys.iter().map(|key| doc_key(key)).collect();
        let (state, values) = self.parts.store.read(&self.parts.space, &keys).await?;
        if self.is_own(&state) { Ok(values) } else { Err(self.moved(&state)) }
    }

    /// Folds the steps in memory; a panic names the aggregate and the record.
    fn fold(&mut self, steps: &Steps<'_>) -> Result<(), (String, Position, Poison)> {
        let (projection, workspace) = (&self.parts.projection, &mut self.workspace);
        for step in &steps.steps {
            let folded = step.fold(|key, recorded| {
                projection.fold(workspace.slot(key), key, recorded);
            });
            folded.map_err(|poison| (step.target().to_string(), step.position(), poison))?;
        }
        Ok(())
    }
}
