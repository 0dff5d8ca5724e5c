//! What the tests share: parts of an application, and servers, put together for a test; verbs for
//! what a user of a port does.

pub(crate) mod app;
pub(crate) mod breaking;
pub(crate) mod browser;
pub(crate) mod callers;
pub(crate) mod certificates;
pub(crate) mod cluster;
pub(crate) mod command_line;
pub(crate) mod copies;
pub(crate) mod counting;
pub(crate) mod door;
pub(crate) mod forge;
pub(crate) mod fragile;
pub(crate) mod inbox;
pub(crate) mod kafka;
pub(crate) mod lists;
pub(crate) mod log;
pub(crate) mod mirror;
pub(crate) mod outage;
pub(crate) mod outbox;
pub(crate) mod parcel;
pub(crate) mod process;
pub(crate) mod redis;
pub(crate) mod shelf;
pub(crate) mod shipped;
pub(crate) mod slow;
pub(crate) mod sse;
pub(crate) mod stock;
pub(crate) mod stranger;
pub(crate) mod stuck;
pub(crate) mod tampering;
#[path = "../../../examples/transfer.rs"]
#[expect(dead_code, reason = "an example has a main, too")]
pub(crate) mod transfer;
pub(crate) mod unheard;
pub(crate) mod writers;

use retell::config::{Config, LogConfig};

/// Runs in one thread on a paused clock: waits cost nothing, and a silence is noticed at once.
pub(crate) fn on_paused_time<T>(test: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().expect("a runtime").block_on(test)
}

/// The settings that the binary has when nobody sets any.
pub(crate) fn default_config() -> Config {
    Config::defaults()
}

/// The default settings of a log with so many partitions.
pub(crate) fn log_config(partitions: u32) -> LogConfig {
    let mut log = default_config().log;
    log.partitions = partitions;
    log
}
