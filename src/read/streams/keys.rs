//! Which views records may have changed.
//!
//! Where a projection remembers something of each aggregate (its link), that decides, too. The
//! store has the link as it is now, and since which record; where it was another one in between,
//! the history of the aggregate tells.

use std::collections::{BTreeMap, BTreeSet};

use crate::contract::{Key, Offset, Partition, Position, Target, Version};
use crate::events::Commit;
use crate::log::Stamp;
use crate::ports::{LogRecord, StoreError};

use super::super::any_projection::{AnyLinks, LinkSlot};
use super::super::query_error::QueryError;
use super::super::status::ViewKind;
use super::super::steps::{Step, decode, source_and_target};
use super::super::workspace::LINK;
use super::views::Followed;
use super::{PATIENCE, before};

/// Links that are read at once.
const LINKS_LEN: usize = 500;

/// The records of one aggregate, in order.
type Run<'r> = Vec<&'r LogRecord>;

impl Followed {
    /// The keys that these records may have changed, of those that are followed. None when it
    /// would take too much to find out.
    pub(super) async fn touched(
        &self,
        partition: Partition,
        records: &[LogRecord],
    ) -> Result<Option<BTreeSet<Key>>, QueryError> {
        let mut runs: BTreeMap<Target, Run<'_>> = BTreeMap::new();
        for record in records.iter().filter(|it| matches!(it.stamp, Stamp::Commit { .. })) {
            if let Some((_, target)) = source_and_target(&self.sources, record) {
                runs.entry(target).or_default().push(record);
            }
        }
        if self.is_keyed() {
            let keys = runs.keys().filter_map(|target| self.key_of(partition, target));
            return Ok(Some(keys.collect()));
        }
        let mut keys = BTreeSet::new();
        let Some(links) = self.projection.links() else {
            for (target, record) in
                runs.iter().flat_map(|(it, run)| run.iter().map(move |r| (it, r)))
            {
                self.add(self.step(partition, target, record, None).as_ref(), &mut keys);
            }
            return Ok(Some(keys));
        };
        let runs: Vec<_> = runs.into_iter().collect();
        for runs in runs.chunks(LINKS_LEN) {
            if !self.add_linked(partition, links, runs, &mut keys).await? {
                return Ok(None);
            }
        }
        Ok(Some(keys))
    }

    /// The key of an aggregate's own view, if it lives here and is followed.
    pub(super) fn key_of(&self, partition: Partition, target: &Target) -> Option<Key> {
        let key = Key::known(target.id());
        let partitions = self.views.inner().log.partitions();
        let is_here = || self.projection.partition_of(&key, partitions) == Some(partition);
        (self.is_keyed() && self.is_followed(&key) && is_here()).then_some(key)
    }

    fn is_keyed(&self) -> bool {
        matches!(self.projection.kind(), ViewKind::Aggregate(_))
    }

    fn is_followed(&self, key: &Key) -> bool {
        self.only.as_ref().is_none_or(|only| only == key)
    }

    /// What a record changes, with the link of its aggregate before it. One that cannot be read
    /// changes nothing.
    fn step<'r>(
        &self,
        partition: Partition,
        target: &Target,
        record: &'r LogRecord,
        link: Option<LinkSlot>,
    ) -> Option<Step<'r>> {
        let position = Position { partition, offset: record.offset };
        let (source, _) = source_and_target(&self.sources, record)?;
        decode(self.projection.as_ref(), Some(source), target, link, record, position).ok()
    }

    fn add(&self, step: Option<&Step<'_>>, keys: &mut BTreeSet<Key>) {
        let touched = step.into_iter().flat_map(Step::keys).map(Key::known);
        keys.extend(touched.filter(|key| self.is_followed(key)));
    }

    /// Adds the keys of aggregates that have links; says whether that did not take too much.
    async fn add_linked(
        &self,
        partition: Partition,
        links: &dyn AnyLinks,
        runs: &[(Target, Run<'_>)],
        keys: &mut BTreeSet<Key>,
    ) -> Result<bool, QueryError> {
        let ends = runs.iter().filter_map(|(_, run)| run.last()).map(|last| last.offset.next());
        let end = ends.max().unwrap_or_default();
        let stored: Vec<String> =
            runs.iter().map(|(target, _)| [LINK, target.as_str()].concat()).collect();
        let (inner, after) = (self.views.inner(), before(&[(partition, end)].into()));
        let found = inner.stored(self.entry()?, &[partition], &stored, &after, PATIENCE).await?;
        let values = found.parts.into_iter().flat_map(|(_, values)| values);
        for ((target, run), value) in runs.iter().zip(values) {
            let torn = |error: serde_json::Error| StoreError::Torn {
                space: self.projection.name().to_string(),
                detail: error.to_string(),
            };
            let link = links.link_of(value.as_deref()).map_err(torn)?;
            let first = links.link_of(None).map_err(torn)?;
            let Some(run) = known(links.since(&link), run) else {
                if !self.add_history(partition, target, first, run, keys).await? {
                    return Ok(false);
                }
                continue;
            };
            for (record, is_first) in run {
                let link = if is_first { &first } else { &link };
                self.add(self.step(partition, target, record, Some(link.clone())).as_ref(), keys);
            }
        }
        Ok(true)
    }

    /// Adds the keys of one aggregate whose link was another one meanwhile; says the same.
    async fn add_history(
        &self,
        partition: Partition,
        target: &Target,
        first: LinkSlot,
        run: &[&LogRecord],
        keys: &mut BTreeSet<Key>,
    ) -> Result<bool, QueryError> {
        let (Some(begin), Some(end)) = (run.first(), run.last()) else { return Ok(true) };
        let after = before(&[(partition, end.offset.next())].into());
        let known = self.views.aggregate(target, partition, &after, PATIENCE).await?;
        if known.version().0 > self.views.inner().streams.config.resume_records_max {
            return Ok(false);
        }
        let mut commits = known.commits(Version(1), known.version());
        let mut link = first;
        loop {
            let records = commits.next().await?;
            if records.is_empty() {
                return Ok(true);
            }
            for record in &records {
                if record.offset > end.offset {
                    return Ok(true);
                }
                let Some(step) = self.step(partition, target, record, Some(link.clone())) else {
                    return Ok(true); // there the aggregate is held back
                };
                if record.offset >= begin.offset {
                    self.add(Some(&step), keys);
                }
                link = step.link().cloned().unwrap_or(link);
            }
        }
    }
}

/// The records of an aggregate whose link was the present one since `since`, and was the first
/// one before: those that may count, each with whether it made the link. None when it was
/// another one in between.
fn known<'r>(since: Option<Offset>, run: &[&'r LogRecord]) -> Option<Vec<(&'r LogRecord, bool)>> {
    let begin = run.first().map(|first| first.offset)?;
    let Some(since) = since.filter(|since| *since >= begin) else {
        return Some(run.iter().map(|record| (*record, false)).collect());
    };
    let made = run.iter().find(|record| record.offset == since)?;
    let is_first = Commit::decode(&made.value).is_ok_and(|it| it.first_version == Version(1));
    let counting = run.iter().filter(|record| record.offset >= since);
    is_first.then(|| counting.map(|record| (*record, record.offset == since)).collect())
}
