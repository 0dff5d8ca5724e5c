//! What is around every request: its id, its caller, the end of a panic, the form of a problem,
//! and the headers that every answer has.
//!
//! One layer, because each costs every request; and no `from_fn`, which boxes the service and
//! its future once more for each.

use std::any::Any;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tower::{Layer, Service};

use crate::spans::{self, Span};

use super::answers::{self, Answers};
use super::entrance::{Admission, Entrance};
use super::headers::{self, TRACEPARENT, X_REQUEST_ID};
use super::problem::{self, Problem};
use super::request_id::{RequestId, RequestIds};
use super::{body, shield};

/// The longest URI that is looked at. An id of 200 bytes needs 600; what is longer by far is a
/// mistake, but one that is answered in our own words, so it is well below what hyper takes.
const URI_LEN_MAX: usize = 32 * 1024;

/// Puts a [`Frame`] around a service.
#[derive(Clone)]
pub(super) struct FrameLayer {
    pub(super) ids: RequestIds,
    pub(super) entrance: Entrance,
    pub(super) answers: Answers,
    pub(super) base_path: Arc<str>,
    pub(super) is_tls: bool,
}

/// Names the request, lets it in, runs it, and gives every problem its document.
#[derive(Clone)]
pub(super) struct Frame<S> {
    layer: FrameLayer,
    inner: S,
}

/// What becomes of a request.
enum Fate<S, F> {
    Runs(F),
    Refused(Problem, Request),
    /// The issuer is asked first.
    Waits(S, Request, Entrance),
}

impl<S> Layer<S> for FrameLayer {
    type Service = Frame<S>;

    fn layer(&self, inner: S) -> Frame<S> {
        Frame { layer: self.clone(), inner }
    }
}

impl<S> Service<Request> for Frame<S>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send + 'static>
        + Clone
        + Send
        + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let id = self.layer.ids.of(request.headers());
        let uri = request.uri().clone();
        // For the lines of a batch, each of which may be a problem.
        request.extensions_mut().insert(id.clone());
        let span = begun(&mut request);
        let fate = if is_too_long(&uri) {
            Fate::Refused(Problem::UriTooLong { max: URI_LEN_MAX }, request)
        } else {
            match self.layer.entrance.admit(&mut request) {
                Admission::Enter => Fate::Runs(self.inner.call(request)),
                Admission::Refuse(problem) => Fate::Refused(problem, request),
                Admission::Ask => {
                    Fate::Waits(self.inner.clone(), request, self.layer.entrance.clone())
                }
            }
        };
        let (answers, base_path) = (self.layer.answers.clone(), self.layer.base_path.clone());
        let is_tls = self.layer.is_tls;
        Box::pin(async move {
            let response = match AssertUnwindSafe(fate.run()).catch_unwind().await {
                Ok(response) => response,
                Err(panic) => panicked(&*panic).into_response(),
            };
            let mut response = problem::document(response, &id, &uri);
            let path = uri.path().strip_prefix(&*base_path).unwrap_or_default();
            answers.count(path, response.status());
            if let Some(span) = span {
                ended(span, path, &uri, &id, &response);
            }
            response.headers_mut().insert(X_REQUEST_ID, id.into_header());
            shield::raise(response.headers_mut(), is_tls);
            Ok(response)
        })
    }
}

impl<S, F> Fate<S, F>
where
    S: Service<Request, Response = Response, Error = Infallible, Future = F>,
    F: Future<Output = Result<Response, Infallible>>,
{
    async fn run(self) -> Response {
        let ran = match self {
            Self::Runs(run) => run.await,
            Self::Refused(problem, request) => return refuse(problem, request).await,
            Self::Waits(mut inner, mut request, entrance) => match entrance.ask(&mut request).await
            {
                Ok(()) => inner.call(request).await,
                Err(problem) => return refuse(problem, request).await,
            },
        };
        match ran {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// The body first: a refusal while the client still sends would be lost with the connection.
async fn refuse(problem: Problem, request: Request) -> Response {
    let (request, body) = request.into_parts();
    body::pass_over(&request.headers, body).await;
    problem.into_response()
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
fn ended(mut span: Span, path: &str, uri: &Uri, id: &RequestId, response: &Response) {
    if let Some(kind) = answers::kind(path) {
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
