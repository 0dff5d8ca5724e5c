//! The log and the view store in this process, durable on disk (fjall).

mod views;

pub use views::EmbeddedViews;
