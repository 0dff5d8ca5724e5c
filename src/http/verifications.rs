//! `/admin/verifications`: live views are compared with what the log makes of them.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use crate::read::VerificationError;

use super::jobs::{self, List, Watched};
use super::problem::Problem;
use super::queries::json;
use super::{Door, extract};

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "StartVerification")]
pub(super) struct Asked {
    projection: Option<String>,
}

pub(super) async fn start(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    let asked: Asked = jobs::asked(&door, request).await?;
    match door.verifications.start(asked.projection.as_deref()) {
        Ok(id) => Ok(jobs::begun("verifications", id, &door.verifications.get(id))),
        Err(VerificationError::Running(id)) => {
            Ok(jobs::running("verifications", id, VerificationError::Running(id).into()))
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn list(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    jobs::check(&request)?;
    Ok(json(StatusCode::OK, &List { items: door.verifications.list() }))
}

pub(super) async fn get(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    let id = id(&request)?;
    let verifications = door.verifications.clone();
    let changes = verifications.changes();
    let get = move || verifications.get(id).map(|it| (it.clone(), it.state.is_final()));
    jobs::answer(&door, &request, Watched { changes, get }, unknown(id))
}

pub(super) async fn cancel(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    jobs::check(&request)?;
    let id = id(&request)?;
    let verification = door.verifications.cancel(id).ok_or_else(|| unknown(id))?;
    Ok(json(StatusCode::OK, &verification))
}

fn id(request: &Request) -> Result<Uuid, Problem> {
    jobs::id("verification", extract::last(request.uri()))
}

const fn unknown(id: Uuid) -> Problem {
    Problem::UnknownJob { what: "verification", code: "unknown_verification", id }
}
