//! The answers to a command, alone or as a line of a batch.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::contract::{Position, Version};
use crate::write::{CommandError, Done, DoneEvent, Failure};

use super::super::headers::{self, IDEMPOTENCY_REPLAYED, JSON, RETELL_POSITION};
use super::super::problem::Problem;

/// Bytes of an answer beside its texts, so that it is written without growing.
const ANSWER_LEN: usize = 256;
/// Bytes of an event beside its content.
const EVENT_LEN: usize = 192;

/// Why a command has no other answer than a problem.
#[derive(Debug)]
pub(super) struct Undone {
    pub(super) problem: Problem,
    /// Whether it was refused when it first came, and this is the same answer again.
    pub(super) replayed: bool,
}

/// The answer to a command that was done.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "CommandAnswer")]
pub(in super::super) struct Answer<'a> {
    aggregate: Aggregate<'a>,
    version: Version,
    position: Position,
    command_id: &'a str,
    #[schemars(with = "Vec<DoneEvent<'_>>")]
    events: Events<'a>,
}

#[derive(JsonSchema, Serialize)]
#[schemars(inline)]
struct Aggregate<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: &'a str,
}

struct Events<'a>(&'a Done);

impl<'a> Answer<'a> {
    pub(super) fn of(done: &'a Done) -> Self {
        Self {
            aggregate: Aggregate { kind: done.target.aggregate_type(), id: done.target.id() },
            version: done.version,
            position: done.position,
            command_id: done.command_id.as_str(),
            events: Events(done),
        }
    }
}

impl Serialize for Events<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.events())
    }
}

/// About how many bytes the answer takes.
pub(super) fn len_of(done: &Done) -> usize {
    let events = done.events.iter().map(|event| EVENT_LEN + event.data.get().len());
    ANSWER_LEN + done.target.as_str().len() + events.sum::<usize>()
}

pub(super) fn done(done: &Done) -> Response {
    let mut json = Vec::with_capacity(len_of(done));
    serde_json::to_writer(&mut json, &Answer::of(done)).expect("an answer has string keys only");
    let mut response = Response::new(Body::from(json));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(ETAG, headers::version_tag(done.version));
    headers.insert(RETELL_POSITION, headers::value(done.position.to_string()));
    if done.replayed {
        headers.insert(IDEMPOTENCY_REPLAYED, headers::TRUE);
    }
    response
}

impl Undone {
    /// With a key the client may send the command again even if it may have been done.
    pub(super) fn new(error: CommandError, has_key: bool) -> Self {
        let is_before = matches!(error, CommandError::RefusedBefore { .. });
        let problem = match error {
            CommandError::Refused { refusal, on, .. }
            | CommandError::RefusedBefore { refusal, on } => Problem::Refused { refusal, on },
            CommandError::Failed(Failure::OutcomeUnknown) if has_key => Problem::OutcomeUnknown,
            CommandError::Failed(failure) => Problem::Command(failure),
        };
        Self { problem, replayed: is_before }
    }
}

impl From<Problem> for Undone {
    fn from(problem: Problem) -> Self {
        Self { problem, replayed: false }
    }
}

impl IntoResponse for Undone {
    fn into_response(self) -> Response {
        let mut response = self.problem.into_response();
        if self.replayed {
            response.headers_mut().insert(IDEMPOTENCY_REPLAYED, headers::TRUE);
        }
        response
    }
}
