//! The dashboard: a page and its scripts, built into the binary and sent as they are.
//!
//! They hold no data and are open to everyone; what the page shows, its scripts ask the API for
//! with what the person who looks at it may see. A browser runs nothing else on it: everything
//! comes from here, and no text can become markup or a script.

mod files;

use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use axum::{Router, routing};

use crate::events::Fingerprint;

use super::problem::Problem;
use super::queries::NO_CACHE;
use super::{Door, extract, headers};

use files::{FILES, File, PAGE};

/// What a browser lets the page do: see <https://www.w3.org/TR/CSP3/>.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'",
);

/// Of all files, since they come and go together, with the binary.
static TAG: LazyLock<String> = LazyLock::new(|| {
    let all: Vec<&str> = FILES.iter().chain([&PAGE]).map(|file| file.content).collect();
    format!("\"{}\"", Fingerprint::of(all.concat().as_bytes()))
});

/// The page itself.
pub(super) fn page(asked: &HeaderMap) -> Response {
    send(&PAGE, asked)
}

/// The files that the page consists of: for it alone, and no part of the API.
pub(super) fn files() -> Router<Arc<Door>> {
    Router::new().route("/dashboard/{*file}", routing::get(file))
}

async fn file(request: Request) -> Result<Response, Problem> {
    extract::no_parameters(request.uri())?;
    let path = request.uri().path();
    let name = path.split_once("/dashboard/").map_or("", |(_, name)| name);
    let found = FILES.iter().find(|file| file.path == name);
    let found = found.ok_or_else(|| Problem::NoRoute(path.chars().take(200).collect()))?;
    Ok(send(found, request.headers()))
}

fn send(file: &File, asked: &HeaderMap) -> Response {
    let is_known = headers::none_match(asked, &TAG);
    let mut response = Response::new(Body::from(if is_known { "" } else { file.content }));
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let answer = response.headers_mut();
    answer.insert(CONTENT_TYPE, HeaderValue::from_static(file.content_type));
    answer.insert(CACHE_CONTROL, NO_CACHE);
    answer.insert(ETAG, headers::value(TAG.clone()));
    answer.insert(CONTENT_SECURITY_POLICY, POLICY);
    answer.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
