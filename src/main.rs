//! The `retell` command: parses, dispatches, and exits with a code.

use std::process::ExitCode;

use clap::Parser;
use retell::cli::{self, Cli};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run(Cli::parse())
}
