//! `retell send FILE`: envelopes from a file or standard input, many in flight.
//!
//! Commands of one aggregate keep the input's order; a line that fails is told and passed over.

mod delivery;
mod input;
mod lanes;
mod report;

use std::fs::File;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::pin::pin;

use anyhow::Context;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc::Receiver;

use super::service::Service;
use super::{Outcome, Usage};
use delivery::{Transport, deliver};
use input::{Lines, Read};
use lanes::Lanes;
use report::{Report, Summary};

/// Lines that may wait for others of their aggregate.
const WAITING_MAX: usize = 4_096;

/// Bytes of such lines.
const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Send commands to a running service
///
/// Each line is {"aggregate":{"type":"account","id":"ann"},"command":{"type":…}}, perhaps with
/// "key" and "expected_version".
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A file of envelopes, one JSON object a line; - is standard input
    file: PathBuf,
    /// Commands under way at once
    #[arg(long, value_name = "N", default_value = "64")]
    in_flight: NonZeroU16,
    /// Print the summary, and each failed line, as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: Service,
}

pub(super) async fn run(args: Args) -> anyhow::Result<Outcome> {
    let client = args.service.client()?;
    let (lines, len) = open(&args.file)?;
    // Before a thousand lines say it one by one.
    client.get(client.url("health/live")).await?;
    let mut report = Report::new(len, lines.bytes.clone(), args.json);
    let interrupted = async { drop(tokio::signal::ctrl_c().await) };
    let summary = send(&client, lines, args.in_flight.get().into(), &mut report, interrupted).await;
    report.finish(&summary)?;
    Ok(if summary.is_complete() { Outcome::Done } else { Outcome::Failed })
}

/// Sends all lines, or as many as there were before `interrupted`.
async fn send(
    transport: &impl Transport,
    lines: Lines,
    in_flight_max: usize,
    report: &mut Report,
    interrupted: impl Future<Output = ()>,
) -> Summary {
    let mut interrupted = pin!(interrupted);
    let mut lines = Some(lines.lines);
    let mut lanes = Lanes::default();
    let mut in_flight = FuturesUnordered::new();
    let mut summary = Summary::default();
    while lines.is_some() || !in_flight.is_empty() {
        let has_room = in_flight.len() < in_flight_max
            && lanes.waiting() < WAITING_MAX
            && lanes.waiting_bytes() < WAITING_BYTES_MAX;
        tokio::select! {
            line = next(&mut lines), if has_room && lines.is_some() => match line {
                Some(Ok(line)) => {
                    let line = lanes.admit(line);
                    in_flight.extend(line.map(|line| deliver(transport, line)));
                }
                Some(Err(bad)) => {
                    summary.failed += 1;
                    report.bad_line(&bad);
                }
                None => lines = None,
            },
            Some(delivered) = in_flight.next(), if !in_flight.is_empty() => {
                let line = lanes.done(&delivered.line.aggregate);
                in_flight.extend(line.map(|line| deliver(transport, line)));
                summary.count(&delivered);
                report.delivered(&delivered, &summary);
            }
            () = &mut interrupted, if lines.is_some() => {
                lines = None;
                summary.interrupted = true;
                summary.unsent = lanes.clear();
            }
        }
    }
    summary
}

async fn next(lines: &mut Option<Receiver<Read>>) -> Option<Read> {
    lines.as_mut()?.recv().await
}

/// The input, and its length if it has one.
fn open(file: &Path) -> anyhow::Result<(Lines, Option<u64>)> {
    if file == Path::new("-") {
        return Ok((input::read(std::io::stdin()), None));
    }
    let opened = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    let about = opened.metadata().with_context(|| format!("cannot read {}", file.display()))?;
    if about.is_dir() {
        return Err(Usage(format!("{} is a directory", file.display())).into());
    }
    let len = about.is_file().then_some(about.len());
    Ok((input::read(opened), len))
}

#[cfg(test)]
mod tests;
