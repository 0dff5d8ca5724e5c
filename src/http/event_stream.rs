//! Server-sent events: what becomes of something, told while it happens.
//!
//! A stream has no end of its own, so the door ends it when it closes; and a client that reads
//! slowly is sent the latest state, never a queue of old ones.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt};

use crate::shutdown::Shutdown;

/// How often a silent stream shows that it lives.
const COMMENT_INTERVAL: Duration = Duration::from_secs(15);

/// An answer that sends these events until they end, or the door closes.
pub(super) fn event_stream(
    events: impl Stream<Item = Event> + Send + 'static,
    closing: Shutdown,
) -> Response {
    let closed = async move { closing.requested().await };
    let events = events.take_until(Box::pin(closed)).map(Ok::<_, Infallible>);
    Sse::new(events).keep_alive(KeepAlive::new().interval(COMMENT_INTERVAL)).into_response()
}
