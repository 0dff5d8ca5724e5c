//! A file as the source of a copy. All of it is checked before its first record is given.

use std::fs::File;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::contract::Partition;
use crate::ports::{Commits, CopyError, CopySource, Origin};

use super::lock::Lock;
use super::scan::{Index, scan};
use super::sections::FileCommits;
use super::{disk, failed};

/// A whole copy in a file.
///
/// ```
/// use retell::adapters::file::{FileSource, FileTarget};
/// use retell::ports::CopySource;
/// # use retell::log::{PARTITION_HASH, Partitions};
/// # use retell::ports::{CopyTarget, Origin};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("backup.ndjson");
/// # let partitions = Partitions::new(2).expect("2");
/// # let origin = Origin { partitions, hash: PARTITION_HASH.into(), logs: vec![None; 2] };
/// let target = FileTarget::open(&path, &origin).await?;
/// target.finish().await?;
/// drop(target);
/// let source = FileSource::open(&path).await?;
/// assert_eq!((source.origin(), source.records()), (&origin, 0));
/// std::fs::write(&path, "{}")?;
/// assert!(FileSource::open(&path).await.is_err(), "that is no copy");
/// # Ok(()) }
/// ```
pub struct FileSource {
    path: PathBuf,
    index: Index,
    /// Nobody adds to it meanwhile.
    _lock: Option<Lock>,
}

impl FileSource {
    /// Opens a file and checks it.
    ///
    /// # Errors
    /// [`CopyError::File`]: it is not there, no copy, not whole, or altered; with the line.
    pub async fn open(path: &Path) -> Result<Self, CopyError> {
        let path = path.to_owned();
        disk(move || {
            let file = File::open(&path).map_err(|error| failed(&path, error))?;
            let lock = Lock::to_read(&path, &file)?;
            Ok(Self { _lock: Some(lock), ..Self::read(&path)? })
        })
        .await
    }

    /// The same for who has locked it already.
    pub(super) fn read(path: &Path) -> Result<Self, CopyError> {
        let file = File::open(path).map_err(|error| failed(path, error))?;
        let index = scan(path, file)?.ok_or_else(|| failed(path, "there is nothing in it yet"))?;
        index.check_whole(path)?;
        Ok(Self { path: path.to_owned(), index, _lock: None })
    }
}

#[async_trait]
impl CopySource for FileSource {
    fn origin(&self) -> &Origin {
        &self.index.origin
    }

    fn records(&self) -> u64 {
        self.index.digests.iter().map(crate::log::Digest::records).sum()
    }

    async fn commits(&self, partition: Partition) -> Result<Box<dyn Commits>, CopyError> {
        Ok(Box::new(FileCommits::new(&self.path, &self.index.sections, partition)))
    }

    async fn has_grown(&self) -> Result<bool, CopyError> {
        Ok(false) // it is locked
    }
}
