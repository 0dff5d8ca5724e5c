//! What fjall's errors mean to whoever uses the store.

use std::io::ErrorKind;
use std::path::Path;

use crate::ports::{Space, StoreError};

/// Why the folder could not be opened, and what to do.
pub(super) fn opening(dir: &Path, error: &fjall::Error) -> StoreError {
    let dir = dir.display();
    StoreError::Settings(vec![match error {
        fjall::Error::Locked => format!(
            "views.url: another process has the folder {dir} open; stop it, or set another folder"
        ),
        fjall::Error::Io(error) => format!("views.url: the folder {dir} cannot be opened: {error}"),
        error => format!(
            "views.url: the folder {dir} cannot be read: {error}; delete it, and the views are \
             built again from the log"
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
