//! `GET /metrics`: the numbers of this process in the text form of Prometheus.
//!
//! Labels are names that an application registered, partitions, and words of a fixed list: never
//! an id, a key or a text that came from outside. `docs/metrics.md` has the list of `families`.

mod clients;
mod exposition;
mod families;
mod process;
mod reacting;
mod reading;
mod service;
mod writing;

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::Response;
use futures_util::future::join_all;

use crate::contract::{Offset, Partition};

use super::answers::Answers;
use super::problem::{self, Problem};
use super::queries::NO_CACHE;
use super::{Door, extract};
use exposition::Exposition;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Microseconds in a second.
const MICROS: f64 = 1e6;

/// How long the log has to say where it ends.
const END_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) async fn get(
    State(door): State<Arc<Door>>,
    Extension(answers): Extension<Answers>,
    request: Request,
) -> Result<Response, Problem> {
    if !door.metrics {
        return Err(problem::no_route(request.uri().clone()).await);
    }
    extract::no_parameters(request.uri())?;
    let mut all = Exposition::default();
    let (ends, ()) = tokio::join!(ends(&door), service::put(&door, &answers, &mut all));
    writing::put(&door, &ends, &mut all);
    reading::put(&door, &mut all);
    reacting::put(&door, &ends, &mut all).await;
    clients::put(&door, &mut all);
    process::put(&door, &mut all);
    let mut response = Response::new(Body::from(all.render()));
    response.headers_mut().insert(CONTENT_TYPE, TEXT);
    response.headers_mut().insert(CACHE_CONTROL, NO_CACHE);
    Ok(response)
}

/// Where each partition ends, as far as the log says it in time.
async fn ends(door: &Door) -> Vec<(Partition, Option<Offset>)> {
    let end = |partition| async move {
        let end = tokio::time::timeout(END_TIMEOUT, door.log.end(partition)).await;
        (partition, end.ok().and_then(Result::ok))
    };
    join_all(door.log.partitions().iter().map(end)).await
}
