//! The laws of each port, run by every adapter.

mod event_log;
