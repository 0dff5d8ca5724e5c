//! What a stream of views tells of one partition.
//!
//! It takes what was appended, a few chunks at once, then reads the views that may have changed
//! and tells them, then rests. Between two looks it holds offsets and keys, and a few views.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{BoxStream, unfold};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use uuid::Uuid;

use crate::config::StreamsConfig;
use crate::contract::{Key, Offset, Partition, Target};

use super::super::generations::Live;
use super::super::lane::Progress;
use super::super::parked::{Parked, ParkedMap};
use super::super::query_error::QueryError;
use super::event_stream::{Happened, What};
use super::hub::Listener;
use super::recent::Since;
use super::views::{Followed, ViewChange};
use super::{PATIENCE, RETRY_DELAY, before};

/// Views that are read at once.
const BATCH_LEN: usize = 32;

/// How long the lane is left to commit by itself: whoever waits for it otherwise hurries it.
const MOMENT: Duration = Duration::from_millis(100);

pub(super) struct Part {
    followed: Arc<Followed>,
    /// Of which it tells.
    generation: Uuid,
    live: watch::Receiver<Option<Arc<Live>>>,
    listener: Listener,
    /// The offset after the last record whose keys are in `touched` or told.
    next: Offset,
    /// What may have changed.
    touched: BTreeSet<Key>,
    /// What was read and is not told.
    ready: VecDeque<ViewChange>,
    /// Everything before it is told.
    told: Offset,
    /// What was held back when it last looked: mended views change without a record.
    parked: Arc<ParkedMap>,
    rests_until: Instant,
    /// Whether it has not come yet to where the log ended when it began.
    is_resuming: bool,
}

impl Part {
    pub(super) fn new(
        (followed, live): (Arc<Followed>, watch::Receiver<Option<Arc<Live>>>),
        begun: &Live,
        listener: Listener,
        (next, now): (Offset, Offset),
    ) -> Self {
        let lane = begun.lanes.get(listener.partition.0 as usize);
        Self {
            followed,
            generation: begun.generation,
            live,
            next,
            touched: BTreeSet::new(),
            ready: VecDeque::new(),
            told: next,
            parked: lane.map(|lane| lane.borrow().parked.clone()).unwrap_or_default(),
            rests_until: Instant::now(),
            is_resuming: next < now,
            listener,
        }
    }

    pub(super) fn stream(self) -> BoxStream<'static, Happened<ViewChange>> {
        let stream = unfold(self, |mut part| async move {
            let what = part.next().await;
            let (partition, told) = (part.partition(), part.told);
            Some((Happened { partition, told, what }, part))
        });
        stream.boxed()
    }

    const fn partition(&self) -> Partition {
        self.listener.partition
    }

    async fn next(&mut self) -> What<ViewChange> {
        loop {
            if let Some(change) = self.ready.pop_front() {
                if self.ready.is_empty() && self.touched.is_empty() {
                    self.told = self.next;
                }
                return What::Changed(change);
            }
            match self.step().await {
                Ok(None) => {}
                Ok(Some(what)) => return what,
                Err(error) => {
                    tracing::debug!(%error, "an event stream waits");
                    sleep(RETRY_DELAY).await;
                    return What::Lagged;
                }
            }
        }
    }

    async fn step(&mut self) -> Result<Option<What<ViewChange>>, QueryError> {
        if !self.touched.is_empty() {
            return self.read().await;
        }
        if self.told < self.next {
            self.told = self.next;
            return Ok(Some(What::Passed));
        }
        sleep_until(self.rests_until).await;
        self.note_mended();
        let what = self.take().await?;
        if what.is_none() && self.touched.is_empty() && self.told == self.next {
            self.wait().await;
        }
        Ok(what)
    }

    /// Takes what was heard, until it may have changed enough to read it.
    async fn take(&mut self) -> Result<Option<What<ViewChange>>, QueryError> {
        while self.touched.len() < BATCH_LEN {
            let fed = match self.listener.since(self.next) {
                Since::Records(fed) => fed,
                Since::Missed(to) => return self.catch_up(to).await,
                Since::Nothing => {
                    self.is_resuming = false;
                    break;
                }
            };
            let records = fed.since(self.next);
            let keys = self.followed.touched(self.partition(), records).await?;
            let Some(keys) = keys else { return Ok(Some(What::Void)) };
            self.touched.extend(keys);
            self.next = records.last().map_or(self.next, |last| last.offset.next());
            self.rests_until = Instant::now() + self.config().rest_interval;
        }
        Ok(None)
    }

    /// Reads what was missed; when that is too much, the client must begin anew.
    async fn catch_up(&mut self, to: Offset) -> Result<Option<What<ViewChange>>, QueryError> {
        let (followed, partition) = (self.followed.clone(), self.partition());
        let inner = followed.views.inner();
        if inner.streams.is_too_far(self.next, to) {
            return Ok(Some(What::Void));
        }
        // Nobody waits for views while he has one of the few readers.
        let has_come = self.has_come_to(to);
        if timeout(PATIENCE, has_come).await.is_err() {
            return Err(QueryError::Behind(format!("partition {partition} is not at {to} yet")));
        }
        let mut reader = inner.records.open(partition, self.next).await?;
        while self.next < to {
            let (records, at_end) = reader.next(usize::MAX).await?;
            let Some(keys) = followed.touched(partition, &records).await? else {
                return Ok(Some(What::Void));
            };
            self.touched.extend(keys);
            self.next = records.last().map_or(self.next, |last| last.offset.next());
            if self.touched.len() > self.config().resume_keys_max {
                return Ok(Some(What::Void));
            }
            if at_end && self.next < to {
                inner.check_positions(&before(&[(partition, to)].into())).await?;
                self.next = to; // only a hole is left
            }
        }
        let has_lagged = !std::mem::replace(&mut self.is_resuming, false);
        Ok(has_lagged.then_some(What::Lagged))
    }

    /// Reads views that may have changed, as of at least the records that may have changed them.
    async fn read(&mut self) -> Result<Option<What<ViewChange>>, QueryError> {
        let batch: Vec<Key> = self.touched.iter().take(BATCH_LEN).cloned().collect();
        drop(timeout(MOMENT, self.has_come_to(self.next)).await);
        let after = before(&[(self.partition(), self.next)].into());
        let (generation, views) = self.followed.read(&batch, &after, PATIENCE).await?;
        if generation != self.generation {
            return Ok(Some(What::Void));
        }
        for (key, view) in batch.into_iter().zip(views) {
            self.touched.remove(&key);
            self.ready.push_back(match view {
                Some(view) => ViewChange::Put { key, view },
                None => ViewChange::Delete { key },
            });
        }
        Ok(None)
    }

    /// Returns when there may be something to tell.
    async fn wait(&mut self) {
        let lane = self.lane();
        let known = &self.parked;
        let mended = async {
            if let Some(mut lane) = lane {
                let is_other = |progress: &Progress| !Arc::ptr_eq(&progress.parked, known);
                if lane.wait_for(is_other).await.is_ok() {
                    return;
                }
            }
            std::future::pending().await
        };
        tokio::select! {
            () = self.listener.changed() => {}
            () = mended => {}
            // As after a pause: the lanes are others.
            Ok(()) = self.live.changed() => {}
        }
    }

    /// Views of aggregates that are not held back any more, or are given up, have changed.
    fn note_mended(&mut self) {
        let Some(lane) = self.lane() else { return };
        let parked = lane.borrow().parked.clone();
        let is_same = |was: &Parked, now: Option<&Parked>| {
            now.is_some_and(|now| now.position == was.position && now.discarded == was.discarded)
        };
        for (aggregate, was) in self.parked.iter() {
            if !is_same(was, parked.get(aggregate))
                && let Ok(target) = Target::parse(aggregate.as_bytes())
            {
                self.touched.extend(self.followed.key_of(self.partition(), &target));
            }
        }
        self.parked = parked;
    }

    /// Returns when the lane of this process has come so far.
    async fn has_come_to(&self, next: Offset) {
        if let Some(mut lane) = self.lane()
            && lane.wait_for(|lane| lane.next >= next).await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }

    fn lane(&self) -> Option<watch::Receiver<Progress>> {
        let live = self.live.borrow();
        live.as_ref().and_then(|live| live.lanes.get(self.partition().0 as usize).cloned())
    }

    fn config(&self) -> &StreamsConfig {
        &self.followed.views.inner().streams.config
    }
}
