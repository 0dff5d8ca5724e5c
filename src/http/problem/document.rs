//! The document of a problem (RFC 9457), and its line in the log.
//!
//! The document is made in one place, so no error leaves without a code and the request's id.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, ETAG, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Uri};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use crate::contract::Version;

use super::super::headers::{RETELL_POSITION, value, version_tag};
use super::super::health::Reason;
use super::super::request_id::RequestId;
use super::Problem;
use super::answer::{Answer, Category};

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The document, or the rest of a batch's line that is a problem.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Problem")]
pub(in super::super) struct Document<'a> {
    #[serde(rename = "type")]
    kind: String,
    code: Cow<'static, str>,
    title: &'static str,
    status: u16,
    detail: String,
    instance: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_version: Option<Version>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    indexes: Option<&'a [Vec<&'static str>]>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    reasons: &'a [Reason],
    #[serde(skip)]
    retry_after_secs: Option<u32>,
}

impl<'a> Document<'a> {
    /// Tells the log, too.
    pub(in super::super) fn of(problem: &'a Problem, id: &'a RequestId, uri: &Uri) -> Self {
        let answer = problem.answer();
        log(problem, &answer, id, uri);
        Self {
            kind: format!("urn:retell:problem:{}", answer.category.name()),
            title: answer.category.title(),
            status: answer.status.as_u16(),
            detail: problem.to_string(),
            instance: id.as_str(),
            current_version: problem.current_version(),
            parameter: problem.parameter(),
            indexes: problem.indexes(),
            reasons: match problem {
                Problem::NotReady(reasons) => reasons,
                _ => &[],
            },
            retry_after_secs: answer.retry_after_secs,
            code: answer.code,
        }
    }

    /// When the same may succeed, in seconds.
    pub(in super::super) const fn retry_after(&self) -> Option<u32> {
        self.retry_after_secs
    }
}

/// Puts the document into a response that a problem became; leaves any other as it is.
pub(in super::super) fn document(mut response: Response, id: &RequestId, uri: &Uri) -> Response {
    let Some(problem) = response.extensions_mut().remove::<Arc<Problem>>() else {
        return response;
    };
    let document = Document::of(&problem, id, uri);
    let json = serde_json::to_vec(&document).expect("a document has string keys only");
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, PROBLEM_JSON);
    if let Some(secs) = document.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(secs));
    }
    if let Some(challenge) = problem.challenge() {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if let Some(on) = problem.decided_on() {
        headers.insert(ETAG, version_tag(on.version));
        headers.insert(RETELL_POSITION, value(on.position.to_string()));
    }
    *response.body_mut() = Body::from(json);
    response
}

/// What a client did wrong is its own matter; what is unavailable, the part that lost it logs.
fn log(problem: &Problem, answer: &Answer, id: &RequestId, uri: &Uri) {
    let (request, path, code) = (id.as_str(), uri.path(), &answer.code);
    let cause = || problem.cause();
    match answer.category {
        Category::Bug => tracing::error!(request, path, %code, cause = cause(), "request failed"),
        Category::OutcomeUnknown => tracing::warn!(request, path, %code, "outcome unknown"),
        Category::Unavailable => {
            tracing::debug!(request, path, %code, cause = cause(), "request turned away");
        }
        Category::Invalid
        | Category::NotFound
        | Category::Conflict
        | Category::Refused
        | Category::Denied => {}
    }
}
