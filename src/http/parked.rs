//! `/admin/parked`: the aggregates that a projection holds back, and what is to become of them.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use crate::read::{ParkedId, ParkedSequence};

use super::problem::Problem;
use super::queries::json;
use super::{Door, body, extract, headers};

#[derive(Serialize)]
struct List {
    items: Vec<ParkedSequence>,
}

pub(super) async fn list(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    extract::no_parameters(request.uri())?;
    headers::accept_json(request.headers())?;
    Ok(json(StatusCode::OK, &List { items: door.views.parked() }))
}

pub(super) async fn retry(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    let id = named(&door, request).await?;
    Ok(json(StatusCode::OK, &door.views.retry_parked(&id).await?))
}

pub(super) async fn discard(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    let id = named(&door, request).await?;
    Ok(json(StatusCode::OK, &door.views.discard_parked(&id).await?))
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
