//! What is around every request: its id, the end of a panic, and the form of a problem.
//!
//! One layer, because each costs every request; and no `from_fn`, which boxes the service and
//! its future once more for each.

use std::any::Any;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tower::{Layer, Service};

use crate::spans::{self, Span};

use super::headers::{self, TRACEPARENT, X_REQUEST_ID};
use super::problem::{self, Problem};
use super::request_id::{RequestId, RequestIds};

/// The longest URI that is looked at. An id of 200 bytes needs 600; what is longer by far is a
/// mistake, but one that is answered in our own words, so it is well below what hyper takes.
const URI_LEN_MAX: usize = 32 * 1024;

/// What the name of a span may say of a path.
const KINDS: [&str; 8] =
    ["commands", "projections", "aggregates", "events", "traces", "admin", "health", "metrics"];

/// Puts a [`Frame`] around a service.
#[derive(Clone)]
pub(super) struct FrameLayer(pub(super) RequestIds);

/// Names the request, runs it, and gives every problem its document.
#[derive(Clone)]
pub(super) struct Frame<S> {
    ids: RequestIds,
    inner: S,
}

impl<S> Layer<S> for FrameLayer {
    type Service = Frame<S>;

    fn layer(&self, inner: S) -> Frame<S> {
        Frame { ids: self.0.clone(), inner }
    }
}

impl<S> Service<Request> for Frame<S>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send + 'static>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let id = self.ids.of(request.headers());
        let uri = request.uri().clone();
        // For the lines of a batch, each of which may be a problem.
        request.extensions_mut().insert(id.clone());
        let span = begun(&mut request);
        let run = if is_too_long(&uri) { None } else { Some(self.inner.call(request)) };
        Box::pin(async move {
            let response = match run {
                Some(run) => match AssertUnwindSafe(run).catch_unwind().await {
                    Ok(Ok(response)) => response,
                    Ok(Err(never)) => match never {},
                    Err(panic) => panicked(&*panic).into_response(),
                },
                None => Problem::UriTooLong { max: URI_LEN_MAX }.into_response(),
            };
            let mut response = problem::document(response, &id, &uri);
            if let Some(span) = span {
                ended(span, &uri, &id, &response);
            }
            response.headers_mut().insert(X_REQUEST_ID, id.into_header());
            Ok(response)
        })
    }
}

/// The span of a request that is traced. What is done for it belongs to that span from here on: a
/// command takes the header into its record.
fn begun(request: &mut Request) -> Option<Span> {
    let given = request.headers().get(TRACEPARENT).and_then(|text| text.to_str().ok());
    let mut span = spans::request(given)?;
    span.name = request.method().to_string().into();
    let context = headers::value(span.context.to_string());
    request.headers_mut().insert(TRACEPARENT, context);
    Some(span)
}

/// The first word of the path says what was asked for; ids are no names.
fn ended(mut span: Span, uri: &Uri, id: &RequestId, response: &Response) {
    if let Some(kind) = uri.path().split('/').find(|word| KINDS.contains(word)) {
        span.name = format!("{} /{kind}", span.name).into();
    }
    span.has_failed = response.status().is_server_error();
    drop(
        span.with("url.path", uri.path())
            .with("http.response.status_code", response.status().as_u16())
            .with("retell.request", id.as_str()),
    );
}

/// The problem of a handler that panicked.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Problem {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    Problem::Panic(text.unwrap_or_else(|| "a panic without a message".to_owned()))
}

fn is_too_long(uri: &Uri) -> bool {
    uri.path_and_query().is_some_and(|text| text.as_str().len() > URI_LEN_MAX)
}
