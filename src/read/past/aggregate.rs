//! The history of one aggregate: how many versions it has, and the records of any of them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::contract::{Offset, Partition, Position, Positions, Target, Version};
use crate::ports::LogRecord;

use super::super::generations::Live;
use super::super::history::{Doc, History, Place, first_on, page_key, page_of};
use super::super::queries::Views;
use super::super::query_error::QueryError;
use super::docs;
use super::records::Places;

/// Records that are read at once, whatever they weigh: one may have `log.record_bytes_max`.
const BATCH_LEN: usize = 64;

/// An aggregate as `history` knows it.
///
/// ```
/// use std::time::Duration;
///
/// use retell::{Key, app::App, write::SendOptions};
/// # use retell::doc::{Light, LightCommand};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).build().await?;
/// app.ready().await;
/// let order = LightCommand::SwitchOn {};
/// let done = app.commands().send::<Light>("hall", order, SendOptions::default()).await?;
/// let (_, hall, partition) = app.commands().home("light", &Key::new("hall")?)?;
/// let (after, wait) = (done.position.into(), Duration::from_secs(5));
/// let history = app.views().aggregate(&hall, partition, &after, wait).await?;
/// assert_eq!((history.target(), history.version()), (&hall, done.version));
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone)]
pub struct Aggregate {
    views: Views,
    live: Arc<Live>,
    target: Target,
    partition: Partition,
    position: Position,
    version: Version,
}

/// The commits of a range of versions, in order.
///
/// ```
/// use std::time::Duration;
///
/// use retell::{Key, Version, app::App, events::Commit, write::SendOptions};
/// # use retell::doc::{Light, LightCommand};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).build().await?;
/// app.ready().await;
/// let order = LightCommand::SwitchOn {};
/// let done = app.commands().send::<Light>("hall", order, SendOptions::default()).await?;
/// let (_, hall, partition) = app.commands().home("light", &Key::new("hall")?)?;
/// let (after, wait) = (done.position.into(), Duration::from_secs(5));
/// let history = app.views().aggregate(&hall, partition, &after, wait).await?;
/// let mut commits = history.commits(Version(1), history.version());
/// let records = commits.next().await?;
/// assert_eq!(Commit::decode(&records[0].value)?.command, "SwitchOn");
/// assert!(commits.next().await?.is_empty());
/// # app.stop().await; Ok(()) }
/// ```
pub struct Commits {
    aggregate: Aggregate,
    /// The page that comes next, while there is one.
    page: u64,
    /// The first version that is wanted and not yet given, and the last.
    next: Version,
    to: Version,
    waiting: VecDeque<Offset>,
    places: Places,
}

impl Views {
    /// The history of an aggregate that lives in this partition, as of at least these positions;
    /// waits for them at most this long.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn aggregate(
        &self,
        target: &Target,
        partition: Partition,
        after: &Positions,
        wait: Duration,
    ) -> Result<Aggregate, QueryError> {
        let first = [page_key(target, 0)];
        let docs = self.inner().docs(History::NAME, &[partition], &first, after, wait).await?;
        docs.check_parked(target, partition)?;
        let (position, values) =
            docs.parts.into_iter().next().expect("one partition was asked for");
        let mut aggregate = Aggregate {
            views: self.clone(),
            live: docs.live,
            target: target.clone(),
            partition,
            position,
            version: Version::NONE,
        };
        if let Some(page) = values.into_iter().next().flatten() {
            let version = aggregate.last_on(&page)?;
            let is_full = page_of(version.next()) > 0;
            aggregate.version = if is_full { aggregate.last_page(version).await? } else { version };
        }
        Ok(aggregate)
    }
}

impl Aggregate {
    /// Its version; 0 when it has no event.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Everything up to here is in its history.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// Which aggregate.
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// The commits from the one with version `from` to the one with version `to`.
    #[must_use]
    pub fn commits(&self, from: Version, to: Version) -> Commits {
        Commits {
            page: page_of(from),
            next: from,
            to: to.min(self.version),
            waiting: VecDeque::new(),
            places: self.views.inner().records.places(self.partition),
            aggregate: self.clone(),
        }
    }

    /// Bytes of records that a page may have, about.
    #[must_use]
    pub fn page_bytes_max(&self) -> usize {
        self.views.inner().records.config.page_bytes_max
    }

    /// The last version, when the first page is full: the last page is looked for in steps that
    /// double, then in between.
    async fn last_page(&self, first: Version) -> Result<Version, QueryError> {
        /// Pages that are read at once.
        const PROBES: u64 = 8;
        let (mut low, mut high, mut last) = (0, u64::MAX, first);
        while high - low > 1 {
            let step = |n: u64| match high {
                u64::MAX => low.saturating_add(1 << (2 * n)),
                high => low + (high - low).div_ceil(PROBES + 1) * (n + 1),
            };
            let pages: Vec<u64> = (0..PROBES).map(step).filter(|&page| page < high).collect();
            let found = self.pages(&pages).await?;
            for (page, found) in pages.into_iter().zip(found) {
                match found {
                    Some(json) => (low, last) = (page, self.last_on(&json)?),
                    None => {
                        high = page;
                        break;
                    }
                }
            }
        }
        Ok(last)
    }

    async fn pages(&self, pages: &[u64]) -> Result<Vec<Option<Bytes>>, QueryError> {
        let keys: Vec<String> = pages.iter().map(|&page| page_key(&self.target, page)).collect();
        self.views.inner().more_docs(&self.live, self.partition, &keys).await
    }

    fn last_on(&self, page: &[u8]) -> Result<Version, QueryError> {
        let last = self.places(page)?.last().map(|&Place(_, version)| version);
        Ok(last.unwrap_or_default())
    }

    fn places(&self, page: &[u8]) -> Result<Vec<Place>, QueryError> {
        match docs::read(&self.live, page)? {
            Doc::Commits(places) => Ok(places),
            Doc::Waypoints(_) => Ok(Vec::new()),
        }
    }
}

impl Commits {
    /// The next commits, a few at once; none after the last.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn next(&mut self) -> Result<Vec<LogRecord>, QueryError> {
        while self.waiting.is_empty() {
            if self.next > self.to || first_on(self.page) > self.to {
                return Ok(Vec::new());
            }
            self.turn_page().await?;
        }
        let len = self.waiting.len().min(BATCH_LEN);
        let batch: Vec<Offset> = self.waiting.drain(..len).collect();
        self.places.read(&batch).await
    }

    async fn turn_page(&mut self) -> Result<(), QueryError> {
        let page = self.aggregate.pages(&[self.page]).await?.into_iter().next().flatten();
        let target = self.aggregate.target();
        let page = page.ok_or_else(|| QueryError::Behind(format!("{target} is being rebuilt")))?;
        for Place(offset, version) in self.aggregate.places(&page)? {
            // A commit that reaches over the end of a page is on the next one, too.
            if version >= self.next && self.next <= self.to {
                self.waiting.push_back(offset);
                self.next = version.next();
            }
        }
        self.page += 1;
        Ok(())
    }
}
