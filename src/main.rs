//! The `retell` command: parses, dispatches, and exits with a code.

use std::process::ExitCode;

use clap::Parser;
use retell::cli::{self, Cli};

#[tokio::main]
async fn main() -> ExitCode {
    cli::run(Cli::parse()).await
}
