//! `retell log copy`: a log into another one or into a file, and back. It works on the stores
//! themselves, not through a service.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use indicatif::{HumanCount, ProgressBar};
use serde::Serialize;

use crate::app::{CopyUrl, SystemClock, open_copy_source, open_copy_target};
use crate::config::LogConfig;
use crate::transfer::{PartitionReport, Phase, Progress, Report, copy};

use super::table::table;
use super::{Outcome, Usage, bar, say, settings};

/// How much of a sum is shown to people; `--json` has all of it.
const SUM_LEN_SHOWN: usize = 16;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    Copy(CopyArgs),
}

/// Copy a log: all records that count, verified at the end
///
/// URLs are embedded:DIRECTORY, kafka://HOST:PORT[,HOST:PORT…]/TOPIC and file:PATH. A copy that
/// was broken off, or whose source has grown, goes on when the same command is given again; a
/// target that holds anything else is refused. The views are not copied: a service builds them
/// from the log. Exit code 0 means that source and target hold the same.
#[derive(Debug, clap::Args)]
struct CopyArgs {
    /// The log, or the file with one, that is copied
    #[arg(long, value_name = "URL")]
    from: CopyUrl,
    /// Where to; it is made if it is not there
    #[arg(long, value_name = "URL")]
    to: CopyUrl,
    /// Settings over the defaults; [log] holds for both sides
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Printed<'a> {
    from: String,
    to: String,
    is_equal: bool,
    records: u64,
    copied: u64,
    #[serde(flatten)]
    report: &'a Report,
}

pub(super) async fn run(args: Args) -> anyhow::Result<Outcome> {
    let Action::Copy(args) = args.action;
    if args.from == args.to {
        return Err(Usage("--from and --to are the same".to_owned()).into());
    }
    let config = settings::load(args.config.as_deref())?.log;
    let report = copy_log(&args, &config).await?;
    if args.json {
        let (from, to) = (args.from.to_string(), args.to.to_string());
        let (records, copied) = (report.records(), report.copied());
        let is_equal = report.is_equal();
        let printed = Printed { from, to, is_equal, records, copied, report: &report };
        say(&serde_json::to_string(&printed)?)?;
    } else {
        say(show(&report).trim())?;
    }
    if report.has_grown {
        eprintln!(
            "{} was written to meanwhile; the same command again copies that, too",
            args.from
        );
    }
    Ok(if report.is_equal() { Outcome::Done } else { Outcome::Failed })
}

async fn copy_log(args: &CopyArgs, config: &LogConfig) -> anyhow::Result<Report> {
    let CopyArgs { from, to, .. } = args;
    let clock = Arc::new(SystemClock);
    let source = open_copy_source(from, config, clock.clone()).await;
    let source = source.with_context(|| format!("cannot copy from {from}"))?;
    let target = open_copy_target(to, source.origin(), config, clock).await;
    let target = target.with_context(|| format!("cannot copy to {to}"))?;
    let shown = Shown(bar::of_records(0));
    let copied = copy(source.as_ref(), target.as_ref(), &shown).await;
    shown.0.finish_and_clear();
    copied.with_context(|| format!("cannot copy {from} to {to}"))
}

/// A bar for each phase, on a terminal.
struct Shown(ProgressBar);

impl Progress for Shown {
    fn begin(&self, phase: Phase, records: u64) {
        let message = match phase {
            Phase::Comparing => "comparing",
            Phase::Copying => "copying",
            Phase::Verifying => "verifying",
        };
        self.0.set_message(message);
        self.0.set_length(records);
        self.0.reset();
    }

    fn advance(&self, records: u64) {
        self.0.inc(records);
    }

    fn say(&self, what: &str) {
        self.0.suspend(|| eprintln!("{what}"));
    }
}

fn show(report: &Report) -> String {
    let titles = ["partition", "source", "target", "copied", "left behind", "sha-256", ""];
    let mut text = table(titles, report.partitions.iter().map(of_partition));
    let (copied, records) = (HumanCount(report.copied()), HumanCount(report.records()));
    let differ: Vec<_> =
        report.partitions.iter().filter(|partition| !partition.is_equal()).collect();
    text += &match differ.len() {
        0 => format!("\ncopied {copied} of {records} records; the target holds the same\n"),
        count => format!(
            "\ncopied {copied} of {records} records; the target DIFFERS in {count} partitions: \
             something else has written to it\n"
        ),
    };
    text
}

fn of_partition(report: &PartitionReport) -> [String; 7] {
    let PartitionReport { partition, copied, left_behind, source, target } = report;
    let count = |count: u64| HumanCount(count).to_string();
    let short = |sha256: &str| sha256.chars().take(SUM_LEN_SHOWN).collect::<String>();
    let same = if report.is_equal() { "same" } else { "DIFFERS" };
    [
        partition.to_string(),
        count(source.records),
        count(target.records),
        count(*copied),
        count(left_behind.void + left_behind.foreign),
        short(&source.sha256),
        same.to_owned(),
    ]
}
