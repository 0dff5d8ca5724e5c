//! The outside world: one folder per technology, and none of them knows another.

pub mod embedded;
pub mod file;
pub mod memory;
mod system_clock;

#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(feature = "redis")]
pub mod redis;

pub use system_clock::SystemClock;
