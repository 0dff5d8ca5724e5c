//! What replays and verifications have in common at the door: a body that says what, a Location,
//! a state as JSON or as events while it changes.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use uuid::Uuid;

use super::event_stream::event_stream;
use super::problem::Problem;
use super::queries::json;
use super::{Door, body, entrance, extract, headers};

/// How often a client that watches is told of progress, at most.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// A list of jobs.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "ListOf{T}")]
pub(super) struct List<T> {
    pub(super) items: Vec<T>,
}

/// Where the state of a job comes from.
pub(super) struct Watched<G> {
    pub(super) changes: watch::Receiver<()>,
    /// What it is now, and whether that is the end of it.
    pub(super) get: G,
}

/// Refuses what a request without a body cannot have.
pub(super) fn check(request: &Request) -> Result<(), Problem> {
    extract::no_parameters(request.uri())?;
    headers::accept_json(request.headers())
}

/// What a request asks for; without a body, the default.
pub(super) async fn asked<T: DeserializeOwned + Default>(
    door: &Door,
    request: Request,
) -> Result<T, Problem> {
    let (request, body) = request.into_parts();
    let limits = &door.http;
    let json = body::read(&request.headers, body, limits.body_bytes_max, limits.request_timeout);
    let json = json.await?;
    extract::no_parameters(&request.uri)?;
    headers::accept_json(&request.headers)?;
    if json.is_empty() && !request.headers.contains_key(CONTENT_TYPE) {
        return Ok(T::default());
    }
    body::expect_json(&request.headers)?;
    // Serde takes an array for a struct, too.
    if !json.trim_ascii_start().starts_with(b"{") {
        return Err(Problem::BadBody("expected a JSON object at line 1 column 1".to_owned()));
    }
    serde_json::from_slice(&json).map_err(|error| Problem::BadBody(error.to_string()))
}

/// The answer to who asked for a job that has begun.
pub(super) fn begun(route: &str, id: Uuid, status: &impl Serialize) -> Response {
    located(route, id, json(StatusCode::ACCEPTED, status))
}

/// The answer to who asked for one while another runs.
pub(super) fn running(route: &str, id: Uuid, problem: Problem) -> Response {
    located(route, id, problem.into_response())
}

/// The id of a job, in this segment of the path.
pub(super) fn id(what: &'static str, segment: &str) -> Result<Uuid, Problem> {
    let text = || segment.chars().take(100).collect();
    Uuid::try_parse(segment).map_err(|_| Problem::BadJobId { what, text: text() })
}

/// The state of a job, or its states from now to its end, as the client wants it.
pub(super) fn answer<T, G>(
    door: &Arc<Door>,
    request: &Request,
    watched: Watched<G>,
    unknown: Problem,
) -> Result<Response, Problem>
where
    T: Serialize + Send + 'static,
    G: Fn() -> Option<(T, bool)> + Send + Sync + 'static,
{
    extract::no_parameters(request.uri())?;
    let wants_events = headers::wants_events(request.headers());
    if !wants_events {
        headers::accept_json(request.headers())?;
    }
    let caller = entrance::caller(request.extensions());
    match (watched.get)() {
        None => Err(unknown),
        Some(_) if wants_events => Ok(event_stream(states(watched), door, caller)),
        Some((status, _)) => Ok(json(StatusCode::OK, &status)),
    }
}

/// The state now and after every change, up to the last.
fn states<T, G>(watched: Watched<G>) -> impl futures_util::Stream<Item = Event>
where
    T: Serialize,
    G: Fn() -> Option<(T, bool)>,
{
    unfold(Some((watched, String::new())), |watching| async move {
        let (mut watched, last) = watching?;
        loop {
            watched.changes.borrow_and_update();
            let (now, is_over) = json_of((watched.get)()?);
            if now != last {
                let event = Event::default().event("status").data(&now);
                return Some((event, (!is_over).then_some((watched, now))));
            }
            watched.changes.changed().await.ok()?;
            tokio::time::sleep(PROGRESS_INTERVAL).await;
        }
    })
}

fn json_of<T: Serialize>((status, is_over): (T, bool)) -> (String, bool) {
    (serde_json::to_string(&status).expect("an answer has string keys only"), is_over)
}

/// Relative to the list, wherever that is nested.
fn located(route: &str, id: Uuid, mut response: Response) -> Response {
    response.headers_mut().insert(LOCATION, headers::value(format!("{route}/{id}")));
    response
}
