//! `GET /admin/me`: who the caller is, as the service sees it.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::problem::Problem;
use super::queries::json;
use super::{entrance, extract, headers};

/// A caller.
#[derive(JsonSchema, Serialize)]
pub(super) struct Me<'a> {
    name: &'a str,
    /// Such as `read`, or `write:account` of one type only.
    roles: Vec<String>,
}

pub(super) async fn get(request: Request) -> Result<Response, Problem> {
    extract::no_parameters(request.uri())?;
    headers::accept_json(request.headers())?;
    let caller = entrance::caller(request.extensions());
    let me = Me { name: caller.name(), roles: caller.grants().names().collect() };
    Ok(json(StatusCode::OK, &me))
}
