//! The settings that a command works with.

use std::path::Path;

use crate::app::load_config;
use crate::config::{Config, environment};

use super::Usage;

/// The settings of this file over the defaults, and of the environment over both.
pub(super) fn load(file: Option<&Path>) -> anyhow::Result<Config> {
    load_config(file, environment(), &[]).map_err(|problems| Usage(problems.to_string()).into())
}
