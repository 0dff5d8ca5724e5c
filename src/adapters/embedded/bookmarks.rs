//! Bookmarks as files in the folder of an embedded log: `bookmarks/consume-message.p5.json`.
//!
//! The log's lock is theirs, too. A file is replaced by a rename: it is the old one or the new one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::contract::Partition;
use crate::log::Checkpoint;
use crate::ports::{Bookmarks, LogError};

/// Bookmarks on disk.
///
/// ```
/// use retell::Partition;
/// use retell::adapters::embedded::EmbeddedBookmarks;
/// use retell::ports::Bookmarks;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let done = serde_json::from_str(r#"{"log":"44136fa355b3678a1146ad16f7e8649e","next":1235,
/// #     "term":3,"chain":17,"time":"2026-11-22T10:00:00.000Z"}"#)?;
/// let bookmarks = EmbeddedBookmarks::beside(folder.path());
/// bookmarks.keep("cellar-is-dark", Partition(5), &done).await?;
/// assert!(folder.path().join("bookmarks/cellar-is-dark.p5.json").exists());
/// let after_restart = EmbeddedBookmarks::beside(folder.path());
/// assert_eq!(after_restart.find("cellar-is-dark", Partition(5)).await?, Some(done));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct EmbeddedBookmarks(PathBuf);

impl EmbeddedBookmarks {
    /// Those of the log in this folder, which this process has open.
    #[must_use]
    pub fn beside(log: &Path) -> Self {
        Self(log.join("bookmarks"))
    }

    fn path(&self, name: &str, partition: Partition) -> PathBuf {
        self.0.join(format!("{name}.p{}.json", partition.0))
    }
}

#[async_trait]
impl Bookmarks for EmbeddedBookmarks {
    async fn find(&self, name: &str, partition: Partition) -> Result<Option<Checkpoint>, LogError> {
        let path = self.path(name, partition);
        on_disk(move || match fs::read(&path) {
            Ok(json) => {
                let damaged = |e| LogError::Damaged(format!("bookmark {}: {e}", path.display()));
                serde_json::from_slice(&json).map(Some).map_err(damaged)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unavailable(&path, &error)),
        })
        .await
    }

    async fn keep(
        &self,
        name: &str,
        partition: Partition,
        checkpoint: &Checkpoint,
    ) -> Result<(), LogError> {
        let (folder, path) = (self.0.clone(), self.path(name, partition));
        let json = serde_json::to_vec(checkpoint).expect("it has string keys only");
        let replace = move || replace(&folder, &path, &json).map_err(|e| unavailable(&path, &e));
        on_disk(replace).await
    }
}

fn replace(folder: &Path, path: &Path, json: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(json)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(folder)?.sync_all()
}

async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|gone| Err(LogError::Unavailable(gone.to_string())))
}

fn unavailable(path: &Path, error: &io::Error) -> LogError {
    LogError::Unavailable(format!("bookmark {}: {error}", path.display()))
}
