//! `retell replay [PROJECTION]`: starts a replay in a running service and follows it to its end.
//!
//! When one is running already, that one is followed; the exit code is its result.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use indicatif::HumanCount;
use reqwest::{Method, Url};
use uuid::Uuid;

use super::following::{Job, follow, id_of, start};
use super::service::{Client, Service};
use super::{Outcome, say};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The projection; without one, all of them
    projection: Option<String>,
    /// The most records to read in a second
    #[arg(long, value_name = "N")]
    records_per_second: Option<NonZeroU32>,
    /// Stop before the new views go live when one differs from the live ones
    #[arg(long)]
    require_equal: bool,
    /// Make live what a replay has built that stopped because views differ
    #[arg(long, value_name = "ID", conflicts_with_all = ["projection", "cancel"])]
    flip: Option<Uuid>,
    /// Give up a replay; the views before it stay live
    #[arg(long, value_name = "ID", conflicts_with = "projection")]
    cancel: Option<Uuid>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: Service,
}

pub(super) async fn run(args: Args) -> anyhow::Result<Outcome> {
    let client = args.service.client()?;
    let begun = Instant::now();
    let location = match (args.flip, args.cancel) {
        (Some(id), _) => ask(&client, Method::POST, id, "/flip").await?,
        (None, Some(id)) => ask(&client, Method::DELETE, id, "").await?,
        (None, None) => {
            let body = serde_json::json!({
                "projection": args.projection,
                "records_per_second": args.records_per_second,
                "require_equal": args.require_equal,
            });
            start(&client, "admin/replays", body).await?
        }
    };
    let wanted = if args.cancel.is_some() { "cancelled" } else { "done" };
    let id = id_of(&location);
    let Some(mut replay) = follow(&client, &location).await? else {
        eprintln!("the replay goes on in the service; to stop it: retell replay --cancel {id}");
        return Ok(Outcome::Failed);
    };
    // It was told to go on or to end, and gets to it.
    while args.flip.or(args.cancel).is_some() && replay.state == "differs" {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let Some(next) = follow(&client, &location).await? else { return Ok(Outcome::Failed) };
        replay = next;
    }
    match args.json {
        true => say(&String::from_utf8_lossy(&replay.json))?,
        false => say(&ending(&replay, id, begun.elapsed()))?,
    }
    Ok(if replay.state == wanted { Outcome::Done } else { Outcome::Failed })
}

async fn ask(client: &Client, method: Method, id: Uuid, more: &str) -> anyhow::Result<Url> {
    let location = client.url(&format!("admin/replays/{id}"));
    client.ask(method, client.url(&format!("admin/replays/{id}{more}")), None).await?.good()?;
    Ok(location)
}

fn ending(replay: &Job, id: &str, took: Duration) -> String {
    let names = replay.projections.join(", ");
    let (records, seconds) = (HumanCount(replay.records), took.as_secs_f64());
    match (replay.state.as_str(), &replay.error) {
        ("done", _) => {
            let done = format!("replayed {names}: {records} records in {seconds:.1} s");
            match replay.compared.differences {
                0 => done,
                _ => format!("{done}\nbeside the views before, {}", replay.compared.told()),
            }
        }
        ("differs", _) => format!(
            "replay of {names} stopped: {}\nthe views before stay live; to make the new ones live: \
             retell replay --flip {id}\nto give them up: retell replay --cancel {id}",
            replay.compared.told()
        ),
        (state, Some(error)) => format!("replay of {names} {state}: {error}"),
        (state, None) => format!("replay of {names} {state}; the views before it stay live"),
    }
}
