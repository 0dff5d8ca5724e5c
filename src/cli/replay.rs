//! `retell replay [PROJECTION]`: starts a replay in a running service and follows it to its end.
//!
//! When one is running already, that one is followed; the exit code is its result.

use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{HumanCount, ProgressBar};
use reqwest::header::LOCATION;
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;

use super::service::{Answer, Client, NoAnswer, Service};
use super::{Outcome, bar, say};

/// How often a replay is asked how far it is.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// How long a service may give no answer while a replay is followed.
const SILENCE_MAX: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The projection; without one, all of them
    projection: Option<String>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: Service,
}

/// What the service says of a replay.
#[derive(Clone, Debug, Deserialize)]
struct Replay {
    projections: Vec<String>,
    state: String,
    error: Option<String>,
    records: u64,
    records_total: u64,
}

pub(super) async fn run(args: Args) -> anyhow::Result<Outcome> {
    let client = args.service.client()?;
    let begun = Instant::now();
    let location = start(&client, args.projection.as_deref()).await?;
    let (answer, replay) = follow(&client, location).await?;
    if args.json {
        say(&String::from_utf8_lossy(&answer.body))?;
    } else {
        say(&ending(&replay, begun.elapsed()))?;
    }
    Ok(if replay.state == "done" { Outcome::Done } else { Outcome::Failed })
}

/// Starts a replay, or finds the one that is running.
async fn start(client: &Client, projection: Option<&str>) -> anyhow::Result<Url> {
    let url = client.url("admin/replays");
    let body = serde_json::json!({ "projection": projection }).to_string();
    let answer = client.ask(Method::POST, url, Some(body.into())).await?;
    let location = answer.headers.get(LOCATION).and_then(|location| location.to_str().ok());
    let location = location.and_then(|location| answer.url.join(location).ok());
    match (answer.status, location) {
        (StatusCode::ACCEPTED, Some(location)) => Ok(location),
        (StatusCode::CONFLICT, Some(location)) => {
            eprintln!("a replay is running already; following that one");
            Ok(location)
        }
        _ => Err(answer.problem().into()),
    }
}

async fn follow(client: &Client, location: Url) -> anyhow::Result<(Answer, Replay)> {
    let mut shown: Option<ProgressBar> = None;
    let mut heard = Instant::now();
    loop {
        match client.get(location.clone()).await {
            Ok(answer) => {
                heard = Instant::now();
                let replay: Replay = answer.json()?;
                show(&mut shown, &replay);
                if replay.state != "running" {
                    shown.inspect(ProgressBar::finish_and_clear);
                    return Ok((answer, replay));
                }
            }
            Err(NoAnswer::Problem(problem)) if problem.status == 404 => {
                return Err(NoAnswer::Problem(problem))
                    .context("the service forgot the replay, it was started again meanwhile");
            }
            Err(error) if heard.elapsed() > SILENCE_MAX => return Err(error.into()),
            Err(_) => {}
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

fn show(shown: &mut Option<ProgressBar>, replay: &Replay) {
    let bar = shown.get_or_insert_with(|| bar::of_records(replay.records_total));
    bar.set_message(replay.projections.join(", "));
    bar.set_length(replay.records_total.max(replay.records));
    bar.set_position(replay.records);
}

fn ending(replay: &Replay, took: Duration) -> String {
    let names = replay.projections.join(", ");
    let (records, seconds) = (HumanCount(replay.records), took.as_secs_f64());
    match (replay.state.as_str(), &replay.error) {
        ("done", _) => format!("replayed {names}: {records} records in {seconds:.1} s"),
        (state, Some(error)) => format!("replay of {names} {state}: {error}"),
        (state, None) => format!("replay of {names} {state}; the views before it stay live"),
    }
}
