//! What fjall's errors mean to whoever uses the store.

use std::io::ErrorKind;
use std::path::Path;

use crate::ports::{Space, StoreError};

use super::super::folder::{DatabaseError, FolderError};

/// Why the folder could not be opened, and what to do.
pub(super) fn opening(error: &FolderError) -> StoreError {
    match error {
        FolderError::Locked(_) => StoreError::Unavailable(error.to_string()),
        FolderError::Io { .. } => StoreError::Settings(vec![format!("views.url: {error}")]),
        FolderError::Store { path, error: DatabaseError(error) } => unreadable(path, error),
    }
}

/// Why a database could not be opened, and what to do.
pub(super) fn unreadable(dir: &Path, error: &fjall::Error) -> StoreError {
    StoreError::Settings(vec![match error {
        fjall::Error::Io(error) => format!("views.url: cannot open {}: {error}", dir.display()),
        error => format!(
            "views.url: the database in {} cannot be read: {error}; delete the folder, and the \
             views are built again from the log",
            dir.display()
        ),
    }])
}

/// Why a change or a read failed.
pub(super) fn unavailable(error: &fjall::Error) -> StoreError {
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error))
            if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) =>
        {
            StoreError::Full(error.to_string())
        }
        fjall::Error::Poisoned => StoreError::Unavailable(
            "a write to the disk has failed before; restart the service".to_owned(),
        ),
        error => StoreError::Unavailable(error.to_string()),
    }
}

pub(super) fn torn(space: &Space, detail: &str) -> StoreError {
    StoreError::Torn { space: space.to_string(), detail: detail.to_owned() }
}

pub(super) fn torn_pointer(projection: &str) -> StoreError {
    StoreError::Torn { space: projection.to_owned(), detail: "a pointer is unreadable".to_owned() }
}
