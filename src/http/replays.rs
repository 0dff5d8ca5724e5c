//! `/admin/replays`: views are built again beside the live ones.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use crate::read::{ReplayError, ReplayOptions};

use super::jobs::{self, List, Watched};
use super::problem::Problem;
use super::queries::json;
use super::{Door, extract};

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "StartReplay")]
pub(super) struct Asked {
    projection: Option<String>,
    records_per_second: Option<NonZeroU32>,
    require_equal: bool,
}

pub(super) async fn start(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    let Asked { projection, records_per_second, require_equal } =
        jobs::asked(&door, request).await?;
    let options = ReplayOptions { records_per_second, require_equal };
    match door.replays.start(projection.as_deref(), options) {
        Ok(id) => Ok(jobs::begun("replays", id, &door.replays.get(id))),
        Err(ReplayError::Running(id)) => {
            Ok(jobs::running("replays", id, ReplayError::Running(id).into()))
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn list(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    jobs::check(&request)?;
    Ok(json(StatusCode::OK, &List { items: door.replays.list() }))
}

pub(super) async fn get(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    let id = id(extract::last(request.uri()))?;
    let replays = door.replays.clone();
    let changes = replays.changes();
    let get = move || replays.get(id).map(|replay| (replay.clone(), replay.state.is_final()));
    jobs::answer(&door, &request, Watched { changes, get }, unknown(id))
}

pub(super) async fn cancel(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    jobs::check(&request)?;
    let id = id(extract::last(request.uri()))?;
    let replay = door.replays.cancel(id).ok_or_else(|| unknown(id))?;
    Ok(json(StatusCode::OK, &replay))
}

pub(super) async fn flip(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    jobs::check(&request)?;
    let id = id(extract::before_last(request.uri()))?;
    let replay = door.replays.flip(id)?.ok_or_else(|| unknown(id))?;
    Ok(json(StatusCode::OK, &replay))
}

fn id(segment: &str) -> Result<Uuid, Problem> {
    jobs::id("replay", segment)
}

const fn unknown(id: Uuid) -> Problem {
    Problem::UnknownJob { what: "replay", code: "unknown_replay", id }
}
