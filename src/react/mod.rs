//! What follows by itself, beside requests.
//!
//! Each part goes on from what it has left behind it, wherever it was stopped, and repeats nothing
//! that would matter.

pub mod inbox;
pub mod outbox;
