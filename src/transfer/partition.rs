//! One partition: what is there is compared commit by commit, and what is missing is added.

use std::vec;

use crate::contract::Partition;
use crate::log::{Digest, Sum};
use crate::ports::{Commits, CopyError, CopyInto, CopySource, CopyTarget, Counted, LeftBehind};

use super::{PartitionReport, Progress};

/// The two sides of a copy.
#[derive(Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) source: &'a dyn CopySource,
    pub(super) target: &'a dyn CopyTarget,
    pub(super) progress: &'a dyn Progress,
}

/// A partition that went over.
pub(super) struct Copied {
    partition: Partition,
    copied: u64,
    left_behind: LeftBehind,
    source: Sum,
}

/// One partition of both sides, opened.
struct Sides {
    from: OneByOne,
    into: Box<dyn CopyInto>,
    digest: Digest,
}

/// Commits one after another, out of batches.
struct OneByOne {
    commits: Box<dyn Commits>,
    batch: vec::IntoIter<Counted>,
}

impl Pair<'_> {
    /// Whether all that the target holds is a beginning of the source.
    pub(super) async fn compare(&self, partition: Partition) -> Result<(), CopyError> {
        let mut sides = self.open(partition).await?;
        let compared = self.compare_sides(&mut sides, partition).await;
        compared.map_err(|error| match error {
            CopyError::Refused(why) => CopyError::Refused(format!("{why}; nothing was written")),
            error => error,
        })
    }

    /// Adds what the target does not have yet.
    pub(super) async fn complete(&self, partition: Partition) -> Result<Copied, CopyError> {
        let mut sides = self.open(partition).await?;
        self.compare_sides(&mut sides, partition).await?;
        let Sides { mut from, mut into, mut digest } = sides;
        let had = digest.records();
        let mut batch = from.rest().await?;
        if !batch.is_empty() {
            into.begin().await?;
        }
        while !batch.is_empty() {
            into.add(&batch).await?;
            batch.iter().for_each(|commit| digest.add(commit.key.as_deref(), &commit.value));
            self.progress.advance(batch.len() as u64);
            batch = from.rest().await?;
        }
        into.settle().await?;
        let (copied, left_behind) = (digest.records() - had, from.commits.left_behind());
        Ok(Copied { partition, copied, left_behind, source: digest.sum() })
    }

    async fn open(&self, partition: Partition) -> Result<Sides, CopyError> {
        let commits = self.source.commits(partition).await?;
        let from = OneByOne { commits, batch: Vec::new().into_iter() };
        let into = self.target.open(partition).await?;
        Ok(Sides { from, into, digest: Digest::default() })
    }

    /// Reads the target to its end, and the source as far.
    async fn compare_sides(
        &self,
        sides: &mut Sides,
        partition: Partition,
    ) -> Result<(), CopyError> {
        let Sides { from, into, digest } = sides;
        loop {
            let there = into.next().await?;
            if there.is_empty() {
                return Ok(());
            }
            for found in &there {
                let wanted = from.next().await?;
                check(partition, digest.records(), wanted.as_ref(), found)?;
                digest.add(found.key.as_deref(), &found.value);
            }
            self.progress.advance(there.len() as u64);
        }
    }
}

impl Copied {
    /// With what the target turned out to hold.
    pub(super) fn report(self, target: Sum) -> PartitionReport {
        let Self { partition, copied, left_behind, source } = self;
        PartitionReport { partition, copied, left_behind, source, target }
    }
}

impl OneByOne {
    async fn next(&mut self) -> Result<Option<Counted>, CopyError> {
        if self.batch.as_slice().is_empty() {
            self.batch = self.commits.next().await?.into_iter();
        }
        Ok(self.batch.next())
    }

    /// What is left of the batch, else the next one; empty at the end.
    async fn rest(&mut self) -> Result<Vec<Counted>, CopyError> {
        let rest: Vec<_> = self.batch.by_ref().collect();
        if rest.is_empty() { self.commits.next().await } else { Ok(rest) }
    }
}

/// Reads a partition from its beginning.
pub(super) async fn sum(
    source: &dyn CopySource,
    partition: Partition,
    progress: &dyn Progress,
) -> Result<Sum, CopyError> {
    let mut commits = source.commits(partition).await?;
    let mut digest = Digest::default();
    loop {
        let batch = commits.next().await?;
        if batch.is_empty() {
            return Ok(digest.sum());
        }
        batch.iter().for_each(|commit| digest.add(commit.key.as_deref(), &commit.value));
        progress.advance(batch.len() as u64);
    }
}

fn check(
    partition: Partition,
    before: u64,
    wanted: Option<&Counted>,
    found: &Counted,
) -> Result<(), CopyError> {
    let at = found.offset;
    let Some(wanted) = wanted else {
        return Err(CopyError::Refused(format!(
            "the target holds more than the source: partition {partition} of the source has \
             {before} commits, the target another one at {partition}@{at}"
        )));
    };
    if wanted.key == found.key && wanted.value == found.value {
        return Ok(());
    }
    Err(CopyError::Refused(format!(
        "the target is no copy of this source: after {before} equal commits of partition \
         {partition} comes another one at {partition}@{at} than at {partition}@{} of the source",
        wanted.offset
    )))
}
