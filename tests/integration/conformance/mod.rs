//! The laws of each port, run by every adapter.

mod bookmarks;
mod copies;
mod event_log;
mod view_store;
