//! `/admin/parked`: what projections and policies hold back, and what is to become of it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use crate::read::{ParkedId, ParkedSequence};

use super::problem::Problem;
use super::queries::json;
use super::{Door, body, extract, headers};

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "ParkedSequences")]
pub(super) struct List {
    items: Vec<ParkedSequence>,
}

pub(super) async fn list(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    extract::no_parameters(request.uri())?;
    headers::accept_json(request.headers())?;
    let items = door.views.parked().into_iter().chain(door.policies.parked()).collect();
    Ok(json(StatusCode::OK, &List { items }))
}

pub(super) async fn retry(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    let id = named(&door, request).await?;
    let retried = match door.policies.has_parked(&id) {
        true => door.policies.retry_parked(&id).await?,
        false => door.views.retry_parked(&id).await?,
    };
    Ok(json(StatusCode::OK, &retried))
}

pub(super) async fn discard(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    let id = named(&door, request).await?;
    let discarded = match door.policies.has_parked(&id) {
        true => door.policies.discard_parked(&id).await?,
        false => door.views.discard_parked(&id).await?,
    };
    Ok(json(StatusCode::OK, &discarded))
}

/// The sequence that a request names; it says nothing else.
async fn named(door: &Door, request: Request) -> Result<ParkedId, Problem> {
    let (request, body) = request.into_parts();
    let limits = &door.http;
    let body = body::read(&request.headers, body, limits.body_bytes_max, limits.request_timeout);
    let body = body.await?;
    extract::no_parameters(&request.uri)?;
    headers::accept_json(&request.headers)?;
    if !body.is_empty() {
        return Err(Problem::BadBody("this route takes no body".to_owned()));
    }
    let id = extract::last_but_one(&request.uri);
    id.parse().map_err(Problem::BadParkedId)
}
