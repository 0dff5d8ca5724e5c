//! The log and the view store in this process, durable on disk (fjall).

mod folder;
mod log;
mod views;

pub use log::EmbeddedLog;
pub use views::EmbeddedViews;
