//! A lock on a file, so that nobody reads a copy that is being written.
//!
//! It is given back in so many words: a process that was forked and has not yet begun its own
//! program holds what we had open, and with it a lock that is only dropped.

use std::fs::File;
use std::path::Path;

use crate::ports::CopyError;

use super::failed;

/// Held as long as it lives.
pub(super) struct Lock(File);

impl Lock {
    /// For who writes: nobody else reads or writes meanwhile.
    pub(super) fn to_write(path: &Path, file: &File) -> Result<Self, CopyError> {
        if file.try_lock().is_err() {
            return Err(failed(path, "another copy reads it or writes to it just now"));
        }
        Self::of(path, file)
    }

    /// For who reads: nobody writes meanwhile.
    pub(super) fn to_read(path: &Path, file: &File) -> Result<Self, CopyError> {
        if file.try_lock_shared().is_err() {
            return Err(failed(path, "a copy is being written to it just now"));
        }
        Self::of(path, file)
    }

    fn of(path: &Path, file: &File) -> Result<Self, CopyError> {
        file.try_clone().map(Self).map_err(|error| failed(path, error))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // An error means that it is no longer held.
        let _ = self.0.unlock();
    }
}
