//! The laws of each port, run by every adapter.

mod event_log;
mod view_store;
