//! What follows by itself from what happened, and from what others send.
//!
//! It sends commands like anybody else, through the handle of the write loop; policies read the log
//! with the feeds that the lanes of the read loop share. Each part goes on from what it has left
//! behind it, wherever it was stopped. Nothing here knows a concrete policy.

pub mod inbox;
pub mod outbox;
pub mod policies;
pub mod timer;
