//! `/admin/projections/{name}`: pause, resume and rollback.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::read::OperationError;

use super::problem::Problem;
use super::queries::{self, json};
use super::{Door, extract, jobs};

pub(super) async fn pause(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    let name = name(&request)?;
    answer(&door, &name, door.operations.pause(&name).await)
}

pub(super) async fn resume(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    let name = name(&request)?;
    answer(&door, &name, door.operations.resume(&name).await)
}

pub(super) async fn roll_back(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    let name = name(&request)?;
    answer(&door, &name, door.operations.roll_back(&name).await)
}

fn name(request: &Request) -> Result<String, Problem> {
    jobs::check(request)?;
    extract::name_before_last(request.uri()).map(|name| name.into_owned())
}

/// The projection as it stands now.
fn answer(
    door: &Door,
    name: &str,
    operated: Result<(), OperationError>,
) -> Result<Response, Problem> {
    operated?;
    let item = queries::items(door).into_iter().find(|item| item.is(name));
    Ok(json(StatusCode::OK, &item))
}
