//! Event sourcing and CQRS on Kafka and Redis.

pub mod contract;
pub mod events;
pub mod log;
pub mod ports;

pub mod adapters;
pub mod config;
#[cfg(feature = "http")]
pub mod http;
pub mod read;
pub mod shutdown;
pub mod write;

pub use contract::*;
