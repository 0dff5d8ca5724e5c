//! `GET /`: the routes, until the dashboard is there.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::problem::Problem;
use super::queries::json;
use super::{extract, headers};

/// Every route, in the order of the table in [`super::router`].
pub(super) const ROUTES: [&str; 37] = [
    "POST /commands",
    "POST /commands/{aggregate}",
    "POST /commands/{aggregate}/{id}",
    "GET /commands/{aggregate}/{id}/{command_id}",
    "GET /projections",
    "GET /projections/{name}",
    "GET /projections/{name}/{key}",
    "GET /aggregates/{aggregate}/{id}",
    "GET /aggregates/{aggregate}/{id}/events",
    "GET /events",
    "GET /traces/{correlation_id}",
    "GET /schemas/{aggregate}/{event}/{schema}",
    "GET /admin/replays",
    "POST /admin/replays",
    "GET /admin/replays/{id}",
    "DELETE /admin/replays/{id}",
    "POST /admin/replays/{id}/flip",
    "GET /admin/verifications",
    "POST /admin/verifications",
    "GET /admin/verifications/{id}",
    "DELETE /admin/verifications/{id}",
    "POST /admin/projections/{name}/pause",
    "POST /admin/projections/{name}/resume",
    "POST /admin/projections/{name}/rollback",
    "GET /admin/parked",
    "POST /admin/parked/{id}/retry",
    "POST /admin/parked/{id}/discard",
    "POST /admin/policies/{name}/begin",
    "GET /admin/status",
    "GET /admin/me",
    "GET /health/live",
    "GET /health/ready",
    "GET /metrics",
    "GET /openapi.json",
    "GET /docs",
    "GET /docs/style.css",
    "GET /",
];

#[derive(JsonSchema, Serialize)]
pub(super) struct Index {
    service: &'static str,
    version: &'static str,
    routes: &'static [&'static str],
}

pub(super) async fn get(request: Request) -> Result<Response, Problem> {
    extract::no_parameters(request.uri())?;
    headers::accept_json(request.headers())?;
    let version = env!("CARGO_PKG_VERSION");
    Ok(json(StatusCode::OK, &Index { service: "retell", version, routes: &ROUTES }))
}
