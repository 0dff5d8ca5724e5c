//! The command line: each subcommand is one file, dispatched here.
//!
//! Exit codes: 0 done, 1 failed or differs, 2 wrong usage.

mod bar;
mod completions;
mod config;
mod examples;
mod following;
mod history;
mod key;
mod log;
mod parked;
mod replay;
mod send;
mod serve;
mod service;
mod settings;
mod status;
mod table;
mod threads;
mod topic;
mod verify;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use anyhow::Context;

/// Event sourcing and CQRS on Kafka and Redis
///
/// ```
/// use std::process::ExitCode;
///
/// use clap::Parser;
/// use retell::cli::Cli;
///
/// let wrong = Cli::try_parse_from(["retell", "replays"]).expect_err("no such command");
/// assert!(wrong.to_string().contains("replay"));
/// let cli = Cli::try_parse_from(["retell", "completions", "bash"])?;
/// assert_eq!(retell::cli::run(cli), ExitCode::SUCCESS);
/// # Ok::<(), clap::Error>(())
/// ```
#[derive(Debug, clap::Parser)]
#[command(name = "retell", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Args,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run the service [default]
    #[command(after_help = examples::SERVE)]
    Serve(serve::Args),
    /// Print the settings as they are used, without secrets
    #[command(after_help = examples::CONFIG)]
    Config(config::Args),
    /// Make an API key
    #[command(subcommand, after_help = examples::KEY)]
    Key(key::Command),
    /// Check or create the topic that is the log
    #[command(after_help = examples::TOPIC)]
    Topic(topic::Args),
    /// Copy a log: to production, to a backup and back
    #[command(after_help = examples::LOG)]
    Log(log::Args),
    /// Say how a running service stands
    #[command(after_help = examples::STATUS)]
    Status(status::Args),
    /// Print the events of an aggregate
    #[command(after_help = examples::HISTORY)]
    History(history::Args),
    /// Rebuild views of a running service from the log
    #[command(after_help = examples::REPLAY)]
    Replay(replay::Args),
    /// Compare the views of a running service with the log
    #[command(after_help = examples::VERIFY)]
    Verify(verify::Args),
    /// List what projections hold back; retry or discard one
    #[command(after_help = examples::PARKED)]
    Parked(parked::Args),
    #[command(after_help = examples::SEND)]
    Send(send::Args),
    /// Print what a shell needs to complete this command
    #[command(after_help = examples::COMPLETIONS)]
    Completions(completions::Args),
}

/// How a command ended that did not break off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    Done,
    Failed,
}

/// What was asked for cannot be, whatever the state of anything.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// Does what was asked for, and says with which code to exit.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    let ended = match cli.command {
        None => serve::run(cli.serve),
        Some(Command::Serve(args)) => serve::run(args),
        Some(Command::Config(args)) => config::run(&args),
        Some(Command::Completions(args)) => completions::run(&args),
        Some(Command::Key(command)) => key::run(&command),
        Some(Command::Topic(args)) => on_threads(topic::run(args)),
        Some(Command::Log(args)) => on_threads(log::run(args)),
        Some(Command::Status(args)) => on_threads(status::run(args)),
        Some(Command::History(args)) => on_threads(history::run(args)),
        Some(Command::Replay(args)) => on_threads(replay::run(args)),
        Some(Command::Verify(args)) => on_threads(verify::run(args)),
        Some(Command::Parked(args)) => on_threads(parked::run(args)),
        Some(Command::Send(args)) => on_threads(send::run(args)),
    };
    match ended {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::from(1),
        Err(error) => {
            eprintln!("retell: {error:#}");
            ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
        }
    }
}

/// Runs a command that is soon over.
fn on_threads(run: impl Future<Output = anyhow::Result<Outcome>>) -> anyhow::Result<Outcome> {
    tokio::runtime::Runtime::new().context("no threads")?.block_on(run)
}

/// Prints a line. A reader that has seen enough, such as `head`, is no error.
fn say(line: &str) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    match writeln!(output, "{line}").and_then(|()| output.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}
