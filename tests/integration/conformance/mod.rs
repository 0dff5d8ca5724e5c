//! The laws of each port, run by every adapter.

mod bookmarks;
mod copies;
mod event_log;
mod topics;
mod view_store;
