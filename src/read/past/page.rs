//! A page of the log: records as they are stored, each with its mark.
//!
//! Whether a record counts depends on all before it. A waypoint of `history` says what rules
//! near the page, so that only the records from there on are read.

use crate::contract::{Offset, Partition, Positions, Time};
use crate::log::{Chain, Fold, Mark, Stamp};
use crate::ports::LogRecord;

use super::super::history::{Doc, History, Waypoint, block_key, block_of};
use super::super::queries::Views;
use super::super::query_error::QueryError;
use super::docs;
use super::records::unavailable;

/// Blocks that are looked through at once for a waypoint: few at first, then so many.
const BLOCKS: u64 = 4;
const BLOCKS_MAX: u64 = 256;

/// A record of the log, with its mark.
///
/// ```
/// use retell::{Offset, Partition, app::App, read::LogQuery};
/// # use retell::doc::Light;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).build().await?;
/// app.ready().await;
/// let (partition, from) = (Partition(0), Offset(0));
/// let query = LogQuery { partition, from, limit: 10, bytes_max: 1 << 20, wanted: &|_| true };
/// let first = app.views().log_page(&query).await?.items.remove(0);
/// assert_eq!((first.mark(), first.term(), first.reason()), ("claim", Some(1), None));
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct LogItem {
    /// The record.
    pub record: LogRecord,
    pub(in super::super) mark: Mark,
}

/// Whose a record is, by its headers.
///
/// ```
/// use retell::{Offset, Partition, app::App, read::{LogQuery, RecordKind}};
/// # use retell::doc::Light;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).build().await?;
/// app.ready().await;
/// let (partition, from) = (Partition(0), Offset(0));
/// let query = LogQuery { partition, from, limit: 10, bytes_max: 1 << 20, wanted: &|_| true };
/// let page = app.views().log_page(&query).await?;
/// assert_eq!(page.items[0].kind(), RecordKind::Claim);
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RecordKind {
    /// A commit.
    Commit,
    /// A claim.
    Claim,
    /// Not one of ours.
    Foreign,
}

impl LogItem {
    /// The names of the marks.
    pub const MARKS: [&'static str; 4] = ["counts", "claim", "void", "foreign"];

    /// A commit that is known to count.
    pub(super) const fn counting(record: LogRecord) -> Self {
        Self { record, mark: Mark::Counts }
    }

    /// The name of its mark, one of [`Self::MARKS`].
    #[must_use]
    pub const fn mark(&self) -> &'static str {
        match &self.mark {
            Mark::Counts => "counts",
            Mark::Claim => "claim",
            Mark::Void(_) => "void",
            Mark::Foreign(_) => "foreign",
        }
    }

    /// Why it does not count, if it does not.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        match &self.mark {
            Mark::Counts | Mark::Claim => None,
            Mark::Void(why) => Some(why.to_string()),
            Mark::Foreign(flaw) => Some(flaw.to_string()),
        }
    }

    /// Whose it is.
    #[must_use]
    pub const fn kind(&self) -> RecordKind {
        match self.record.stamp {
            Stamp::Commit { .. } => RecordKind::Commit,
            Stamp::Claim { .. } => RecordKind::Claim,
            Stamp::Foreign(_) => RecordKind::Foreign,
        }
    }

    /// Its term, if it is one of ours.
    #[must_use]
    pub const fn term(&self) -> Option<u64> {
        match self.record.stamp {
            Stamp::Commit { term, .. } | Stamp::Claim { term } => Some(term.0),
            Stamp::Foreign(_) => None,
        }
    }

    /// Its number within the term, if it is a commit.
    #[must_use]
    pub const fn chain(&self) -> Option<u64> {
        match self.record.stamp {
            Stamp::Commit { chain, .. } => Some(chain.0),
            Stamp::Claim { .. } | Stamp::Foreign(_) => None,
        }
    }
}

/// Which records of a partition.
///
/// ```
/// use retell::{Offset, app::App, write::SendOptions};
/// use retell::read::{LogItem, LogQuery, RecordKind};
/// # use retell::doc::{Light, LightCommand};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).build().await?;
/// app.ready().await;
/// let order = LightCommand::SwitchOn {};
/// let done = app.commands().send::<Light>("hall", order, SendOptions::default()).await?;
/// let wanted = &|item: &LogItem| item.kind() == RecordKind::Commit;
/// let (partition, from) = (done.position.partition, Offset(0));
/// let query = LogQuery { partition, from, limit: 10, bytes_max: 1 << 20, wanted };
/// let page = app.views().log_page(&query).await?;
/// assert_eq!(page.items[0].record.offset, done.position.offset);
/// # app.stop().await; Ok(()) }
/// ```
pub struct LogQuery<'q> {
    /// The partition.
    pub partition: Partition,
    /// The first offset.
    pub from: Offset,
    /// How many records at most.
    pub limit: usize,
    /// How many bytes they have at most, about.
    pub bytes_max: usize,
    /// Which of them.
    pub wanted: &'q (dyn Fn(&LogItem) -> bool + Sync),
}

/// A page of a partition.
///
/// ```
/// use retell::{Offset, app::App, read::LogQuery, write::SendOptions};
/// # use retell::doc::{Light, LightCommand};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).build().await?;
/// app.ready().await;
/// let order = LightCommand::SwitchOn {};
/// let done = app.commands().send::<Light>("hall", order, SendOptions::default()).await?;
/// let (partition, from) = (done.position.partition, Offset(0));
/// let query = LogQuery { partition, from, limit: 1, bytes_max: 1 << 20, wanted: &|_| true };
/// let page = app.views().log_page(&query).await?;
/// let query = LogQuery { from: page.next.expect("there is more than one record"), ..query };
/// let rest = app.views().log_page(&query).await?;
/// assert_eq!(rest.items[0].record.offset, done.position.offset);
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Debug, Default)]
pub struct LogPage {
    /// Its records, in order.
    pub items: Vec<LogItem>,
    /// Where the next page begins; none when the log's end was reached.
    pub next: Option<Offset>,
    /// The offset after the last record that was looked at.
    pub(in super::super) upto: Offset,
    /// What rules there, if anything was looked at.
    pub(in super::super) rules: Option<Fold>,
}

impl Views {
    /// A page of the log. It ends early when it has read many records that are not wanted, or
    /// when those that are weigh much (`[history]`).
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn log_page(&self, query: &LogQuery<'_>) -> Result<LogPage, QueryError> {
        let records = &self.inner().records;
        let config = &records.config;
        let (limit, mut page) = (query.limit.min(config.page_len_max), LogPage::default());
        let end = self.inner().log.end(query.partition).await.map_err(unavailable)?;
        if query.from >= end {
            return Ok(page);
        }
        let (start, mut fold) = self.rules_before(query.partition, query.from).await?;
        let mut open = records.open(query.partition, start).await?;
        let (mut read, mut bytes) = (0, 0);
        let bytes_max = query.bytes_max.min(config.page_bytes_max);
        (page.upto, page.rules) = (start, Some(fold));
        loop {
            let (chunk, at_end) = open.next(config.scan_records_max).await?;
            for record in chunk {
                let mark = fold.step(&record.stamp);
                (page.upto, page.rules) = (record.offset.next(), Some(fold));
                if record.offset < query.from {
                    continue;
                }
                let next = record.offset.next();
                let item = LogItem { record, mark };
                read += 1;
                if (query.wanted)(&item) {
                    bytes += item.record.value.len();
                    page.items.push(item);
                }
                let is_full = page.items.len() >= limit || bytes >= bytes_max;
                if is_full || read >= config.scan_records_max {
                    page.next = Some(next);
                    return Ok(page);
                }
            }
            if at_end {
                page.upto = page.upto.max(end); // a hole at most
                return Ok(page);
            }
        }
    }

    /// The first offset of a partition whose record is not older than this.
    ///
    /// # Errors
    /// The log does not answer.
    pub async fn offset_at(&self, partition: Partition, time: Time) -> Result<Offset, QueryError> {
        self.inner().log.offset_at(partition, time).await.map_err(unavailable)
    }

    /// What rules at a place before this offset, and that place.
    async fn rules_before(
        &self,
        partition: Partition,
        before: Offset,
    ) -> Result<(Offset, Fold), QueryError> {
        let (inner, mut high) = (self.inner(), block_of(before));
        let mut len = BLOCKS;
        loop {
            let low = high.saturating_sub(len - 1);
            let keys: Vec<String> = (low..=high).rev().map(block_key).collect();
            let (none, wait) = (Positions::default(), std::time::Duration::ZERO);
            let found = inner.docs(History::NAME, &[partition], &keys, &none, wait).await?;
            let values = found.parts.into_iter().flat_map(|(_, values)| values).flatten();
            for block in values {
                let Doc::Waypoints(waypoints) = docs::read(&found.live, &block)? else { continue };
                let is_before = |&&Waypoint(at, ..): &&Waypoint| at < before;
                if let Some(&Waypoint(at, term, chain)) = waypoints.iter().rfind(is_before) {
                    let next_chain = Chain(chain.0.saturating_add(1));
                    return Ok((at.next(), Fold { term, next_chain }));
                }
            }
            if low == 0 {
                return Ok((Offset(0), Fold::default()));
            }
            (high, len) = (low - 1, (len * 4).min(BLOCKS_MAX));
        }
    }
}
