//! A file as the target of a copy: one partition after another, behind what is there.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::contract::Partition;
use crate::ports::{
    Commits, CopyError, CopyInto, CopySource, CopyTarget, Counted, LeftBehind, Origin,
};

use super::lock::Lock;
use super::scan::scan;
use super::sections::FileCommits;
use super::source::FileSource;
use super::tail::Tail;
use super::{disk, failed};

/// A file that is to hold a copy.
///
/// ```
/// use retell::adapters::file::FileTarget;
/// use retell::log::{PARTITION_HASH, Partitions};
/// use retell::ports::{CopyTarget, Origin};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("backup.ndjson");
/// let partitions = Partitions::new(1).expect("one");
/// let origin = Origin { partitions, hash: PARTITION_HASH.into(), logs: vec![None] };
/// let target = FileTarget::open(&path, &origin).await?;
/// target.finish().await?;
/// assert!(std::fs::read_to_string(&path)?.starts_with(r#"{"format":"retell log","version":1,"#));
/// # Ok(()) }
/// ```
pub struct FileTarget(Shared);

/// What the partitions share.
#[derive(Clone)]
struct Shared(Arc<Mutex<Tail>>);

/// One partition of it.
struct FileInto {
    partition: Partition,
    there: FileCommits,
    tail: Shared,
}

impl FileTarget {
    /// Opens or makes a file for a copy of `origin`, and checks what is in it.
    ///
    /// # Errors
    /// [`CopyError::File`]: it cannot be used, or is not what a copy has left there.
    /// [`CopyError::Refused`]: it is a copy of a log of another shape.
    pub async fn open(path: &Path, origin: &Origin) -> Result<Self, CopyError> {
        let (path, origin) = (path.to_owned(), origin.clone());
        let open = move || {
            if std::fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
                return Err(failed(&path, "is no plain file, which could be read again"));
            }
            let mut options = File::options();
            options.read(true).write(true).create(true).truncate(false);
            let file = options.open(&path).map_err(|error| failed(&path, error))?;
            let lock = Lock::to_write(&path, &file)?;
            let again = File::open(&path).map_err(|error| failed(&path, error))?;
            let index = scan(&path, again)?;
            if let Some(index) = &index {
                origin.check(index.origin.partitions.count(), &index.origin.hash)?;
            }
            Ok(Self(Shared(Arc::new(Mutex::new(Tail::new(path, (file, lock), origin, index))))))
        };
        disk(open).await
    }
}

#[async_trait]
impl CopyTarget for FileTarget {
    fn at_once(&self) -> usize {
        1
    }

    async fn open(&self, partition: Partition) -> Result<Box<dyn CopyInto>, CopyError> {
        let open = move |tail: &mut Tail| {
            let path = tail.path().to_owned();
            Ok(FileCommits::new(&path, tail.sections()?, partition))
        };
        let there = self.0.with(open).await?;
        Ok(Box::new(FileInto { partition, there, tail: self.0.clone() }))
    }

    async fn finish(&self) -> Result<(), CopyError> {
        self.0.with(Tail::finish).await
    }

    async fn copied(&self) -> Result<Box<dyn CopySource>, CopyError> {
        let source = self.0.with(|tail| FileSource::read(tail.path())).await?;
        Ok(Box::new(source))
    }
}

#[async_trait]
impl Commits for FileInto {
    async fn next(&mut self) -> Result<Vec<Counted>, CopyError> {
        self.there.next().await
    }

    fn left_behind(&self) -> LeftBehind {
        self.there.left_behind()
    }
}

#[async_trait]
impl CopyInto for FileInto {
    async fn begin(&mut self) -> Result<(), CopyError> {
        self.tail.with(Tail::begin).await
    }

    async fn add(&mut self, commits: &[Counted]) -> Result<(), CopyError> {
        let (partition, commits) = (self.partition, commits.to_vec());
        self.tail.with(move |tail| tail.add(partition, &commits)).await
    }

    async fn settle(&mut self) -> Result<(), CopyError> {
        self.tail.with(Tail::flush).await
    }
}

impl Shared {
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tail) -> Result<T, CopyError> + Send + 'static,
    ) -> Result<T, CopyError> {
        let tail = Arc::clone(&self.0);
        disk(move || work(&mut tail.lock().unwrap_or_else(PoisonError::into_inner))).await
    }
}
