//! `POST /commands/{aggregate}/{id}`: one command in, what it decided out.
//!
//! Every answer names the command, problems too: with that id its fate can be asked for.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use serde::{Serialize, Serializer};

use crate::contract::{Position, Version};
use crate::events::CommandId;
use crate::write::{CommandError, Done, SendOptions};

use super::headers::{JSON, RETELL_COMMAND_ID, RETELL_POSITION};
use super::problem::Problem;
use super::{Door, body, extract, frame, headers};

/// Bytes of an answer beside its texts, so that it is written without growing.
const ANSWER_LEN: usize = 256;
/// Bytes of an event beside its content.
const EVENT_LEN: usize = 192;

/// The answer to a command that was done.
#[derive(Serialize)]
struct Answer<'a> {
    aggregate: Aggregate<'a>,
    version: Version,
    position: Position,
    command_id: &'a str,
    events: Events<'a>,
}

#[derive(Serialize)]
struct Aggregate<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: &'a str,
}

struct Events<'a>(&'a Done);

impl Serialize for Events<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.events())
    }
}

pub(super) async fn post(State(door): State<Arc<Door>>, request: Request) -> Response {
    let command_id = door.commands.new_command_id();
    let name = headers::value(command_id.as_str().to_owned());
    let run = AssertUnwindSafe(run(&door, request, command_id)).catch_unwind();
    let mut response = match run.await {
        Ok(Ok(done)) => answer(&done),
        Ok(Err(problem)) => problem.into_response(),
        Err(panic) => frame::panicked(&*panic).into_response(),
    };
    response.headers_mut().insert(RETELL_COMMAND_ID, name);
    response
}

async fn run(door: &Door, request: Request, command_id: CommandId) -> Result<Done, Problem> {
    let (request, body) = request.into_parts();
    // The body first: a refusal while the client still sends would be lost with the connection.
    let limits = &door.http;
    let json = body::read(&request.headers, body, limits.body_bytes_max, limits.request_timeout);
    let json = json.await?;
    let (aggregate, id) = extract::name_and_key(&request.uri, "id")?;
    extract::no_parameters(&request.uri)?;
    headers::accept_json(&request.headers)?;
    headers::refuse_unsupported(&request.headers)?;
    body::expect_json(&request.headers)?;
    let metadata = headers::metadata(&request.headers)?;
    let options = SendOptions { command_id: Some(command_id), metadata, ..SendOptions::default() };
    door.commands.submit(&aggregate, &id, json, options).await.map_err(Problem::from)
}

fn answer(done: &Done) -> Response {
    let events_len =
        done.events.iter().map(|event| EVENT_LEN + event.data.get().len()).sum::<usize>();
    let mut json = Vec::with_capacity(ANSWER_LEN + done.target.as_str().len() + events_len);
    let answer = Answer {
        aggregate: Aggregate { kind: done.target.aggregate_type(), id: done.target.id() },
        version: done.version,
        position: done.position,
        command_id: done.command_id.as_str(),
        events: Events(done),
    };
    serde_json::to_writer(&mut json, &answer).expect("an answer has string keys only");
    let mut response = Response::new(Body::from(json));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(ETAG, headers::value(format!("\"{}\"", done.version)));
    headers.insert(RETELL_POSITION, headers::value(done.position.to_string()));
    response
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Refused { refusal, .. } | CommandError::RefusedBefore { refusal } => {
                Self::Refused(refusal)
            }
            CommandError::Failed(failure) => Self::Command(failure),
        }
    }
}
