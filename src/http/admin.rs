//! `/admin`: replays, and what the node says about itself.
//!
//! Numbers that need the log's answer are left out when it does not come; status always answers.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::contract::{Offset, Partition};
use crate::read::{ReplayError, ReplayStatus};
use crate::write::WriterStatus;

use super::problem::Problem;
use super::queries::{self, Item, json};
use super::{Door, NodeInfo, Reason, body, extract, headers};

/// How long status waits for the log.
const END_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ReplayRequest {
    projection: Option<String>,
    records_per_second: Option<serde_json::Number>,
    require_equal: bool,
}

#[derive(Serialize)]
struct Replays {
    items: Vec<ReplayStatus>,
}

#[derive(Serialize)]
struct Status<'a> {
    node: &'a NodeInfo,
    version: &'static str,
    ready: bool,
    reasons: Vec<Reason>,
    partitions: Vec<PartitionStatus>,
    projections: Vec<Item>,
}

#[derive(Serialize)]
struct PartitionStatus {
    partition: Partition,
    /// The offset after the last record, if the log said it in time.
    end: Option<Offset>,
    #[serde(flatten)]
    writer: WriterStatus,
}

pub(super) async fn start_replay(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    let asked = read_request(&door, request).await?;
    let started = door.replays.start(asked.projection.as_deref());
    let (id, mut response) = match started {
        Ok(id) => (id, json(StatusCode::ACCEPTED, &door.replays.get(id))),
        Err(ReplayError::Running(id)) => {
            (id, Problem::from(ReplayError::Running(id)).into_response())
        }
        Err(error) => return Err(error.into()),
    };
    // Relative to /admin/replays, wherever that is nested.
    response.headers_mut().insert(LOCATION, headers::value(format!("replays/{id}")));
    Ok(response)
}

pub(super) async fn replays(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    check(&request)?;
    Ok(json(StatusCode::OK, &Replays { items: door.replays.list() }))
}

pub(super) async fn replay(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    check(&request)?;
    let id = replay_id(&request)?;
    answer_replay(id, door.replays.get(id))
}

pub(super) async fn cancel_replay(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    check(&request)?;
    let id = replay_id(&request)?;
    answer_replay(id, door.replays.cancel(id))
}

pub(super) async fn status(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    check(&request)?;
    let (reasons, partitions) = tokio::join!(door.not_ready(), partitions(&door));
    let status = Status {
        node: &door.node,
        version: env!("CARGO_PKG_VERSION"),
        ready: reasons.is_empty(),
        reasons,
        partitions,
        projections: queries::items(&door),
    };
    Ok(json(StatusCode::OK, &status))
}

fn check(request: &Request) -> Result<(), Problem> {
    extract::no_parameters(request.uri())?;
    headers::accept_json(request.headers())
}

async fn read_request(door: &Door, request: Request) -> Result<ReplayRequest, Problem> {
    let (request, body) = request.into_parts();
    let limits = &door.http;
    let json = body::read(&request.headers, body, limits.body_bytes_max, limits.request_timeout);
    let json = json.await?;
    extract::no_parameters(&request.uri)?;
    headers::accept_json(&request.headers)?;
    if json.is_empty() && !request.headers.contains_key(CONTENT_TYPE) {
        return Ok(ReplayRequest::default());
    }
    body::expect_json(&request.headers)?;
    // Serde takes an array for a struct, too.
    if !json.trim_ascii_start().starts_with(b"{") {
        return Err(Problem::BadBody("expected a JSON object at line 1 column 1".to_owned()));
    }
    let asked: ReplayRequest =
        serde_json::from_slice(&json).map_err(|error| Problem::BadBody(error.to_string()))?;
    if asked.records_per_second.is_some() {
        return Err(Problem::NotSupported("`records_per_second`"));
    }
    if asked.require_equal {
        return Err(Problem::NotSupported("`require_equal`"));
    }
    Ok(asked)
}

fn replay_id(request: &Request) -> Result<Uuid, Problem> {
    let text = extract::last(request.uri());
    let bad = || Problem::BadReplayId(text.chars().take(100).collect());
    Uuid::try_parse(text).map_err(|_| bad())
}

fn answer_replay(id: Uuid, replay: Option<ReplayStatus>) -> Result<Response, Problem> {
    match replay {
        Some(replay) => Ok(json(StatusCode::OK, &replay)),
        None => Err(Problem::UnknownReplay(id)),
    }
}

async fn partitions(door: &Door) -> Vec<PartitionStatus> {
    let writers = door.commands.status();
    let ends = join_all(door.log.partitions().iter().map(|partition| async move {
        let end = tokio::time::timeout(END_TIMEOUT, door.log.end(partition)).await;
        (partition, end.ok().and_then(Result::ok))
    }));
    let all = ends.await.into_iter().zip(writers);
    all.map(|((partition, end), writer)| PartitionStatus { partition, end, writer }).collect()
}
