//! `GET /schemas/{aggregate}/{event}/{schema}`: the JSON Schema of an event, to which the events of
//! the outbox refer.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::events::variant_content;

use super::problem::Problem;
use super::queries::json;
use super::{Door, extract, headers};

pub(super) async fn get(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    extract::no_parameters(request.uri())?;
    headers::accept_json(request.headers())?;
    let [aggregate, event, schema] = extract::last_three(request.uri())?;
    let kind = door.commands.kinds().find(|kind| kind.name().as_str() == aggregate);
    let found = kind
        .and_then(|kind| {
            // What an older or newer binary wrote, this one can read or not, but not describe.
            let is_known = kind.known_event_schema(&event).to_string() == schema;
            is_known.then(|| variant_content(&kind.event_schema(), &event)).flatten()
        })
        .ok_or_else(|| Problem::NoSchema(format!("{aggregate}/{event}/{schema}")))?;
    Ok(json(StatusCode::OK, &found))
}
