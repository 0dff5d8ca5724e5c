//! What follows by itself from what happened.
//!
//! It sends commands like anybody else, through the handle of the write loop, and reads the log
//! with the feeds that the lanes of the read loop share. Nothing here knows a concrete policy.

pub mod policies;
pub mod timer;
