//! `GET /projections` and `GET /projections/{name}/{key}`: what there is, and one view.
//!
//! A view leaves as the bytes that are stored, never read and written again.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::auth::{Asked, Role};
use crate::contract::{Positions, Time};
use crate::events::Fingerprint;
use crate::read::{Found, LaneState, LaneStatus, ProjectionInfo, QueryError};

use super::headers::{JSON, RETELL_POSITION};
use super::problem::Problem;
use super::wait::Wait;
use super::{Door, entrance, extract, headers, streams};

/// A view changes at any time: whoever keeps a copy must ask whether it still is the one.
pub(super) const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

/// A projection in a list.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Projection")]
pub(super) struct Item {
    #[serde(flatten)]
    info: ProjectionInfo,
    /// The state of the partition that is worst off.
    state: &'static str,
    /// Records that its partitions have still to fold.
    lag: u64,
    /// How old the last record in the views is, in the partition where that is longest ago; 0
    /// where nothing is behind.
    lag_seconds: f64,
    /// Aggregates that are held back.
    parked: usize,
    /// Where each partition of the live generation stands.
    partitions: Vec<Lane>,
}

/// A partition of a projection in a list.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "LaneStatus")]
struct Lane {
    #[serde(flatten)]
    status: LaneStatus,
    /// How old the last record in the views is; 0 where nothing is behind.
    lag_seconds: f64,
}

/// A projection, and how its views are read.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "DescribedProjection")]
struct Described {
    #[serde(flatten)]
    item: Item,
    indexes: Vec<Vec<&'static str>>,
    /// The JSON Schema of a view.
    schema: Value,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Projections")]
pub(super) struct List {
    items: Vec<Described>,
}

pub(super) async fn list(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    extract::no_parameters(request.uri())?;
    headers::accept_json(request.headers())?;
    let now = door.commands.now();
    let describe = |mut info: ProjectionInfo| {
        let (indexes, schema) = (std::mem::take(&mut info.indexes), info.schema.take());
        Described { item: Item::of(info, now), indexes, schema }
    };
    let grants = entrance::caller(request.extensions()).grants();
    let all = door.views.list().into_iter();
    let items = all.filter(|info| grants.allow_for(Role::Read, info.name)).map(describe).collect();
    Ok(json(StatusCode::OK, &List { items }))
}

pub(super) async fn get(
    State(door): State<Arc<Door>>,
    request: Parts,
) -> Result<Response, Problem> {
    let (projection, key) = extract::name_and_key(&request.uri, "key")?;
    let headers = &request.headers;
    let asked = Asked::View { projection: &projection, key: &key };
    door.permit(entrance::caller(&request.extensions), asked)?;
    if headers::wants_events(headers) {
        return streams::of_views(&door, &request, &projection, Some(key)).await;
    }
    extract::no_parameters(&request.uri)?;
    headers::accept_json(headers)?;
    let wait = Wait::of(headers, &door.queries)?;
    let response = match door.views.get(&projection, &key, &wait.after, wait.limit).await {
        Ok(found) => view(found, headers),
        Err(error) => missing(error),
    };
    Ok(wait.applied(response))
}

/// Every projection and where it stands.
pub(super) fn items(door: &Door) -> Vec<Item> {
    let now = door.commands.now();
    door.views.list().into_iter().map(|info| Item::of(info, now)).collect()
}

/// A JSON answer that is not worth a cache's room.
pub(super) fn json(status: StatusCode, content: &impl Serialize) -> Response {
    let json = serde_json::to_vec(content).expect("an answer has string keys only");
    let mut response = Response::new(Body::from(json));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response.headers_mut().insert(CACHE_CONTROL, NO_CACHE);
    response
}

fn view(found: Found, asked: &axum::http::HeaderMap) -> Response {
    let etag = format!("\"{}\"", Fingerprint::of(&found.view));
    let mut response = if headers::none_match(asked, &etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = Response::new(Body::from(found.view));
        response.headers_mut().insert(CONTENT_TYPE, JSON);
        response
    };
    let headers = response.headers_mut();
    headers.insert(ETAG, headers::value(etag));
    headers.insert(CACHE_CONTROL, NO_CACHE);
    add_positions(&mut response, &found.positions);
    response
}

fn missing(error: QueryError) -> Response {
    let positions = match &error {
        QueryError::NotFound { positions } => positions.clone(),
        _ => Positions::default(),
    };
    let mut response = Problem::from(error).into_response();
    add_positions(&mut response, &positions);
    response
}

pub(super) fn add_positions(response: &mut Response, positions: &Positions) {
    if !positions.is_empty() {
        let text = headers::value(positions.to_string());
        response.headers_mut().insert(RETELL_POSITION, text);
    }
}

impl Item {
    fn of(mut info: ProjectionInfo, now: Time) -> Self {
        let lane = |status: LaneStatus| {
            let lag_seconds = status.lag_time(now).as_secs_f64();
            Lane { status, lag_seconds }
        };
        let partitions: Vec<Lane> =
            std::mem::take(&mut info.partitions).into_iter().map(lane).collect();
        let lanes = || partitions.iter().map(|lane| &lane.status);
        let worst = lanes().map(|lane| severity(&lane.state)).max();
        let state = match (info.generation, worst) {
            _ if info.paused => "paused",
            (Some(_), Some((_, name))) => name,
            (Some(_), None) => "following",
            (None, _) => "building",
        };
        let (lag, parked) =
            lanes().fold((0, 0), |(lag, parked), lane| (lag + lane.lag, parked + lane.parked));
        let lag_seconds = partitions.iter().map(|lane| lane.lag_seconds).fold(0.0, f64::max);
        Self { info, state, lag, lag_seconds, parked, partitions }
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.info.name == name
    }
}

/// How bad a lane's state is for who reads the views, and its name.
const fn severity(state: &LaneState) -> (u8, &'static str) {
    match state {
        LaneState::Following => (0, "following"),
        LaneState::StandingBy => (1, "standing_by"),
        LaneState::Starting => (2, "starting"),
        LaneState::Building => (3, "building"),
        LaneState::Comparing | LaneState::Built => (3, "comparing"),
        LaneState::Paused => (4, "paused"),
        LaneState::Waiting { .. } => (5, "waiting"),
        LaneState::Lost => (6, "lost"),
        LaneState::NewerEvents { .. } => (7, "newer_events"),
        LaneState::TooManyParked { .. } => (8, "too_many_parked"),
    }
}
