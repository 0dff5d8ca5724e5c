//! The settings that a command works with.

use std::path::Path;

use crate::config::{Config, environment};

use super::Usage;

/// The settings of this file over the defaults, and of the environment over both.
pub(super) fn load(file: Option<&Path>) -> anyhow::Result<Config> {
    Config::load(file, environment(), &[]).map_err(|problems| Usage(problems.to_string()).into())
}
