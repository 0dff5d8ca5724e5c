//! Replays and verifications as their clients see them: started, or found running, and followed
//! to their end.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use indicatif::{HumanCount, ProgressBar};
use reqwest::header::LOCATION;
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;

use super::bar;
use super::service::{Client, NoAnswer};

/// How often a service is asked how far it is.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// How long a service may give no answer while it is followed.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// What the service says of a replay or a verification.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Job {
    pub(super) projections: Vec<String>,
    pub(super) state: String,
    pub(super) error: Option<String>,
    pub(super) records: u64,
    pub(super) records_total: u64,
    #[serde(default)]
    pub(super) compared: Compared,
    #[serde(default)]
    pub(super) parked: Vec<Parked>,
    /// All that it says.
    #[serde(skip)]
    pub(super) json: Bytes,
}

/// What a comparison of views has found.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Compared {
    pub(super) views: u64,
    pub(super) differences: u64,
    pub(super) difference: Option<Difference>,
}

/// A view that differs.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Difference {
    projection: String,
    key: String,
    position: String,
    live: Option<Value>,
    log: Option<Value>,
}

/// An aggregate that is held back.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Parked {
    projection: String,
    aggregate: String,
    position: String,
    error: String,
}

/// Starts one, or finds the one that is running.
pub(super) async fn start(client: &Client, route: &str, body: Value) -> anyhow::Result<Url> {
    let answer = client.ask(Method::POST, client.url(route), Some(body.to_string().into())).await?;
    let location = answer.headers.get(LOCATION).and_then(|location| location.to_str().ok());
    let location = location.and_then(|location| answer.url.join(location).ok());
    match (answer.status, location) {
        (StatusCode::ACCEPTED, Some(location)) => Ok(location),
        (StatusCode::CONFLICT, Some(location)) => {
            eprintln!("one is running already; following that one");
            Ok(location)
        }
        _ => Err(answer.problem().into()),
    }
}

/// Follows it until it runs no more; nothing, when Ctrl-C ends that before.
pub(super) async fn follow(client: &Client, location: &Url) -> anyhow::Result<Option<Job>> {
    let mut shown: Option<ProgressBar> = None;
    let mut heard = Instant::now();
    loop {
        match client.get(location.clone()).await {
            Ok(answer) => {
                heard = Instant::now();
                let job = Job { json: answer.body.clone(), ..answer.json()? };
                show(&mut shown, &job);
                if job.state != "running" {
                    shown.inspect(ProgressBar::finish_and_clear);
                    return Ok(Some(job));
                }
            }
            Err(NoAnswer::Problem(problem)) if problem.status == 404 => {
                return Err(NoAnswer::Problem(problem))
                    .context("the service forgot it, it was started again meanwhile");
            }
            Err(error) if heard.elapsed() > SILENCE_MAX => return Err(error.into()),
            Err(_) => {}
        }
        tokio::select! {
            () = tokio::time::sleep(POLL_INTERVAL) => {}
            _ = tokio::signal::ctrl_c() => {
                shown.inspect(ProgressBar::finish_and_clear);
                return Ok(None);
            }
        }
    }
}

/// The id at the end of where it is.
pub(super) fn id_of(location: &Url) -> &str {
    location.path().rsplit('/').next().unwrap_or_default()
}

fn show(shown: &mut Option<ProgressBar>, job: &Job) {
    let bar = shown.get_or_insert_with(|| bar::of_records(job.records_total));
    let names = job.projections.join(", ");
    bar.set_message(match job.compared.views {
        0 => names,
        views => format!("{names}: {} views compared", HumanCount(views)),
    });
    bar.set_length(job.records_total.max(job.records));
    bar.set_position(job.records);
}

impl Compared {
    /// What is different, in a sentence's middle.
    pub(super) fn told(&self) -> String {
        let Self { views, differences, difference } = self;
        let first = match difference {
            Some(difference) => format!("; the first is {difference}"),
            None => String::new(),
        };
        format!("{} of {} views differ{first}", HumanCount(*differences), HumanCount(*views))
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { projection, key, position, live, log } = self;
        let shown = |side: &Option<Value>| match side {
            Some(value) => value.to_string(),
            None => "nothing".to_owned(),
        };
        let (live, log) = (shown(live), shown(log));
        write!(f, "{projection}/{key} at {position}:\n  live {live}\n  log  {log}")
    }
}

impl fmt::Display for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { projection, aggregate, position, error } = self;
        write!(f, "parked: {aggregate} in {projection}, from {position} on: {error}")
    }
}
