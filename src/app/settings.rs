//! The settings of a whole application: what `config` checks by itself, and what only an adapter
//! can tell, in one list of problems.

use std::path::Path;

use crate::config::{Config, Objection, Problems};

/// Loads settings as [`Config::load`] does, and asks the adapters that this binary has.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn load_config(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
    flags: &[(String, String)],
) -> Result<Config, Problems> {
    Config::load_with(file, environment, flags, &objections)
}

#[cfg(feature = "kafka")]
fn objections(config: &Config) -> Vec<Objection> {
    crate::adapters::kafka::check_properties(&config.log.kafka.properties)
}

#[cfg(not(feature = "kafka"))]
const fn objections(_: &Config) -> Vec<Objection> {
    Vec::new()
}
