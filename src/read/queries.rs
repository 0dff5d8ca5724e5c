//! Queries: the stored bytes of a view, with the position that they are of.
//!
//! A query is answered from the live generation only, and never from before the positions that
//! it names or from before the generation went live.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use tokio::sync::watch;

use crate::contract::{Key, Offset, Partition, Position, Positions};
use crate::gate::{Gate, GateState};
use crate::log::Checkpoint;
use crate::ports::{EventLog, StoreError, ViewStore};

use super::any_projection::AnyProjection;
use super::ends::Ends;
use super::generations::Live;
use super::measured::ProjectionMeasures;
use super::pace::Pace;
use super::past::Records;
use super::query_error::QueryError;
use super::recent_lag::RecentLag;
use super::reload::Reload;
use super::sample::Sampled;
use super::status::LaneState;
use super::streams::Streams;
use super::waiting::Waiting;
use super::workspace::doc_key;

/// Answers queries. Cheap to clone.
///
/// ```
/// use std::time::Duration;
///
/// use retell::{Key, app::App, write::SendOptions};
/// # use retell::doc::{Light, LightCommand, Lights};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).projection(Lights).build().await?;
/// app.ready().await;
/// let order = LightCommand::SwitchOn {};
/// let done = app.commands().send::<Light>("hall", order, SendOptions::default()).await?;
/// let (hall, wait) = (Key::new("hall")?, Duration::from_secs(5));
/// let found = app.views().get("lights", &hall, &done.position.into(), wait).await?;
/// assert_eq!(found.view, r#"{"on":true,"switched":1}"#);
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone)]
pub struct Views(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) log: Arc<dyn EventLog>,
    pub(super) store: Arc<dyn ViewStore>,
    pub(super) store_gate: Gate,
    pub(super) ends: Ends,
    pub(super) recent_lag: RecentLag,
    /// Of each partition, what a query that waits for it hurries.
    pub(super) paces: Vec<Pace>,
    pub(super) entries: BTreeMap<&'static str, Entry>,
    /// Reads records of the log for those who look back.
    pub(super) records: Records,
    /// What event streams share.
    pub(super) streams: Streams,
}

pub(super) struct Entry {
    pub(super) projection: Arc<dyn AnyProjection>,
    pub(super) live: watch::Receiver<Option<Arc<Live>>>,
    /// Why no generation is built here, if this binary met what it cannot get past.
    pub(super) blocked: watch::Receiver<Option<LaneState>>,
    /// Of each partition, what else a query hurries: the lane.
    pub(super) lingers: Vec<Pace>,
    /// Whether nobody folds it here.
    pub(super) paused: watch::Receiver<bool>,
    /// What samples of it have shown.
    pub(super) sampled: watch::Receiver<Sampled>,
    /// Asks for its pointer to be read again.
    pub(super) reload: Reload,
    /// What is counted of it.
    pub(super) measures: Arc<ProjectionMeasures>,
}

/// A view as it is stored.
///
/// ```
/// use std::time::Duration;
///
/// use retell::{Key, app::App, write::SendOptions};
/// # use retell::doc::{Light, LightCommand, Lights};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).projection(Lights).build().await?;
/// app.ready().await;
/// let order = LightCommand::SwitchOn {};
/// let done = app.commands().send::<Light>("hall", order, SendOptions::default()).await?;
/// let (hall, wait) = (Key::new("hall")?, Duration::from_secs(5));
/// let found = app.views().get("lights", &hall, &done.position.into(), wait).await?;
/// let upto = found.positions.get(done.position.partition).expect("its partition");
/// assert!(upto >= done.position.offset);
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Found {
    /// The view's JSON.
    pub view: Bytes,
    /// Everything up to here is in it; one position, or one for each partition when merged.
    pub positions: Positions,
}

/// What one look at the store gave.
pub(super) enum Look<T> {
    Answer(T),
    Miss(Miss),
}

/// Why a partition could not be looked at.
#[derive(Clone, Copy)]
pub(super) enum Miss {
    /// It has not come far enough.
    NotYet(Partition),
    /// It is not there, or not as it was when it went live.
    NotHere(Partition),
}

impl Views {
    pub(super) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.0
    }

    /// The view under a key, as of at least these positions; waits for them at most this long.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn get(
        &self,
        projection: &str,
        key: &Key,
        after: &Positions,
        wait: Duration,
    ) -> Result<Found, QueryError> {
        let entry = self.0.entry(projection)?;
        self.0.check(after)?;
        let mut waiting = Waiting::new(&self.0, entry, after, wait);
        loop {
            let live = waiting.live().await?;
            match self.look(entry, &live, key, after).await? {
                Look::Answer(Err(QueryError::NotFound { .. }))
                    if self.has_lost(entry, &live, key).await? =>
                {
                    return Err(QueryError::Behind(format!("the view of {key} is being rebuilt")));
                }
                Look::Answer(answer) => return answer,
                Look::Miss(miss) => waiting.missed(&live, miss).await?,
            }
        }
    }

    async fn look(
        &self,
        entry: &Entry,
        live: &Live,
        key: &Key,
        after: &Positions,
    ) -> Result<Look<Result<Found, QueryError>>, QueryError> {
        let partitions = self.0.log.partitions();
        let home = entry.projection.partition_of(key, partitions);
        for position in
            after.iter().filter(|position| home.is_some_and(|p| p != position.partition))
        {
            let (checkpoint, _) = self.read(live, position.partition, &[]).await?;
            if !checkpoint.is_some_and(|it| it.has_passed(position.offset)) {
                return Ok(Look::Miss(Miss::NotYet(position.partition)));
            }
        }
        let doc = [doc_key(key.as_str())];
        let Some(partition) = home else {
            return self.look_everywhere(entry, live, &doc, after).await;
        };
        // Nearly every query: one read at most, nothing to gather.
        let (checkpoint, value) = self.view((entry, live), partition, &doc, after).await?;
        Ok(match position(checkpoint, after, live, partition) {
            Ok(position) => Look::Answer(whole(entry, value, position.into())),
            Err(miss) => Look::Miss(miss),
        })
    }

    async fn look_everywhere(
        &self,
        entry: &Entry,
        live: &Live,
        doc: &[String; 1],
        after: &Positions,
    ) -> Result<Look<Result<Found, QueryError>>, QueryError> {
        let homes: Vec<Partition> = self.0.log.partitions().iter().collect();
        let reads = homes.iter().map(|&partition| self.view((entry, live), partition, doc, after));
        let (mut positions, mut parts) = (Positions::default(), Vec::new());
        for (&partition, (checkpoint, value)) in homes.iter().zip(try_join_all(reads).await?) {
            let position = match position(checkpoint, after, live, partition) {
                Ok(position) => position,
                Err(miss) => return Ok(Look::Miss(miss)),
            };
            positions.add(position);
            parts.extend(value);
        }
        Ok(Look::Answer(whole(entry, parts, positions)))
    }

    /// The view or the part under a key: one that is kept, if it has come far enough.
    async fn view(
        &self,
        (entry, live): (&Entry, &Live),
        partition: Partition,
        doc: &[String; 1],
        after: &Positions,
    ) -> Result<(Option<Checkpoint>, Option<Bytes>), QueryError> {
        let kept = live.kept.get(partition.0 as usize);
        if let Some((checkpoint, view)) = kept.and_then(|kept| kept.get(&doc[0]))
            && position(Some(checkpoint), after, live, partition).is_ok()
        {
            entry.measures.hits.count();
            return Ok((Some(checkpoint), Some(view)));
        }
        entry.measures.misses.count();
        let (checkpoint, view) = self.read(live, partition, doc).await?;
        if let (Some(kept), Some(checkpoint), Some(view)) = (kept, &checkpoint, &view) {
            kept.read(checkpoint, &doc[0], view);
        }
        Ok((checkpoint, view))
    }

    async fn read(
        &self,
        live: &Live,
        partition: Partition,
        keys: &[String],
    ) -> Result<(Option<Checkpoint>, Option<Bytes>), QueryError> {
        let space = live.space(partition).expect("positions were checked against the partitions");
        let (state, values) = self.0.store.read(space, keys).await?;
        Ok((state.checkpoint().copied(), values.into_iter().next().flatten()))
    }
}

impl Inner {
    pub(super) fn entry(&self, projection: &str) -> Result<&Entry, QueryError> {
        let entry = self.entries.get(projection).filter(|it| !it.projection.reads_records());
        entry.ok_or_else(|| QueryError::UnknownProjection(projection.to_owned()))
    }

    /// Checks what can be known before anything is looked at.
    pub(super) fn check(&self, after: &Positions) -> Result<(), QueryError> {
        self.check_store()?;
        self.check_partitions(after)
    }

    /// A store whose settings are wrong, such as one that evicts, is not believed.
    fn check_store(&self) -> Result<(), QueryError> {
        if self.store_gate.is_open() {
            return Ok(());
        }
        match self.store_gate.state() {
            GateState::Open => Ok(()),
            GateState::Waiting(why) => Err(StoreError::Unavailable(why).into()),
            GateState::Refused(why) => Err(StoreError::Settings(vec![why]).into()),
        }
    }

    fn check_partitions(&self, after: &Positions) -> Result<(), QueryError> {
        let partitions = self.log.partitions().count();
        match after.iter().find(|position| position.partition.0 >= partitions) {
            Some(position) => Err(QueryError::PartitionUnknown { position, partitions }),
            None => Ok(()),
        }
    }

    /// Checks that these positions are in the log.
    pub(super) async fn check_positions(&self, after: &Positions) -> Result<(), QueryError> {
        for position in after.iter() {
            let end = self.log.end(position.partition).await;
            let end = end.map_err(|error| QueryError::LogUnavailable(error.to_string()))?;
            if position.offset >= end {
                return Err(QueryError::PositionUnknown { position, end });
            }
        }
        Ok(())
    }
}

/// The last record in a space, if it has come to what was asked for and is not from before the
/// generation was live.
pub(super) fn position(
    checkpoint: Option<Checkpoint>,
    after: &Positions,
    live: &Live,
    partition: Partition,
) -> Result<Position, Miss> {
    let checkpoint = checkpoint.filter(|it| it.next >= live.floor(partition));
    let checkpoint = checkpoint.ok_or(Miss::NotHere(partition))?;
    match after.get(partition) {
        Some(wanted) if !checkpoint.has_passed(wanted) => Err(Miss::NotYet(partition)),
        _ => Ok(Position { partition, offset: Offset(checkpoint.next.0 - 1) }),
    }
}

fn whole(
    entry: &Entry,
    parts: impl IntoIterator<Item = Bytes>,
    positions: Positions,
) -> Result<Found, QueryError> {
    let parts: Vec<Bytes> = parts.into_iter().collect();
    if parts.is_empty() {
        return Err(QueryError::NotFound { positions });
    }
    Ok(Found { view: merged(entry, parts)?, positions })
}

/// One view of its parts.
pub(super) fn merged(entry: &Entry, parts: Vec<Bytes>) -> Result<Bytes, QueryError> {
    let torn = |error: serde_json::Error| StoreError::Torn {
        space: entry.projection.name().to_string(),
        detail: error.to_string(),
    };
    Ok(entry.projection.merge(parts).map_err(torn)?)
}
