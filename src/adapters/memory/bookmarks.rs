//! Bookmarks in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use crate::contract::Partition;
use crate::log::Checkpoint;
use crate::ports::{Bookmarks, LogError};

/// Bookmarks that end with the process.
///
/// ```
/// use retell::Partition;
/// use retell::adapters::memory::MemoryBookmarks;
/// use retell::ports::Bookmarks;
/// # use retell::log::Checkpoint;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let first: Checkpoint = serde_json::from_str(r#"{"log":"44136fa355b3678a1146ad16f7e8649e",
/// #     "next":1235,"term":3,"chain":17,"time":"2026-11-22T10:00:00.000Z"}"#)?;
/// # let later = Checkpoint { next: first.next.next(), ..first };
/// let bookmarks = MemoryBookmarks::default();
/// bookmarks.keep("cellar-is-dark", Partition(0), &first).await?;
/// bookmarks.keep("cellar-is-dark", Partition(0), &later).await?;
/// assert_eq!(bookmarks.find("cellar-is-dark", Partition(0)).await?, Some(later));
/// # Ok(()) }
/// ```
#[derive(Debug, Default)]
pub struct MemoryBookmarks(Mutex<BTreeMap<(String, Partition), Checkpoint>>);

#[async_trait]
impl Bookmarks for MemoryBookmarks {
    async fn find(&self, name: &str, partition: Partition) -> Result<Option<Checkpoint>, LogError> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(kept.get(&(name.to_owned(), partition)).copied())
    }

    async fn keep(
        &self,
        name: &str,
        partition: Partition,
        checkpoint: &Checkpoint,
    ) -> Result<(), LogError> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert((name.to_owned(), partition), *checkpoint);
        Ok(())
    }
}
