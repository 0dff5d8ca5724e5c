//! `POST /commands`: envelopes in, one answer each out, both at once and without end.
//!
//! A task reads lines and hands them to the writers; what they answer is written in the order of
//! the lines. One bounded queue between the two holds the answers that are not read: when it is
//! full, no further line is read. A client that goes away ends the reading, and nothing else.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{FutureExt, Stream, stream};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::auth::{Principal, Role};
use crate::events::{CommandId, Envelope, Metadata};
use crate::write::{Expected, FullPartitions, SendOptions, Sent};

use super::super::headers::{IDEMPOTENCY_KEY, NDJSON};
use super::super::problem::Problem;
use super::super::request_id::RequestId;
use super::super::{Door, body, entrance, extract, frame, headers};
use super::answer::Undone;
use super::line;
use super::lines::Lines;

/// Answers that are ready are sent together, up to about so many bytes.
const CHUNK_LEN: usize = 64 * 1024;

/// A line that was read: its command is under way, or it has none.
struct Taken {
    number: u64,
    command_id: Option<CommandId>,
    has_key: bool,
    fate: Fate,
}

/// A command that was taken, or why a line has none.
enum Fate {
    Sent(Box<Sent>),
    Undone(Problem),
}

/// Who sends a batch, and what each of its commands carries.
struct Sender {
    caller: Principal,
    metadata: Metadata,
}

/// Which line an answer is to.
#[derive(Clone, Copy, JsonSchema, Serialize)]
#[schemars(rename = "BatchLine")]
pub(in super::super) struct OfLine {
    line: u64,
}

pub(in super::super) async fn post(
    State(door): State<Arc<Door>>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Result<Response, Problem> {
    let (request, body) = request.into_parts();
    let mut metadata = match check(&request.headers, &request.uri) {
        Ok(metadata) => metadata,
        Err(problem) => {
            body::pass_over(&request.headers, body).await;
            return Err(problem);
        }
    };
    let mut lines = Lines::of(body, door.http.body_bytes_max, door.http.idle_timeout);
    if body::waits_for_our_word(&request.headers) {
        lines.begin().await?;
    }
    let (sender, taken) = mpsc::channel(door.http.batch_unread_len_max);
    let caller = entrance::caller(&request.extensions).clone();
    metadata.actor = caller.known_name().map(str::to_owned);
    tokio::spawn(take_all(door, lines, Sender { caller, metadata }, sender));
    let mut response = Response::new(Body::from_stream(answers(taken, id, request.uri)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    Ok(response)
}

fn check(headers: &HeaderMap, uri: &Uri) -> Result<Metadata, Problem> {
    extract::no_parameters(uri)?;
    headers::accept(headers, NDJSON)?;
    body::expect(headers, NDJSON)?;
    let in_lines = [
        (IDEMPOTENCY_KEY, "Idempotency-Key", "is for one command; a line has its own `key`"),
        (IF_MATCH, "If-Match", "is for one command; a line has its own `expected_version`"),
        (IF_NONE_MATCH, "If-None-Match", "is for one command; a line has `expected_version`"),
    ];
    for (header, name, detail) in in_lines {
        if headers.contains_key(header) {
            return Err(Problem::BadHeader { name, detail });
        }
    }
    headers::metadata(headers)
}

/// Reads lines and hands them to the writers, until there are none or nobody wants their answers.
async fn take_all(door: Arc<Door>, mut lines: Lines, from: Sender, answers: mpsc::Sender<Taken>) {
    let mut full = FullPartitions::default();
    // Room for its answer first, then the line.
    while let Ok(room) = answers.reserve().await {
        let Some((number, line)) = lines.next().await else { return };
        room.send(match line {
            Ok(line) => take(&door, number, &line, &from, &mut full).await,
            Err(problem) => Taken::without_command(number, problem),
        });
    }
}

/// Waits until the writer has room: that keeps the order of an aggregate's lines.
async fn take(
    door: &Door,
    number: u64,
    line: &Bytes,
    from: &Sender,
    full: &mut FullPartitions,
) -> Taken {
    let envelope = match Envelope::parse(line) {
        Ok(envelope) => envelope,
        Err(error) => return Taken::without_command(number, Problem::BadLine(error)),
    };
    if let Err(problem) = from.may_send(door, &envelope).await {
        return Taken::without_command(number, problem);
    }
    let has_key = envelope.key.is_some();
    let command_id = envelope.key.unwrap_or_else(|| door.commands.new_command_id());
    let options = SendOptions {
        command_id: Some(command_id.clone()),
        repeatable: has_key,
        expected: envelope.expected_version.map(Expected::Version),
        metadata: from.metadata.clone(),
        ..SendOptions::default()
    };
    let json = line.slice_ref(envelope.command.get().as_bytes());
    let (commands, kind) = (&door.commands, &envelope.aggregate_type);
    let enqueue = commands.enqueue(kind, &envelope.id, json, options, full);
    // A command that panics while it is read is a bug of its own, and stops no other.
    let fate = match AssertUnwindSafe(enqueue).catch_unwind().await {
        Ok(Ok(sent)) => Fate::Sent(Box::new(sent)),
        Ok(Err(failure)) => Fate::Undone(Problem::Command(failure)),
        Err(panic) => Fate::Undone(frame::panicked(&*panic)),
    };
    Taken { number, command_id: Some(command_id), has_key, fate }
}

/// The answers in the order of the lines, those that are ready in one piece.
fn answers(
    taken: mpsc::Receiver<Taken>,
    id: RequestId,
    uri: Uri,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let begin = (taken, None::<Taken>, id, uri);
    stream::unfold(begin, |(mut taken, left, id, uri)| async move {
        let mut next = match left {
            Some(left) => Some(left),
            None => taken.recv().await,
        };
        let mut piece = Vec::new();
        while let Some(mut one) = next.take() {
            // What is ready goes out before anything is waited for.
            if !piece.is_empty() && !one.is_ready() {
                next = Some(one);
                break;
            }
            one.write(&id, &uri, &mut piece).await;
            if piece.len() >= CHUNK_LEN {
                break;
            }
            next = taken.try_recv().ok();
        }
        (!piece.is_empty()).then(|| (Ok(piece.into()), (taken, next, id, uri)))
    })
}

impl Sender {
    /// A line is as a request of its own, but one that waits for its turn.
    async fn may_send(&self, door: &Door, envelope: &Envelope<'_>) -> Result<(), Problem> {
        while let Err(wait) = self.caller.take_turn() {
            tokio::time::sleep(wait).await;
        }
        let kind = &envelope.aggregate_type;
        if !self.caller.grants().allow_for(Role::Write, kind) {
            let of = Some(kind.chars().take(100).collect());
            return Err(Problem::MissingRole { role: Role::Write, of });
        }
        let json = Some(envelope.command.get().as_bytes());
        super::permit(door, &self.caller, (kind, &envelope.id), json)
    }
}

impl Taken {
    const fn without_command(number: u64, problem: Problem) -> Self {
        Self { number, command_id: None, has_key: false, fate: Fate::Undone(problem) }
    }

    /// Whether the answer is there.
    fn is_ready(&mut self) -> bool {
        match &mut self.fate {
            Fate::Sent(sent) => sent.is_ready(),
            Fate::Undone(_) => true,
        }
    }

    /// Waits for the answer and writes it.
    async fn write(self, id: &RequestId, uri: &Uri, to: &mut Vec<u8>) {
        let of = OfLine { line: self.number };
        let undone = match self.fate {
            Fate::Sent(sent) => match sent.outcome().await {
                Ok(done) => {
                    line::write_done(of, &done, to);
                    return to.push(b'\n');
                }
                Err(error) => Undone::new(error, self.has_key),
            },
            Fate::Undone(problem) => problem.into(),
        };
        let command_id = self.command_id.as_ref().map(CommandId::as_str);
        line::write_problem(of, command_id, &undone, (id, uri), to);
        to.push(b'\n');
    }
}
