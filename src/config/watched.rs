//! A file that may change while the service runs: keys, certificates.

use std::io;
use std::path::{Path, PathBuf};

/// Knows what a file held when it was looked at last.
///
/// ```
/// use retell::config::WatchedFile;
///
/// # #[tokio::main] async fn main() -> std::io::Result<()> {
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("keys");
/// std::fs::write(&path, "one")?;
/// let mut keys = WatchedFile::new(path);
/// assert_eq!(keys.changed().await?.as_deref(), Some(&b"one"[..]));
/// assert_eq!(keys.changed().await?, None);
/// std::fs::write(keys.path(), "two")?;
/// assert_eq!(keys.changed().await?.as_deref(), Some(&b"two"[..]));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct WatchedFile {
    path: PathBuf,
    last: Option<Vec<u8>>,
}

impl WatchedFile {
    /// A file that has not been looked at.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self { path, last: None }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds, if that is not what it held. Its content is compared and not its time, which
    /// a copy may keep and which two changes may share.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn changed(&mut self) -> io::Result<Option<Vec<u8>>> {
        let now = tokio::fs::read(&self.path).await?;
        if self.last.as_ref() == Some(&now) {
            return Ok(None);
        }
        self.last = Some(now.clone());
        Ok(Some(now))
    }
}
