//! Copies a log: the way from the first evening to production, and the backup.
//!
//! Only what counts goes over, in its order, byte for byte. A copy that was broken off goes on
//! where it was, because what is there is compared with the source first; what is there and
//! different is never touched. At the end the target is read again from its beginning.

mod claim;
mod log_source;
mod log_target;
mod partition;
mod reading;
mod report;

use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::contract::Partition;
use crate::log::Sum;
use crate::ports::{CopyError, CopySource, CopyTarget};

use partition::{Copied, Pair};

pub use log_source::LogSource;
pub use log_target::LogTarget;
pub use report::{PartitionReport, Report};

/// Partitions that are read at once.
const AT_ONCE: usize = 4;

/// How often a partition is begun again after its target or its source was gone for a while.
const RETRIES_MAX: u32 = 5;

/// How long to wait before that.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// What a copy is doing.
///
/// ```
/// use retell::transfer::Phase;
///
/// /// What a person is told while a copy goes on.
/// const fn told(phase: Phase) -> &'static str {
///     match phase {
///         Phase::Comparing => "looking at what is there",
///         Phase::Copying => "copying",
///         Phase::Verifying => "reading it again",
///     }
/// }
/// assert_eq!(told(Phase::Copying), "copying");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// What is in the target already is compared with the source.
    Comparing,
    /// Commits go over.
    Copying,
    /// The target is read again.
    Verifying,
}

/// Is told how far a copy is.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use retell::transfer::{Phase, Progress};
///
/// /// Counts the commits of a phase.
/// #[derive(Default)]
/// struct Count(AtomicU64);
///
/// impl Progress for Count {
///     fn begin(&self, _: Phase, _: u64) {
///         self.0.store(0, Ordering::Relaxed);
///     }
///
///     fn advance(&self, records: u64) {
///         self.0.fetch_add(records, Ordering::Relaxed);
///     }
///
///     fn say(&self, what: &str) {
///         eprintln!("{what}");
///     }
/// }
/// let count = Count::default();
/// count.begin(Phase::Copying, 500);
/// count.advance(80);
/// assert_eq!(count.0.into_inner(), 80);
/// ```
pub trait Progress: Sync {
    /// A phase begins, in which about so many records will be read.
    fn begin(&self, phase: Phase, records: u64);

    /// So many commits more are done.
    fn advance(&self, records: u64);

    /// Something that a person should know.
    fn say(&self, what: &str);
}

/// Copies what the target does not have yet, and compares the two.
///
/// # Errors
/// The copy was not finished. Nothing was written if the target holds anything that is no
/// beginning of this copy.
pub async fn copy(
    source: &dyn CopySource,
    target: &dyn CopyTarget,
    progress: &dyn Progress,
) -> Result<Report, CopyError> {
    let pair = Pair { source, target, progress };
    let at_once = AT_ONCE.min(target.at_once());
    // All of them before the first is written to.
    progress.begin(Phase::Comparing, source.records());
    let compared = each(source).map(|partition| pair.compare(partition));
    stream::iter(compared).buffered(at_once).try_collect::<()>().await?;

    progress.begin(Phase::Copying, source.records());
    let copied = each(source).map(|partition| complete(&pair, partition));
    let copied: Vec<Copied> = stream::iter(copied).buffered(at_once).try_collect().await?;
    target.finish().await?;

    let stored = target.copied().await?;
    progress.begin(Phase::Verifying, stored.records());
    let sums = each(source).map(|partition| partition::sum(stored.as_ref(), partition, progress));
    let sums: Vec<Sum> = stream::iter(sums).buffered(AT_ONCE).try_collect().await?;

    let report = |(copied, target): (Copied, Sum)| copied.report(target);
    let partitions = copied.into_iter().zip(sums).map(report).collect();
    Ok(Report { partitions, has_grown: source.has_grown().await? })
}

/// Copies a partition, again from the beginning when it was broken off.
async fn complete(pair: &Pair<'_>, partition: Partition) -> Result<Copied, CopyError> {
    for _ in 0..RETRIES_MAX {
        match pair.complete(partition).await {
            Err(error) if error.is_retryable() => {
                pair.progress.say(&format!("partition {partition}: {error}; trying again"));
                tokio::time::sleep(RETRY_DELAY).await;
            }
            ended => return ended,
        }
    }
    pair.complete(partition).await
}

fn each(source: &dyn CopySource) -> impl Iterator<Item = Partition> + use<> {
    source.origin().partitions.iter()
}
