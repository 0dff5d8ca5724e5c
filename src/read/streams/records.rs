//! A stream of the log: every record that is wanted, once and in order, with its mark.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, unfold};

use crate::contract::{Offset, Partition, Positions};
use crate::log::Fold;

use super::super::past::{LogItem, LogQuery};
use super::super::queries::Views;
use super::super::query_error::QueryError;
use super::event_stream::{Begun, EventStream, Happened, Subject, What};
use super::hub::Listener;
use super::recent::Since;
use super::{Beginning, Places, RETRY_DELAY, before, behind};

/// Records that are read from the log at once, and about how many bytes: a slow client's stream
/// holds them.
const PAGE_LEN: usize = 100;
const PAGE_BYTES_MAX: usize = 1 << 16;

/// How long the log is waited for that has not yet what was heard.
const MOMENT: Duration = Duration::from_millis(20);

/// Which records are wanted.
type Wanted = Arc<dyn Fn(&LogItem) -> bool + Send + Sync>;

/// The log, or one partition of it.
struct Log {
    views: Views,
    homes: Vec<Partition>,
    wanted: Wanted,
}

/// Where a stream is in a partition.
struct Part {
    views: Views,
    listener: Listener,
    wanted: Wanted,
    /// The offset after the last record that was looked at.
    next: Offset,
    /// What rules there, if it is known.
    rules: Option<Fold>,
    /// What was found and is not told.
    ready: VecDeque<LogItem>,
    told: Offset,
    /// Whether it has not come yet to where the log ended when it began.
    is_resuming: bool,
}

impl Views {
    /// Follows the records that are wanted, in all partitions or in one: from these places on, and
    /// behind the positions that a client has seen; where there is neither, from now on.
    ///
    /// # Errors
    /// There are too many streams, or a position is not in the log.
    pub async fn follow_log(
        &self,
        partition: Option<Partition>,
        from: Places,
        after: &Positions,
        wanted: impl Fn(&LogItem) -> bool + Send + Sync + 'static,
    ) -> Result<EventStream<(Partition, LogItem)>, QueryError> {
        let inner = self.inner();
        let seen = before(&from).iter().chain(after.iter()).collect();
        inner.check(&seen)?;
        inner.check_positions(&seen).await?;
        let mut was = from;
        was.extend(behind(after));
        let is_asked_for = |home: &Partition| partition.is_none_or(|asked| asked == *home);
        let homes = inner.log.partitions().iter().filter(is_asked_for).collect();
        was.retain(|home, _| is_asked_for(home));
        let log = Log { views: self.clone(), homes, wanted: Arc::new(wanted) };
        EventStream::new(&inner.streams, log, was)
    }
}

#[async_trait]
impl Subject<(Partition, LogItem)> for Log {
    async fn begin(&mut self, was: &Places) -> Result<Begun<(Partition, LogItem)>, QueryError> {
        let begun = self.views.inner().streams.begin(&self.homes, was).await?;
        let Beginning { listeners, at, now, is_anew } = begun;
        let part = |listener: Listener| {
            let next = at[&listener.partition];
            let part = Part {
                views: self.views.clone(),
                wanted: self.wanted.clone(),
                next,
                rules: None,
                ready: VecDeque::new(),
                told: next,
                is_resuming: next < now[&listener.partition],
                listener,
            };
            part.stream()
        };
        let parts = listeners.into_iter().map(part).collect();
        Ok(Begun { parts, at, is_anew })
    }

    /// What was appended stays.
    async fn is_void(&mut self) {
        std::future::pending().await
    }
}

impl Part {
    fn stream(self) -> BoxStream<'static, Happened<(Partition, LogItem)>> {
        let stream = unfold(self, |mut part| async move {
            let what = part.next().await;
            let (partition, told) = (part.listener.partition, part.told);
            Some((Happened { partition, told, what }, part))
        });
        stream.boxed()
    }

    async fn next(&mut self) -> What<(Partition, LogItem)> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                let next = item.record.offset.next();
                self.told = if self.ready.is_empty() { self.next } else { next };
                return What::Changed((self.listener.partition, item));
            }
            if self.told < self.next {
                self.told = self.next;
                return What::Passed;
            }
            match self.step().await {
                Ok(None) => {}
                Ok(Some(what)) => return what,
                Err(error) => {
                    tracing::debug!(%error, "an event stream waits");
                    tokio::time::sleep(RETRY_DELAY).await;
                    return What::Lagged;
                }
            }
        }
    }

    async fn step(&mut self) -> Result<Option<What<(Partition, LogItem)>>, QueryError> {
        match (self.listener.since(self.next), &mut self.rules) {
            (Since::Nothing, _) => {
                self.is_resuming = false;
                self.listener.changed().await;
                Ok(None)
            }
            (Since::Records(fed), Some(rules)) => {
                for record in fed.since(self.next) {
                    let mark = rules.step(&record.stamp);
                    self.next = record.offset.next();
                    let item = LogItem { record: record.clone(), mark };
                    if (self.wanted)(&item) {
                        self.ready.push_back(item);
                        break;
                    }
                }
                Ok(None)
            }
            // Nobody knows yet what rules here: the log tells, and the records with it.
            (Since::Records(_), None) => self.read().await,
            (Since::Missed(to), _) => {
                if self.views.inner().streams.is_too_far(self.next, to) {
                    return Ok(Some(What::Void));
                }
                let has_lagged = !self.is_resuming;
                let read = self.read().await?;
                Ok(read.or(has_lagged.then_some(What::Lagged)))
            }
        }
    }

    /// Reads a page of the log.
    async fn read(&mut self) -> Result<Option<What<(Partition, LogItem)>>, QueryError> {
        let query = LogQuery {
            partition: self.listener.partition,
            from: self.next,
            limit: PAGE_LEN,
            bytes_max: PAGE_BYTES_MAX,
            wanted: &*self.wanted,
        };
        let page = self.views.log_page(&query).await?;
        if page.upto <= self.next {
            tokio::time::sleep(MOMENT).await;
            return Ok(None);
        }
        (self.next, self.rules) = (page.upto, page.rules);
        self.ready.extend(page.items);
        Ok(None)
    }
}
