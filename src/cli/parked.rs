//! `retell parked`: what the projections and policies of a running service hold back; `retry ID`
//! tries a sequence again, `discard ID` gives it up.

use indicatif::HumanCount;
use reqwest::Method;
use serde::Deserialize;

use super::service::{Client, Service};
use super::{Outcome, say};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to do with one of them; without it, all are listed
    #[arg(requires = "id")]
    verb: Option<Verb>,
    /// Which, as the list says
    id: Option<String>,
    /// Print what the service says as it is
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: Service,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Verb {
    /// Fold its events again, once the projection can
    Retry,
    /// Remove its view, and pass over its later events until a replay
    Discard,
}

/// What `GET /admin/parked` says. Unknown members are a newer service's.
#[derive(Deserialize)]
struct List {
    items: Vec<Sequence>,
}

#[derive(Deserialize)]
struct Sequence {
    id: String,
    projection: String,
    aggregate: String,
    position: String,
    time: String,
    event: Event,
    error: String,
    count: u64,
    state: String,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    event_type: Option<String>,
    version: Option<u64>,
    data: String,
}

#[derive(Deserialize)]
struct Retried {
    applied: u64,
    parked: Option<Sequence>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<Outcome> {
    let client = args.service.client()?;
    match (args.verb, &args.id) {
        (Some(Verb::Retry), Some(id)) => retry(&client, id, args.json).await,
        (Some(Verb::Discard), Some(id)) => discard(&client, id, args.json).await,
        _ => list(&client, args.json).await,
    }
}

async fn list(client: &Client, json: bool) -> anyhow::Result<Outcome> {
    let answer = client.get(client.url("admin/parked")).await?;
    if json {
        say(&String::from_utf8_lossy(&answer.body))?;
        return Ok(Outcome::Done);
    }
    let List { items } = answer.json()?;
    if items.is_empty() {
        say("nothing is parked")?;
    }
    for sequence in &items {
        say(&shown(sequence))?;
    }
    Ok(Outcome::Done)
}

async fn retry(client: &Client, id: &str, json: bool) -> anyhow::Result<Outcome> {
    let url = client.url(&format!("admin/parked/{id}/retry"));
    let answer = client.ask(Method::POST, url, None).await?.good()?;
    let Retried { applied, parked } = answer.json()?;
    let outcome = if parked.is_some() { Outcome::Failed } else { Outcome::Done };
    if json {
        say(&String::from_utf8_lossy(&answer.body))?;
        return Ok(outcome);
    }
    say(&format!("{} records folded", HumanCount(applied)))?;
    if let Some(sequence) = &parked {
        say(&format!("held back again:\n{}", shown(sequence)))?;
    }
    Ok(outcome)
}

async fn discard(client: &Client, id: &str, json: bool) -> anyhow::Result<Outcome> {
    let url = client.url(&format!("admin/parked/{id}/discard"));
    let answer = client.ask(Method::POST, url, None).await?.good()?;
    if json {
        say(&String::from_utf8_lossy(&answer.body))?;
    } else {
        let sequence: Sequence = answer.json()?;
        let Sequence { aggregate, projection, .. } = &sequence;
        say(&match projection.strip_prefix("policy.") {
            Some(policy) => format!("what {policy} held back of {aggregate} is not done any more"),
            None => format!("{aggregate} is left out of {projection} until a replay"),
        })?;
    }
    Ok(Outcome::Done)
}

fn shown(sequence: &Sequence) -> String {
    let Sequence { id, projection, aggregate, position, time, event, error, count, state } =
        sequence;
    let what = match (&event.event_type, event.version) {
        (Some(event_type), Some(version)) => format!("{event_type}, version {version}"),
        _ => "the record".to_owned(),
    };
    let count = HumanCount(*count);
    format!(
        "{id}  {projection}  {aggregate}  {state}\n  {count} records from {position}, {time}\n  \
         {what}: {}\n  {error}",
        event.data
    )
}
