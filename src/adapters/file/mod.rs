//! A copy of a log in a file: a backup that can be read with any tool, and be copied back.
//!
//! ```text
//! {"format":"retell log","version":1,"partitions":2,"hash":"murmur2","logs":[…],"sum":"…"}
//! {"partition":0,"offset":1,"time":"2026-…Z","key":"account/ann","value":{"v":1,…},"sum":"…"}
//! {"end":0,"records":1,"sha256":"…","sum":"…"}
//! {"end":1,"records":0,"sha256":"…","sum":"…"}
//! ```
//! A file is only ever added to: a later run puts its records, and all ends again, behind what is
//! there. It is whole when its last line is the end of the last partition. Each line's `sum`
//! covers the line and all lines before it, so one that was altered, lost or moved is named.

mod format;
mod lines;
mod lock;
mod scan;
mod sections;
mod source;
mod tail;
mod target;

use std::fmt::Display;
use std::path::Path;

use crate::ports::CopyError;

pub use source::FileSource;
pub use target::FileTarget;

/// Runs what reads or writes the disk off the async threads.
async fn disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CopyError> + Send + 'static,
) -> Result<T, CopyError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(CopyError::File(format!("it ended unfinished: {error}"))))
}

fn failed(path: &Path, what: impl Display) -> CopyError {
    CopyError::File(format!("{}: {what}", path.display()))
}

fn wrong_line(path: &Path, line: u64, what: impl Display) -> CopyError {
    CopyError::File(format!("{}, line {line}: {what}", path.display()))
}
