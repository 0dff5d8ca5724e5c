//! `retell status`: how a running service stands, for people or as the service says it.

use std::fmt::Write;

use indicatif::HumanCount;
use serde::Deserialize;

use super::service::Service;
use super::{Outcome, say};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print what the service says as it is
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: Service,
}

/// What `GET /admin/status` says, as far as it is shown. Unknown members are a newer service's.
#[derive(Deserialize)]
struct Status {
    node: Node,
    version: String,
    reasons: Vec<Reason>,
    partitions: Vec<Partition>,
    projections: Vec<Projection>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    address: String,
}

#[derive(Deserialize)]
struct Reason {
    code: String,
    detail: String,
}

#[derive(Deserialize)]
struct Partition {
    partition: u32,
    end: Option<u64>,
    state: String,
    #[serde(default)]
    term: Option<u64>,
    records: Records,
    aggregates: u64,
    alarms: u64,
}

#[derive(Deserialize)]
struct Records {
    void: u64,
    foreign: u64,
}

#[derive(Deserialize)]
struct Projection {
    name: String,
    revision: u32,
    state: String,
    generation: Option<String>,
    lag: u64,
    parked: u64,
}

pub(super) async fn run(args: Args) -> anyhow::Result<Outcome> {
    let client = args.service.client()?;
    let answer = client.get(client.url("admin/status")).await?;
    if args.json {
        say(&String::from_utf8_lossy(&answer.body))?;
    } else {
        say(show(&answer.json()?).trim_end())?;
    }
    Ok(Outcome::Done)
}

fn show(status: &Status) -> String {
    let Status { node, version, reasons, partitions, projections } = status;
    let ready = if reasons.is_empty() { "ready" } else { "not ready" };
    let mut text = format!("{} at {}, retell {version}: {ready}\n", node.id, node.address);
    for Reason { code, detail } in reasons {
        text += &format!("  {code}: {detail}\n");
    }
    text += "\npartition  state        term          end  aggregates      void   foreign  alarms\n";
    for partition in partitions {
        show_partition(&mut text, partition);
    }
    text += "\nprojection            revision  state             lag    parked  generation\n";
    for projection in projections {
        show_projection(&mut text, projection);
    }
    text
}

fn show_partition(text: &mut String, partition: &Partition) {
    let Partition { partition, end, state, term, records, aggregates, alarms } = partition;
    let term = term.map_or("-".to_owned(), |term| term.to_string());
    let end = end.map_or("?".to_owned(), |end| HumanCount(end).to_string());
    let [aggregates, void, foreign, alarms] =
        [*aggregates, records.void, records.foreign, *alarms].map(|n| HumanCount(n).to_string());
    let line = format_args!(
        "{partition:<9}  {state:<11}  {term:>4}  {end:>11}  {aggregates:>10}  {void:>8}  {foreign:>8}  {alarms:>6}"
    );
    writeln!(text, "{line}").expect("a string takes everything");
}

fn show_projection(text: &mut String, projection: &Projection) {
    let Projection { name, revision, state, generation, lag, parked } = projection;
    let generation = generation.as_deref().unwrap_or("-");
    let [lag, parked] = [*lag, *parked].map(|n| HumanCount(n).to_string());
    let line =
        format_args!("{name:<20}  {revision:>8}  {state:<10}  {lag:>9}  {parked:>8}  {generation}");
    writeln!(text, "{line}").expect("a string takes everything");
}
