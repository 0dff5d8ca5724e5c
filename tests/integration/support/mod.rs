//! What tests share: settings, servers, and verbs for what a user of a port does.

pub(crate) mod forge;
pub(crate) mod kafka;
pub(crate) mod log;

use retell::config::{Config, LogConfig};

/// The settings that the binary has when nobody sets any.
pub(crate) fn default_config() -> Config {
    toml::from_str(include_str!("../../../config/default.toml")).expect("the defaults are settings")
}

/// The defaults of a log with so many partitions.
pub(crate) fn log_config(partitions: u32) -> LogConfig {
    let mut log = default_config().log;
    log.partitions = partitions;
    log
}
