//! Bookmarks: how far a policy has come, kept beside the log and not in the view store.
//!
//! A view store may be emptied or set back, and views heal from the log; what a policy has issued
//! must not be issued again for ever. So it notes from time to time, beside the log, up to where
//! everything is done. A bookmark is behind the policy's checkpoint, never before what is undone.
//!
//! Laws, each a test of `tests/integration/conformance/bookmarks.rs`:
//!
//! 1. What was kept last is read, also by another process after a crash.
//! 2. Two names, and two partitions, have nothing in common.

use std::time::Duration;

use async_trait::async_trait;

use crate::contract::Partition;
use crate::log::Checkpoint;

use super::LogError;

/// A bookmark is kept again after this time though it is the same: Kafka forgets those of a group
/// that nobody has touched for a week.
pub const KEEP_AGAIN: Duration = Duration::from_hours(24);

/// Keeps a checkpoint for each name and partition.
///
/// ```
/// use retell::Partition;
/// use retell::adapters::memory::MemoryBookmarks;
/// use retell::ports::Bookmarks;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let done = serde_json::from_str(r#"{"log":"44136fa355b3678a1146ad16f7e8649e","next":1235,
/// #     "term":3,"chain":17,"time":"2026-11-22T10:00:00.000Z"}"#)?;
/// let bookmarks = MemoryBookmarks::default();
/// bookmarks.keep("cellar-is-dark", Partition(5), &done).await?;
/// assert_eq!(bookmarks.find("cellar-is-dark", Partition(5)).await?, Some(done));
/// assert_eq!(bookmarks.find("cellar-is-dark", Partition(6)).await?, None);
/// # Ok(()) }
/// ```
#[async_trait]
pub trait Bookmarks: Send + Sync + 'static {
    /// What was kept under this name for this partition, if anything was.
    ///
    /// # Errors
    /// [`LogError::Unavailable`]: ask again. [`LogError::Damaged`]: what is kept is no checkpoint.
    async fn find(&self, name: &str, partition: Partition) -> Result<Option<Checkpoint>, LogError>;

    /// Keeps a checkpoint instead of the one before.
    ///
    /// # Errors
    /// Whether it is kept is unknown; keep the next one.
    async fn keep(
        &self,
        name: &str,
        partition: Partition,
        checkpoint: &Checkpoint,
    ) -> Result<(), LogError>;
}
