//! A stream of one view or of all views of a projection: the view that is, each time it changed.
//!
//! What a record changes is known from the record; the view that is told is the stored one, read
//! when its partition has come at least as far. A record that does not count changes nothing: its
//! views are told as they are, which is no lie.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, watch};
use uuid::Uuid;

use crate::contract::{Key, Offset, Partition, Position, Positions, Source};
use crate::ports::LogRecord;

use super::super::any_projection::AnyProjection;
use super::super::generations::Live;
use super::super::queries::{Entry, QueryError, Views, merged};
use super::super::steps::keys_touched;
use super::before;
use super::hub::{Hearing, Passed};

/// Views that are read at once.
const BATCH_LEN: usize = 100;
/// How long a change waits for its view before the client is told that the stream lags.
const PATIENCE: Duration = Duration::from_secs(10);

/// Follows views.
pub struct ViewStream {
    views: Views,
    projection: Arc<dyn AnyProjection>,
    sources: Vec<Source>,
    live: watch::Receiver<Option<Arc<Live>>>,
    generation: Option<Uuid>,
    hearing: Hearing,
    only: Option<Key>,
    places: BTreeMap<Partition, Place>,
    ready: VecDeque<Told>,
    _room: OwnedSemaphorePermit,
}

/// Where the stream is in a partition.
struct Place {
    /// The offset after the last record whose keys are in `touched` or told.
    next: Offset,
    /// Up to where the log has to be read, because it was not heard.
    missed_to: Offset,
    /// What changed and is not told yet.
    touched: BTreeSet<Key>,
    /// Everything before it is told.
    told: Offset,
}

/// What a client is told.
#[derive(Clone, Debug)]
pub struct Told {
    /// What it is.
    pub event: ViewEvent,
    /// Where a client goes on that has seen it.
    pub positions: Positions,
}

/// What became of views.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ViewEvent {
    /// The stream is at these positions; nothing changed.
    At,
    /// The view under a key.
    Put {
        /// The key.
        key: Key,
        /// The view's JSON.
        view: Bytes,
    },
    /// There is no view under a key.
    Delete {
        /// The key.
        key: Key,
    },
    /// Too much has changed, or all may have: what the client holds is of no use.
    Reset,
    /// The client, or the views, are behind; the stream goes on.
    Lagging,
}

impl Views {
    /// Follows the view under a key, or all views of a projection, behind these positions; a
    /// partition without one from now on.
    ///
    /// # Errors
    /// There is no such projection, there are too many streams, or a position is not in the log.
    pub async fn follow(
        &self,
        projection: &str,
        only: Option<Key>,
        after: &Positions,
    ) -> Result<ViewStream, QueryError> {
        let inner = self.inner();
        let entry = inner.entry(projection)?;
        let room = inner.streams.enter()?;
        inner.check(after)?;
        inner.check_positions(after).await?;
        let hearing = inner.streams.hub.hear().await;
        let mut stream = ViewStream {
            views: self.clone(),
            projection: entry.projection.clone(),
            sources: entry.projection.sources().iter().copied().collect(),
            live: entry.live.clone(),
            generation: None,
            hearing,
            only,
            places: BTreeMap::new(),
            ready: VecDeque::new(),
            _room: room,
        };
        stream.begin(after).await?;
        Ok(stream)
    }
}

impl ViewStream {
    /// What comes next; none when the process goes down.
    ///
    /// # Errors
    /// The log or the store does not answer; the same may succeed later.
    pub async fn next(&mut self) -> Result<Option<Told>, QueryError> {
        loop {
            if let Some(told) = self.ready.pop_front() {
                return Ok(Some(told));
            }
            if self.is_another() {
                self.begin_anew().await?;
            } else if let Some(home) = self.first(|place| place.next < place.missed_to) {
                self.read(home).await?;
            } else if let Some(home) = self.first(|place| place.told < place.next) {
                self.tell(home).await?;
            } else {
                tokio::select! {
                    heard = self.hearing.heard.recv() => match heard {
                        Ok(passed) => self.take(&passed),
                        Err(RecvError::Lagged(_)) => self.look(),
                        Err(RecvError::Closed) => return Ok(None),
                    },
                    // The sender is gone when the process goes down, and so is the hub soon.
                    Ok(()) = self.live.changed() => {}
                }
            }
        }
    }

    fn first(&self, is: impl Fn(&Place) -> bool) -> Option<Partition> {
        self.places.iter().find(|(_, place)| is(place)).map(|(&home, _)| home)
    }

    /// Where the stream is, by what was told.
    fn positions(&self) -> Positions {
        before(self.places.iter().map(|(&home, place)| (home, place.told)))
    }

    fn add(&mut self, event: ViewEvent) {
        let positions = self.positions();
        self.ready.push_back(Told { event, positions });
    }

    /// Whether queries read another generation by now than the one that was told of.
    fn is_another(&self) -> bool {
        let live = self.live.borrow();
        live.as_ref().map(|live| live.generation) != self.generation
    }

    /// A generation that goes live may have other views: what was told of the one before is void.
    async fn begin_anew(&mut self) -> Result<(), QueryError> {
        self.begin(&Positions::default()).await?;
        self.ready.clear();
        self.add(ViewEvent::Reset);
        Ok(())
    }

    /// Takes the generation that is live; where no position is given it begins with what is heard
    /// from now on, once the views have come as far: then who reads them now misses nothing.
    async fn begin(&mut self, after: &Positions) -> Result<(), QueryError> {
        let views = self.views.clone();
        let inner = views.inner();
        let entry = inner.entry(self.projection.name().as_str())?;
        let (homes, nexts) = (self.homes(), inner.streams.hub.nexts());
        let heard = |home: &Partition| nexts[home.0 as usize].map(|next| (*home, next));
        let heard = before(homes.iter().filter_map(heard));
        let found = inner.docs_of(entry, &homes, &[], &heard, PATIENCE).await?;
        self.generation = Some(found.live.generation);
        let place = |(at, _): (Position, Vec<Option<Bytes>>)| {
            let now = heard.get(at.partition).unwrap_or(at.offset).next();
            let next = after.get(at.partition).map_or(now, Offset::next);
            (at.partition, Place { next, missed_to: now, touched: BTreeSet::new(), told: next })
        };
        self.places = found.parts.into_iter().map(place).collect();
        self.add(ViewEvent::At);
        Ok(())
    }

    /// The partitions whose records may change what is followed.
    fn homes(&self) -> Vec<Partition> {
        let partitions = self.views.inner().log.partitions();
        let home = self.only.as_ref().and_then(|key| self.projection.partition_of(key, partitions));
        home.map_or_else(|| partitions.iter().collect(), |home| vec![home])
    }

    fn take(&mut self, passed: &Passed) {
        let Some(place) = self.places.get_mut(&passed.partition) else { return };
        if passed.from > place.next {
            place.missed_to = place.missed_to.max(passed.next);
            return;
        }
        let records = passed.records().iter().filter(|record| record.offset >= place.next);
        let followed = Followed::of(&self.projection, &self.sources, self.only.as_ref());
        for record in records {
            place.touched.extend(followed.touched(passed.partition, record));
        }
        place.next = place.next.max(passed.next);
    }

    /// After something was missed: how far have the partitions come?
    fn look(&mut self) {
        let nexts = self.views.inner().streams.hub.nexts();
        for (home, place) in &mut self.places {
            place.missed_to = place.missed_to.max(nexts[home.0 as usize].unwrap_or_default());
        }
        self.add(ViewEvent::Lagging);
    }

    /// Reads what was not heard; when that is too much, the client must begin anew.
    async fn read(&mut self, home: Partition) -> Result<(), QueryError> {
        let views = self.views.clone();
        let config = &views.inner().streams.config;
        let place = self.places.get_mut(&home).expect("one of them");
        let len = place.missed_to.0 - place.next.0;
        let mut is_too_much = len > config.resume_records_max;
        let mut open = None;
        while place.next < place.missed_to && !is_too_much {
            let reader = match &mut open {
                Some(reader) => reader,
                None => open.insert(views.inner().records.open(home, place.next).await?),
            };
            let (records, at_end) = reader.next(usize::MAX).await?;
            let last = records.last().map(|last| last.offset.next());
            let followed = Followed::of(&self.projection, &self.sources, self.only.as_ref());
            for record in &records {
                place.touched.extend(followed.touched(home, record));
            }
            place.next = last.unwrap_or(place.next);
            if at_end {
                place.next = place.next.max(place.missed_to); // only holes are left
            }
            is_too_much = place.touched.len() > config.resume_keys_max;
        }
        drop(open);
        if is_too_much { self.begin_anew().await } else { Ok(()) }
    }

    /// Reads views that changed, as of at least the records that changed them.
    async fn tell(&mut self, home: Partition) -> Result<(), QueryError> {
        let place = self.places.get_mut(&home).expect("one of them");
        let batch: Vec<Key> = place.touched.iter().take(BATCH_LEN).cloned().collect();
        if batch.is_empty() {
            place.told = place.next;
            return Ok(());
        }
        let after = Position { partition: home, offset: Offset(place.next.0 - 1) };
        let views = self.views.clone();
        let read = views.current(&self.projection, &batch, &after.into(), PATIENCE).await;
        let (generation, found) = match read {
            Err(QueryError::Behind(_)) => {
                self.add(ViewEvent::Lagging);
                return Ok(());
            }
            read => read?,
        };
        if Some(generation) != self.generation {
            return Ok(()); // the next turn begins anew
        }
        for (key, view) in batch.into_iter().zip(found) {
            let place = self.places.get_mut(&home).expect("one of them");
            place.touched.remove(&key);
            if place.touched.is_empty() {
                place.told = place.next;
            }
            self.add(match view {
                Some(view) => ViewEvent::Put { key, view },
                None => ViewEvent::Delete { key },
            });
        }
        Ok(())
    }
}

impl Views {
    /// The views under these keys, and of which generation they are.
    async fn current(
        &self,
        projection: &Arc<dyn AnyProjection>,
        keys: &[Key],
        after: &Positions,
        wait: Duration,
    ) -> Result<(Uuid, Vec<Option<Bytes>>), QueryError> {
        let inner = self.inner();
        let entry: &Entry = inner.entry(projection.name().as_str())?;
        let partitions = inner.log.partitions();
        // All keys of a batch are of one partition, or each has parts in all of them.
        let home = projection.partition_of(&keys[0], partitions);
        let homes = home.map_or_else(|| partitions.iter().collect(), |home| vec![home]);
        let texts: Vec<String> = keys.iter().map(|key| key.as_str().to_owned()).collect();
        let docs = inner.docs_of(entry, &homes, &texts, after, wait).await?;
        let mut parts: Vec<Vec<Bytes>> = vec![Vec::new(); keys.len()];
        for (_, values) in docs.parts {
            for (parts, value) in parts.iter_mut().zip(values) {
                parts.extend(value);
            }
        }
        let merge = |parts: Vec<Bytes>| match parts.as_slice() {
            [] => Ok(None),
            _ => merged(entry, parts).map(Some),
        };
        let views = parts.into_iter().map(merge).collect::<Result<_, _>>()?;
        Ok((docs.live.generation, views))
    }
}

/// What a stream follows.
struct Followed<'s> {
    projection: &'s dyn AnyProjection,
    sources: &'s [Source],
    only: Option<&'s Key>,
}

impl<'s> Followed<'s> {
    fn of(
        projection: &'s Arc<dyn AnyProjection>,
        sources: &'s [Source],
        only: Option<&'s Key>,
    ) -> Self {
        Self { projection: projection.as_ref(), sources, only }
    }

    /// The keys that a record changes, of those that are followed.
    fn touched(&self, partition: Partition, record: &LogRecord) -> Vec<Key> {
        let mut keys = keys_touched(self.projection, self.sources, partition, record);
        keys.retain(|key| self.only.is_none_or(|only| only == key));
        keys
    }
}
