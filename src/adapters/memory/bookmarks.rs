//! Bookmarks in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use crate::contract::Partition;
use crate::log::Checkpoint;
use crate::ports::{Bookmarks, LogError};

/// Bookmarks that end with the process.
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
