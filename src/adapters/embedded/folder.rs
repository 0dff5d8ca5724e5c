//! A data folder with one fjall database: of one process at a time, and made whole or not at all.
//!
//! ```text
//! data/log/lock        held while a process has the folder open
//! data/log/store/      the database; it appears by a rename when it is complete
//! data/log/store.new/  a creation that was killed; the next open removes it
//! ```
//! fjall cannot open a folder whose creation was killed halfway, hence the rename.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use fjall::Database;

const LOCK: &str = "lock";
const STORE: &str = "store";
const STORE_NEW: &str = "store.new";

/// A process that was just told to stop may still hold the lock; so long it is waited for.
const LOCK_ATTEMPTS: u32 = 10;
const LOCK_INTERVAL: Duration = Duration::from_millis(50);

/// How much journal is kept, and so how much must be read again after a crash.
const JOURNAL_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// A folder that this process has locked.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// The lock goes when the file is closed, also by a crash.
    _lock: File,
}

/// Why a folder cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum FolderError {
    /// Another process has it.
    #[error(
        "the data folder {0} is locked by another process; embedded data has one process at a \
         time: stop the service that runs on it"
    )]
    Locked(PathBuf),
    /// The file system says no.
    #[error("cannot open the data folder {path}: {error}")]
    Io {
        /// The folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The database says no.
    #[error("cannot open the database in {path}: {error}")]
    Store {
        /// The folder.
        path: PathBuf,
        /// Why.
        error: DatabaseError,
    },
}

/// What fjall says, in words.
#[derive(Debug, thiserror::Error)]
pub(super) struct DatabaseError(#[from] pub(super) fjall::Error);

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            fjall::Error::Io(error) => error.fmt(f),
            fjall::Error::Poisoned => f.write_str("an earlier write has failed"),
            fjall::Error::InvalidVersion(_) => {
                f.write_str("it was written by another version of fjall, or is no database")
            }
            error => write!(f, "{error:?}"),
        }
    }
}

impl Folder {
    /// Whether there is a database in the folder.
    pub(super) fn has_store(path: &Path) -> bool {
        path.join(STORE).is_dir()
    }

    /// Makes the folder if it is not there, and locks it.
    #[expect(clippy::disallowed_methods, reason = "it blocks on the disk anyway, at start")]
    pub(super) fn lock(path: &Path) -> Result<Self, FolderError> {
        let failed = |error| FolderError::Io { path: path.to_owned(), error };
        fs::create_dir_all(path).map_err(failed)?;
        let mut options = File::options();
        options.create(true).truncate(false).write(true);
        let lock = options.open(path.join(LOCK)).map_err(failed)?;
        for attempt in 1.. {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if attempt < LOCK_ATTEMPTS => {
                    thread::sleep(LOCK_INTERVAL);
                }
                Err(TryLockError::WouldBlock) => return Err(FolderError::Locked(path.to_owned())),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Opens the database; if there is none, makes one with what `create` puts into it.
    pub(super) fn open_store(
        &self,
        create: impl FnOnce(&Database) -> fjall::Result<()>,
    ) -> Result<Database, FolderError> {
        let store = self.path.join(STORE);
        if !store.try_exists().map_err(|error| self.failed(error))? {
            let new = self.path.join(STORE_NEW);
            match fs::remove_dir_all(&new) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(self.failed(error));
                }
                _ => {}
            }
            let database = self.open_database(&new)?;
            create(&database)
                .and_then(|()| database.persist(fjall::PersistMode::SyncAll))
                .map_err(|error| self.store_failed(error))?;
            drop(database);
            fs::rename(&new, &store)
                .and_then(|()| File::open(&self.path)?.sync_all())
                .map_err(|error| self.failed(error))?;
        }
        self.open_database(&store)
    }

    fn open_database(&self, path: &Path) -> Result<Database, FolderError> {
        Database::builder(path)
            // With two or more, an idle one spins while another compacts (fjall 3.1).
            .worker_threads(1)
            .max_journaling_size(JOURNAL_BYTES_MAX)
            .open()
            .map_err(|error| self.store_failed(error))
    }

    fn failed(&self, error: io::Error) -> FolderError {
        FolderError::Io { path: self.path.clone(), error }
    }

    fn store_failed(&self, error: fjall::Error) -> FolderError {
        match error {
            fjall::Error::Locked => FolderError::Locked(self.path.clone()),
            error => FolderError::Store { path: self.path.clone(), error: error.into() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_creation_that_was_killed_is_made_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let half = dir.path().join(STORE_NEW);
        fs::create_dir(&half).expect("a folder");
        fs::write(half.join("0.jnl"), b"half").expect("a file");
        let folder = Folder::lock(dir.path()).expect("locked");
        folder.open_store(|_| Ok(())).expect("a database");
        assert!(!half.exists());
    }

    #[test]
    fn a_creation_that_failed_leaves_no_store() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::lock(dir.path()).expect("locked");
        let failed = folder.open_store(|_| Err(fjall::Error::Poisoned));
        assert!(matches!(failed, Err(FolderError::Store { .. })));
        assert!(!dir.path().join(STORE).exists());
        folder.open_store(|_| Ok(())).expect("a database");
    }

    #[test]
    fn a_locked_folder_says_so_and_is_free_again_when_it_is_closed() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::lock(dir.path()).expect("locked");
        let error = Folder::lock(dir.path()).expect_err("locked").to_string();
        assert!(error.contains("locked by another process"), "{error}");
        drop(folder);
        Folder::lock(dir.path()).expect("free");
    }
}
