//! One answer among many, on a line of its own: an answer or a problem document, and what it is
//! the answer to.

use axum::http::{StatusCode, Uri};
use schemars::JsonSchema;
use serde::Serialize;

use crate::contract::{Position, Version};
use crate::write::Done;

use super::super::problem::Document;
use super::super::request_id::RequestId;
use super::answer::{self, Answer, Undone};

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "{Of}Done")]
pub(in super::super) struct DoneLine<'a, Of> {
    #[serde(flatten)]
    of: Of,
    status: u16,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replayed: bool,
    #[serde(flatten)]
    answer: Answer<'a>,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "{Of}Problem")]
pub(in super::super) struct ProblemLine<'a, Of> {
    #[serde(flatten)]
    of: Of,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replayed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    command_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<Version>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u32>,
    #[serde(flatten)]
    document: Document<'a>,
}

/// Writes the answer to a command that was done.
pub(super) fn write_done(of: impl Serialize, done: &Done, to: &mut Vec<u8>) {
    to.reserve(answer::len_of(done));
    let (status, replayed) = (StatusCode::OK.as_u16(), done.replayed);
    write(&DoneLine { of, status, replayed, answer: Answer::of(done) }, to);
}

/// Writes the problem that a command has instead; the log hears of it under this request and path.
pub(super) fn write_problem(
    of: impl Serialize,
    command_id: Option<&str>,
    undone: &Undone,
    (request, uri): (&RequestId, &Uri),
    to: &mut Vec<u8>,
) {
    let document = Document::of(&undone.problem, request, uri);
    let (replayed, retry_after) = (undone.replayed, document.retry_after());
    let on = undone.problem.decided_on();
    let (version, position) = on.map(|on| (on.version, on.position)).unzip();
    let line = ProblemLine { of, replayed, command_id, version, position, retry_after, document };
    write(&line, to);
}

fn write(line: &impl Serialize, to: &mut Vec<u8>) {
    serde_json::to_writer(to, line).expect("an answer has string keys only");
}
