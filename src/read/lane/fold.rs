//! From records to changed views in memory.

use std::convert::Infallible;

use bytes::Bytes;

use crate::contract::Position;
use crate::ports::{LogRecord, SpaceState};
use crate::spans::{self, Span};

use super::super::index::Indexes;
use super::super::inlet::Inlet;
use super::super::pace::Busy;
use super::super::parked::Poison;
use super::super::steps::{Before, Limits, Step, Steps, source_and_target};
use super::super::workspace::Workspace;
use super::{Halt, Lane, LaneParts};

/// Records of one commit that are told of to who follows traces.
const TRACED_MAX: usize = 100;

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
        self.build_first(&mut inlet).await?;
        let mut busy = Busy::new();
        loop {
            let fed = tokio::select! {
                biased;
                Some(mend) = self.mends.recv() => {
                    self.mend(mend).await?;
                    continue;
                }
                fed = inlet.next(self.tracker.next(), true) => fed?,
            };
            let Some(fed) = fed else {
                self.check_space().await?;
                continue;
            };
            let records = fed.since(self.tracker.next());
            self.fold_records(records).await?;
            self.publish(fed.at_end);
            let gathering = if self.parts.projection.reads_records() {
                linger.interval()
            } else {
                busy.gathering(records.len(), linger.interval())
            };
            if !gathering.is_zero() {
                inlet.linger(&linger, gathering).await;
            }
        }
    }

    pub(super) async fn fold_records(&mut self, mut records: &[LogRecord]) -> Result<(), Halt> {
        let partition = self.parts.space.partition;
        let following = self.build.is_none();
        let limits = self.limits(following);
        self.load_links(records).await?;
        while !records.is_empty() {
            let position = |record: &LogRecord| Position { partition, offset: record.offset };
            let before = Before {
                sources: &self.sources,
                tracker: &self.tracker,
                parked: &self.parked,
                poison: &self.poison,
                links: &self.links,
            };
            let projection = self.parts.projection.clone();
            let steps = Steps::of(projection.as_ref(), &before, records, position, &limits);
            let traced = self.traced(&steps);
            self.load(&steps).await?;
            if let Err((aggregate, position, poison)) = self.fold(&steps) {
                // What was folded before it is lost with it: again, up to there.
                self.poison.insert(aggregate, (position, poison));
                return Err(Halt::Reopen);
            }
            for (target, link) in &steps.links {
                self.links.slot(target.as_str()).clone_from(link);
            }
            self.tracker = steps.tracker;
            self.regrown.extend(steps.parked.keys().cloned());
            self.parked.extend(steps.parked);
            if following {
                self.commit().await?;
            }
            drop(traced);
            if let Some(stop) = steps.stop {
                if !following {
                    self.flush().await?;
                }
                return Err(stop.into());
            }
            records = &records[steps.taken..];
        }
        if following {
            self.links.age(self.parts.config.cached_views_max);
        }
        Ok(())
    }

    /// A span for each record that is traced, up to some, which ends with the commit.
    fn traced(&self, steps: &Steps<'_>) -> Vec<Span> {
        if self.build.is_some() || !spans::are_taken() {
            return Vec::new(); // what is built again was told of when it was new
        }
        let name = self.parts.projection.name();
        let span = |step: &Step<'_>| {
            let span = spans::within("project", step.traceparent())?;
            Some(span.with("retell.projection", name).with("retell.position", step.position()))
        };
        steps.steps.iter().filter_map(span).take(TRACED_MAX).collect()
    }

    fn limits(&self, following: bool) -> Limits {
        let changes_max = if following { self.parts.store.changes_max() } else { usize::MAX };
        // A new one: itself, and a place in the index by key and in each other. One that was
        // there: itself, and out of one place and into another in each.
        let indexes = self.parts.projection.indexes().len();
        let per_view = (2 + indexes).max(1 + 2 * indexes);
        let parked_max = self.parts.config.parked_aggregates_max;
        Limits { changes_max, per_view, parked_max }
    }

    /// Brings every view that the steps change into memory.
    async fn load(&mut self, steps: &Steps<'_>) -> Result<(), Halt> {
        self.load_keys(steps.steps.iter().flat_map(Step::keys)).await
    }

    /// Brings the views under these keys into memory.
    pub(super) async fn load_keys(&mut self, keys: impl Iterator<Item = &str>) -> Result<(), Halt> {
        let sample = self.sample();
        let keys = keys.filter(|key| sample.is_none_or(|sample| sample.has(key)));
        let missing = missing(&mut self.workspace, keys);
        let projection = self.parts.projection.clone();
        for keys in missing.chunks(LOAD_MAX) {
            let stored = self.read(&self.workspace, keys).await?;
            for (key, stored) in keys.iter().zip(stored) {
                let slot = projection.slot(stored.as_deref()).map_err(|error| {
                    tracing::error!(space = %self.parts.space, key, %error, "a view is torn");
                    Halt::Lost
                })?;
                self.workspace.hold(key, slot, stored.as_deref(), projection.indexes());
            }
        }
        Ok(())
    }

    /// Brings the link of every aggregate of the records into memory.
    async fn load_links(&mut self, records: &[LogRecord]) -> Result<(), Halt> {
        let projection = self.parts.projection.clone();
        let Some(links) = projection.links() else { return Ok(()) };
        let of =
            |record: &LogRecord| source_and_target(&self.sources, record).map(|(_, target)| target);
        let targets: Vec<_> = records.iter().filter_map(of).collect();
        let missing = missing(&mut self.links, targets.iter().map(|target| target.as_str()));
        for keys in missing.chunks(LOAD_MAX) {
            let stored = self.read(&self.links, keys).await?;
            for (key, stored) in keys.iter().zip(stored) {
                let link = links.link_of(stored.as_deref()).map_err(|error| {
                    tracing::error!(space = %self.parts.space, key, %error, "a link is torn");
                    Halt::Lost
                })?;
                self.links.hold(key, link, stored.as_deref(), Indexes::NONE);
            }
        }
        Ok(())
    }

    /// The stored values of a workspace's keys.
    async fn read<S>(
        &self,
        workspace: &Workspace<S>,
        keys: &[&str],
    ) -> Result<Vec<Option<Bytes>>, Halt> {
        if self.state == SpaceState::Empty {
            return Ok(vec![None; keys.len()]);
        }
        let keys: Vec<String> = keys.iter().map(|key| workspace.stored_key(key)).collect();
        let (state, values) = self.parts.store.read(&self.parts.space, &keys).await?;
        if self.is_own(&state) { Ok(values) } else { Err(self.moved(&state)) }
    }

    /// Folds the steps in memory; a panic names the aggregate and the record.
    fn fold(&mut self, steps: &Steps<'_>) -> Result<(), (String, Position, Poison)> {
        let sample = self.sample();
        let (projection, workspace) = (&self.parts.projection, &mut self.workspace);
        for step in &steps.steps {
            let folded = step.fold(|key, link, recorded| {
                if sample.is_none_or(|sample| sample.has(key)) {
                    projection.fold(workspace.slot(key), key, link, recorded);
                }
            });
            folded.map_err(|poison| (step.target().to_string(), step.position(), poison))?;
        }
        Ok(())
    }
}

/// Those of the keys that a workspace does not hold, each once; the others are young now.
fn missing<'k, S>(
    workspace: &mut Workspace<S>,
    keys: impl Iterator<Item = &'k str>,
) -> Vec<&'k str> {
    let mut missing: Vec<&str> = keys.filter(|key| !workspace.touch(key)).collect();
    missing.sort_unstable();
    missing.dedup();
    missing
}
