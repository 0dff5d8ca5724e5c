//! `retell config`: the settings as they are used, without secrets.

use std::collections::BTreeMap;
use std::path::PathBuf;

use toml::Value;

use super::{Outcome, say, settings};

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
    let config = settings::load(args.config.as_deref())?;
    if args.json {
        let mut sections: BTreeMap<&str, BTreeMap<&str, &Value>> = BTreeMap::new();
        for setting in config.effective() {
            let section = sections.entry(&setting.section).or_default();
            section.insert(&setting.key, &setting.value);
        }
        say(&serde_json::to_string(&sections)?)?;
    } else {
        say(config.print().trim_end())?;
    }
    Ok(Outcome::Done)
}
