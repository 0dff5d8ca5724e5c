//! The log and the view store in this process, durable on disk (fjall).

mod folder;
mod log;

pub use log::EmbeddedLog;
