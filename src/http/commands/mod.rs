//! `/commands`: one command in, what it decided out; or a batch of them.
//!
//! Every answer names the command, problems too: with that id its fate can be asked for.

mod answer;
mod batch;
mod conditions;
mod inbox;
mod line;
mod lines;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::FutureExt;
use uuid::Uuid;

use crate::auth::{Asked, Principal};
use crate::contract::Key;
use crate::events::{CommandId, Metadata};
use crate::write::{Done, SendOptions};

use super::headers::{self, RETELL_COMMAND_ID};
use super::problem::Problem;
use super::{Door, body, entrance, extract, frame};
use answer::Undone;

pub(super) use answer::Answer;
pub(super) use batch::{OfLine, post as post_batch};
pub use inbox::InboxWording;
pub(super) use line::{DoneLine, ProblemLine};

/// The namespace of the ids that we choose for a command with a key.
const IDS: Uuid = Uuid::from_u128(0x8c0f_6d1e_52b7_4c39_9a64_1f07_d3e8_b25a);

/// Where a path says the aggregate's id, or leaves it to us.
type Place = fn(&Door, &Principal, &Uri, Option<&CommandId>) -> Result<(String, Key), Problem>;

/// `POST /commands/{aggregate}/{id}`
pub(super) async fn post(State(door): State<Arc<Door>>, request: Request) -> Response {
    answered(&door, request, named).await
}

/// `POST /commands/{aggregate}`
pub(super) async fn post_new(State(door): State<Arc<Door>>, request: Request) -> Response {
    answered(&door, request, chosen).await
}

/// `GET /commands/{aggregate}/{id}/{command_id}`
pub(super) async fn outcome(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    let uri = request.uri();
    let (aggregate, id, command_id) = extract::name_key_and_command(uri)?;
    extract::no_parameters(uri)?;
    headers::accept_json(request.headers())?;
    let caller = entrance::caller(request.extensions());
    permit(&door, caller, (&aggregate, &id), None)?;
    let found = door.commands.outcome(&aggregate, &id, command_id.clone()).await;
    let mut response = match found {
        Ok(Some(done)) => answer::done(&done),
        Ok(None) => Problem::NotCommitted(command_id.clone()).into_response(),
        Err(error) => Undone::new(error, true).into_response(),
    };
    response.headers_mut().insert(RETELL_COMMAND_ID, name_of(&command_id));
    Ok(response)
}

async fn answered(door: &Door, request: Request, place: Place) -> Response {
    let key = conditions::key(request.headers());
    let command_id = match &key {
        Ok(Some(key)) => key.clone(),
        Ok(None) | Err(_) => door.commands.new_command_id(),
    };
    let name = name_of(&command_id);
    let run = AssertUnwindSafe(run(door, request, place, key, command_id)).catch_unwind();
    let mut response = match run.await {
        Ok(Ok(done)) => answer::done(&done),
        Ok(Err(undone)) => undone.into_response(),
        Err(panic) => frame::panicked(&*panic).into_response(),
    };
    response.headers_mut().insert(RETELL_COMMAND_ID, name);
    response
}

async fn run(
    door: &Door,
    request: Request,
    place: Place,
    key: Result<Option<CommandId>, Problem>,
    command_id: CommandId,
) -> Result<Done, Undone> {
    let (request, body) = request.into_parts();
    // The body first: a refusal while the client still sends would be lost with the connection.
    let limits = &door.http;
    let json = body::read(&request.headers, body, limits.body_bytes_max, limits.request_timeout);
    let json: Bytes = json.await?;
    let key = key?;
    let caller = entrance::caller(&request.extensions);
    let (aggregate, id) = place(door, caller, &request.uri, key.as_ref())?;
    extract::no_parameters(&request.uri)?;
    headers::accept_json(&request.headers)?;
    body::expect_json(&request.headers)?;
    permit(door, caller, (&aggregate, &id), Some(&json))?;
    let actor = caller.known_name().map(str::to_owned);
    let options = SendOptions {
        command_id: Some(command_id),
        repeatable: key.is_some(),
        expected: conditions::expected(&request.headers)?,
        metadata: Metadata { actor, ..headers::metadata(&request.headers)? },
        ..SendOptions::default()
    };
    let done = door.commands.submit(&aggregate, &id, json, options).await;
    done.map_err(|error| Undone::new(error, key.is_some()))
}

/// What a user's own decision says about a command for an aggregate, or about its outcome.
fn permit(
    door: &Door,
    caller: &Principal,
    (aggregate, id): (&str, &Key),
    json: Option<&[u8]>,
) -> Result<(), Problem> {
    let Some(target) = door.judged(aggregate, id) else { return Ok(()) };
    door.permit(caller, Asked::Command { target: &target, json })
}

fn named(
    _: &Door,
    _: &Principal,
    uri: &Uri,
    _: Option<&CommandId>,
) -> Result<(String, Key), Problem> {
    extract::name_and_key(uri, "id").map(|(name, id)| (name.into_owned(), id))
}

/// The same id for the same key of the same caller, so that a command that is sent again meets its
/// aggregate again, and no other caller's.
fn chosen(
    door: &Door,
    caller: &Principal,
    uri: &Uri,
    key: Option<&CommandId>,
) -> Result<(String, Key), Problem> {
    let aggregate = extract::name(uri)?;
    let id = match key {
        // No part holds a NUL. Who is not asked has no name.
        Some(key) => {
            let caller = caller.known_name().unwrap_or_default();
            Uuid::new_v5(&IDS, format!("{caller}\0{aggregate}\0{key}").as_bytes())
        }
        None => door.commands.new_id(),
    };
    let id = Key::new(&id.to_string()).expect("a UUID is a key");
    Ok((aggregate.into_owned(), id))
}

fn name_of(command_id: &CommandId) -> axum::http::HeaderValue {
    headers::value(command_id.as_str().to_owned())
}
