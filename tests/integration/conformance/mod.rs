//! The laws of each port, run by every adapter.

mod view_store;
