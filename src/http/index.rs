//! `GET /`: the dashboard to a browser, the routes as JSON to everyone else.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{LOCATION, VARY};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::problem::Problem;
use super::queries::json;
use super::{Door, dashboard, extract, headers};

/// Every route, in the order of the table in [`super::router`]; the dashboard's files are its own
/// matter.
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

/// `GET /`, and `http.base_path` with a slash at its end or without.
pub(super) async fn get(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    extract::no_parameters(request.uri())?;
    let base_path = door.http.base_path.trim_end_matches('/');
    let response = if headers::wants_html(request.headers()) {
        // What is nested has no slash at its end: the page's links stand below one.
        match base_path.rsplit('/').next() {
            Some(last) if request.uri().path() == "/" && !last.is_empty() => below(last),
            _ => dashboard::page(request.headers()),
        }
    } else {
        headers::accept_json(request.headers())?;
        let version = env!("CARGO_PKG_VERSION");
        json(StatusCode::OK, &Index { service: "retell", version, routes: &ROUTES })
    };
    Ok(varying(response))
}

/// Sends a browser to the same place with a slash, wherever that is nested.
fn below(last: &str) -> Response {
    let mut response = StatusCode::PERMANENT_REDIRECT.into_response();
    response.headers_mut().insert(LOCATION, headers::value(format!("{last}/")));
    response
}

/// Two answers under one URL: a cache must not give one for the other.
fn varying(mut response: Response) -> Response {
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    response
}
