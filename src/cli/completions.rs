//! `retell completions SHELL`: what a shell needs to complete subcommands and flags.

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use super::{Cli, Outcome, say};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell that is to complete
    shell: Shell,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "retell", &mut script);
    say(String::from_utf8(script)?.trim_end())?;
    Ok(Outcome::Done)
}
