//! The log and the view store in this process, durable on disk (fjall).

mod bookmarks;
mod folder;
mod log;
mod views;

pub use bookmarks::EmbeddedBookmarks;
pub use log::EmbeddedLog;
pub use views::EmbeddedViews;
