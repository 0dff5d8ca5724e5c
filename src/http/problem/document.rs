//! The document of a problem (RFC 9457), and its line in the log.
//!
//! The document is made in one place, so no error leaves without a code and the request's id.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Uri};
use axum::response::Response;
use serde::Serialize;

use super::super::health::Reason;
use super::super::request_id::RequestId;
use super::Problem;
use super::answer::{Answer, Category};

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: String,
    code: &'a str,
    title: &'static str,
    status: u16,
    detail: String,
    instance: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    reasons: &'a [Reason],
}

/// Puts the document into a response that a problem became; leaves any other as it is.
pub(in super::super) fn document(mut response: Response, id: &RequestId, uri: &Uri) -> Response {
    let Some(problem) = response.extensions_mut().remove::<Arc<Problem>>() else {
        return response;
    };
    let answer = problem.answer();
    log(&problem, &answer, id, uri);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, PROBLEM_JSON);
    if let Some(secs) = answer.retry_after_secs {
        headers.insert(RETRY_AFTER, HeaderValue::from(secs));
    }
    *response.body_mut() = Body::from(json(&problem, &answer, id));
    response
}

fn json(problem: &Problem, answer: &Answer, id: &RequestId) -> Vec<u8> {
    let document = Document {
        kind: format!("urn:retell:problem:{}", answer.category.name()),
        code: &answer.code,
        title: answer.category.title(),
        status: answer.status.as_u16(),
        detail: problem.to_string(),
        instance: id.as_str(),
        reasons: match problem {
            Problem::NotReady(reasons) => reasons,
            _ => &[],
        },
    };
    serde_json::to_vec(&document).expect("a document has string keys only")
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
        Category::Invalid | Category::NotFound | Category::Conflict | Category::Refused => {}
    }
}
