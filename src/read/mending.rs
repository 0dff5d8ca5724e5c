//! A sequence that is held back, folded again beside its lane.
//!
//! The long way, from its first record to where the lane is, is read here and delays nobody; the
//! lane takes the result, reads what came meanwhile, and commits it together with its checkpoint.
//! So each record of the sequence is folded once, in order, whatever happens on the way.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::contract::{Offset, Partition, Position, Source, Target};
use crate::log::{Checks, Mark, Tracker};
use crate::ports::{EventLog, LogError, LogRecord, StoreError};

use super::any_projection::AnyProjection;
use super::generations::Live;
use super::lane::{Mend, Mended};
use super::parked::{Parked, ParkedId, ParkedSequence, Poison};
use super::queries::{Entry, Views};
use super::status::{LaneState, ViewKind};
use super::steps::{Bad, decode};
use super::workspace::doc_key;

/// How long a lane may take for what it is given to mend.
const LANE_PATIENCE: Duration = Duration::from_secs(10);

/// How often a lane may be further ahead than it would read by itself.
const ROUNDS_MAX: usize = 10;

/// Records read at once.
const CHUNK_RECORDS_MAX: usize = 2_000;
/// Bytes read at once.
const CHUNK_BYTES_MAX: usize = 4 << 20;

/// What a retry has done.
///
/// ```
/// use retell::read::Retried;
/// use serde_json::json;
///
/// let retried = Retried { applied: 3, parked: None };
/// assert_eq!(serde_json::to_value(retried)?, json!({"applied": 3, "parked": null}));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Retried {
    /// Records that are in the view now.
    pub applied: u64,
    /// What is held back still: the sequence from another record on.
    pub parked: Option<ParkedSequence>,
}

/// Why a sequence was not mended.
///
/// ```
/// use retell::{app::App, read::MendError};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().build().await?;
/// let id = "00112233445566778899aabbccddeeff".parse()?;
/// let error = app.views().retry_parked(&id).await.expect_err("nothing is parked");
/// assert!(matches!(error, MendError::Unknown(unknown) if unknown == id));
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MendError {
    /// There is no such sequence (any more).
    #[error("no sequence {0} is parked; GET /admin/parked lists those that are")]
    Unknown(ParkedId),
    /// Only a replay makes its views anew: they are merged, or the sequence was discarded.
    #[error("{0}; replay the projection to fold it from the beginning")]
    NeedsReplay(&'static str),
    /// The first record still cannot be folded. Nothing was changed.
    #[error("record {position} still cannot be folded: {error}")]
    StillParked {
        /// The first record of the sequence.
        position: Position,
        /// Why.
        error: String,
    },
    /// This process does not fold the partition now. Ask another, or later.
    #[error("the partition is not folded by this process now")]
    NotFolded,
    /// The lane did not answer in time; list what is parked to see what it did.
    #[error("the partition is busy; list what is parked to see whether it was done")]
    Busy,
    /// The log does not answer. Retry later.
    #[error("the log is unavailable: {0}")]
    Log(#[from] LogError),
    /// The view store does not answer. Retry later.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A sequence on its way back into the view.
pub(super) struct Mending {
    projection: Arc<dyn AnyProjection>,
    source: Source,
    pub(super) target: Target,
    /// The first record that was held back.
    pub(super) began: Position,
    tracker: Tracker,
    /// The view after what was folded.
    pub(super) view: Option<Bytes>,
    /// Records that were folded.
    pub(super) applied: u64,
    /// What is held back still.
    pub(super) left: Option<Parked>,
}

/// A sequence that was found by its id.
struct Found<'v> {
    entry: &'v Entry,
    live: Arc<Live>,
    partition: Partition,
    target: Target,
    parked: Parked,
}

impl Views {
    /// Everything that is held back or was given up, by projection.
    #[must_use]
    pub fn parked(&self) -> Vec<ParkedSequence> {
        let of = |entry: &Entry| {
            let name = entry.projection.name().as_str();
            let live = entry.live.borrow().clone();
            let maps = live.iter().flat_map(|live| &live.lanes).map(|lane| {
                let parked = lane.borrow().parked.clone();
                parked.iter().map(|(aggregate, it)| it.shown(name, aggregate)).collect::<Vec<_>>()
            });
            maps.flatten().collect::<Vec<_>>()
        };
        self.0.entries.values().flat_map(of).collect()
    }

    /// Folds a sequence again, from its first record to now, and puts the view in its place.
    ///
    /// # Errors
    /// See [`MendError`].
    pub async fn retry_parked(&self, id: &ParkedId) -> Result<Retried, MendError> {
        let found = self.find_parked(id)?;
        let Found { entry, live, partition, target, parked } = &found;
        if !matches!(entry.projection.kind(), ViewKind::Aggregate(_)) {
            return Err(MendError::NeedsReplay("a merged view cannot be mended in place"));
        }
        if parked.discarded {
            return Err(MendError::NeedsReplay("the sequence was discarded, and its view with it"));
        }
        let space = live.space(*partition).ok_or(MendError::NotFolded)?;
        // Nobody changes the view of an aggregate that is parked.
        let (_, views) = self.0.store.read(space, &[doc_key(target.id())]).await?;
        let view = views.into_iter().next().flatten();
        let projection = entry.projection.clone();
        let mut mending = Box::new(Mending::new(projection, target.clone(), parked, view));
        for _ in 0..ROUNDS_MAX {
            let next = live.lanes[partition.0 as usize].borrow().next;
            mending.read_to(&*self.0.log, *partition, next).await?;
            let (reply, answer) = oneshot::channel();
            found.hand(Mend::Retry { mending, reply })?;
            match found.answered(id, answer).await? {
                Mended::Done { applied, parked } => {
                    let name = entry.projection.name().as_str();
                    let parked = parked.map(|it| it.shown(name, target.as_str()));
                    return Ok(Retried { applied, parked });
                }
                Mended::Behind(back) => mending = back,
            }
        }
        Err(MendError::Busy)
    }

    /// Gives a sequence up: its view is removed, and its later records are passed over, until a
    /// replay. What is in merged views stays.
    ///
    /// # Errors
    /// See [`MendError`].
    pub async fn discard_parked(&self, id: &ParkedId) -> Result<ParkedSequence, MendError> {
        let found = self.find_parked(id)?;
        let name = found.entry.projection.name().as_str();
        let (target, began) = (found.target.clone(), found.parked.position);
        let (reply, answer) = oneshot::channel();
        found.hand(Mend::Discard { target, began, reply })?;
        let discarded = found.answered(id, answer).await?;
        Ok(discarded.shown(name, found.target.as_str()))
    }

    fn find_parked(&self, id: &ParkedId) -> Result<Found<'_>, MendError> {
        let partitions = self.0.log.partitions();
        for entry in self.0.entries.values() {
            let name = entry.projection.name().as_str();
            let Some(live) = entry.live.borrow().clone() else { continue };
            for (lane, partition) in live.lanes.iter().zip(partitions.iter()) {
                let parked = lane.borrow().parked.clone();
                let mut named = parked.iter().filter(|(it, _)| ParkedId::of(name, it) == *id);
                let Some((aggregate, parked)) = named.next() else { continue };
                let target = Target::parse(aggregate.as_bytes());
                let target = target.expect("only an aggregate with a name is parked");
                return Ok(Found { entry, live, partition, target, parked: parked.clone() });
            }
        }
        Err(MendError::Unknown(id.clone()))
    }
}

impl Found<'_> {
    /// Gives the lane something to mend, if it is at work.
    fn hand(&self, mend: Mend) -> Result<(), MendError> {
        let at = self.partition.0 as usize;
        let state = self.live.lanes[at].borrow().state.clone();
        let is_at_work = matches!(state, LaneState::Following | LaneState::TooManyParked { .. });
        let lane = self.live.mends.get(at).filter(|_| is_at_work).ok_or(MendError::NotFolded)?;
        lane.try_send(mend).map_err(|_| MendError::Busy)
    }

    async fn answered<T>(
        &self,
        id: &ParkedId,
        answer: oneshot::Receiver<Result<T, MendError>>,
    ) -> Result<T, MendError> {
        match timeout(LANE_PATIENCE, answer).await {
            Ok(Ok(Err(MendError::Unknown(_)))) => Err(MendError::Unknown(id.clone())),
            Ok(Ok(answer)) => answer,
            // The commit has an outcome that nobody knows, or the lane has lost its space.
            Ok(Err(_)) | Err(_) => Err(MendError::Busy),
        }
    }
}

impl Mending {
    fn new(
        projection: Arc<dyn AnyProjection>,
        target: Target,
        parked: &Parked,
        view: Option<Bytes>,
    ) -> Self {
        let sources = projection.sources();
        let source = sources.iter().find(|it| it.aggregate_type == target.aggregate_type());
        Self {
            source: *source.expect("only what is folded is parked"),
            projection,
            target,
            began: parked.position,
            tracker: Tracker::resume(&parked.before).checking(Checks::default()),
            view,
            applied: 0,
            left: None,
        }
    }

    /// The offset after the last record that was looked at.
    pub(super) const fn next(&self) -> Offset {
        self.tracker.next()
    }

    /// Folds what the log has of the sequence below an offset.
    pub(super) async fn read_to(
        &mut self,
        log: &dyn EventLog,
        partition: Partition,
        until: Offset,
    ) -> Result<(), LogError> {
        if self.next() >= until {
            return Ok(());
        }
        let mut reader = log.reader(partition, self.next()).await?;
        loop {
            let chunk = reader.next(CHUNK_RECORDS_MAX, CHUNK_BYTES_MAX).await?;
            let below = chunk.records.partition_point(|record| record.offset < until);
            for record in &chunk.records[..below] {
                self.take(record, partition);
            }
            if below < chunk.records.len() || self.next() >= until || chunk.at_end {
                return Ok(());
            }
            // Thousands of records may pass without a wait.
            tokio::task::yield_now().await;
        }
    }

    fn take(&mut self, record: &LogRecord, partition: Partition) {
        let before = self.tracker.checkpoint();
        let mark = self.tracker.step(record.offset, record.time, &record.stamp, &record.value);
        let is_ours = record.key.as_deref() == Some(self.target.as_str().as_bytes());
        if mark != Mark::Counts || !is_ours {
            return;
        }
        if let Some(left) = &mut self.left {
            left.count += 1;
            return;
        }
        let position = Position { partition, offset: record.offset };
        match self.fold(record, position) {
            Ok(view) => {
                self.view = view;
                self.applied += 1;
            }
            Err(poison) => {
                let before = before.expect("a record counts only after a claim");
                self.left = Some(Parked::first(record, position, before, poison));
            }
        }
    }

    /// The view after a record; the one before it stays whole, since a fold may panic.
    fn fold(&self, record: &LogRecord, position: Position) -> Result<Option<Bytes>, Poison> {
        let projection = &*self.projection;
        let step = decode(projection, Some(&self.source), &self.target, None, record, position);
        let step = step.map_err(|bad| match bad {
            Bad::Newer(error) => Poison { version: None, error },
            Bad::Poison(poison) => poison,
        })?;
        let torn = |error: serde_json::Error| Poison {
            version: None,
            error: format!("the view before it cannot be read: {error}"),
        };
        let mut slot = projection.slot(self.view.as_deref()).map_err(torn)?;
        // Only views of one aggregate each are mended: they have no links.
        step.fold(|key, link, recorded| projection.fold(&mut slot, key, link, recorded))?;
        Ok(projection.render(&slot))
    }
}
