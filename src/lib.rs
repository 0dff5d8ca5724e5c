//! Event sourcing and CQRS on Kafka and Redis.

pub mod contract;

pub mod commands;
pub mod events;
pub mod policies;
pub mod projections;

pub mod log;
pub mod ports;

pub mod adapters;
pub mod app;
#[cfg(feature = "http")]
pub mod auth;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
pub mod gate;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "http")]
mod http_client;
pub mod measure;
pub mod react;
pub mod read;
pub mod shutdown;
pub mod spans;
#[cfg(feature = "cli")]
pub mod telemetry;
pub mod transfer;
pub mod write;

#[doc(hidden)]
pub mod doc;
pub mod test;

pub use contract::*;
