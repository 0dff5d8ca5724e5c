//! What is around every request: its id, the end of a panic, and the form of a problem.
//!
//! One layer, because each costs every request.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use axum::extract::{Request, State};
use axum::http::Uri;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;

use super::headers::X_REQUEST_ID;
use super::problem::{self, Problem};
use super::request_id::RequestIds;

/// The longest URI that is looked at. An id of 200 bytes needs 600; what is longer by far is a
/// mistake, but one that is answered in our own words, so it is well below what hyper takes.
const URI_LEN_MAX: usize = 32 * 1024;

/// Names the request, runs it, and gives every problem its document.
pub(super) async fn around(
    State(ids): State<RequestIds>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = ids.of(request.headers());
    let uri = request.uri().clone();
    // For the lines of a batch, each of which may be a problem.
    request.extensions_mut().insert(id.clone());
    let run = run(&uri, request, next);
    let response = AssertUnwindSafe(run).catch_unwind().await;
    let response = response.unwrap_or_else(|panic| panicked(&*panic).into_response());
    let mut response = problem::document(response, &id, &uri);
    response.headers_mut().insert(X_REQUEST_ID, id.into_header());
    response
}

/// The problem of a handler that panicked.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Problem {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    Problem::Panic(text.unwrap_or_else(|| "a panic without a message".to_owned()))
}

async fn run(uri: &Uri, request: Request, next: Next) -> Response {
    if uri.path_and_query().is_some_and(|text| text.as_str().len() > URI_LEN_MAX) {
        return Problem::UriTooLong { max: URI_LEN_MAX }.into_response();
    }
    next.run(request).await
}
