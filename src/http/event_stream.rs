//! Server-sent events: what becomes of something, told while it happens.
//!
//! A stream has no end of its own, so the door ends it when it closes; and a client that reads
//! slowly is sent the latest state, never a queue of old ones.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt};

use crate::auth::{End, Principal};

use super::Door;

/// How often a silent stream shows that it lives.
const COMMENT_INTERVAL: Duration = Duration::from_secs(15);

/// An answer that sends these events until they end, the door closes, or the caller is none any
/// more, which it says.
pub(super) fn event_stream(
    events: impl Stream<Item = Event> + Send + 'static,
    door: &Door,
    caller: &Principal,
) -> Response {
    let (closing, caller, clock) = (door.closing.clone(), caller.clone(), door.authority.clock());
    let over = async move {
        tokio::select! {
            () = closing.requested() => None,
            end = caller.ended(&*clock) => Some(end),
        }
    };
    let begin = Some((Box::pin(events), Box::pin(over)));
    let events = unfold(begin, |state| async move {
        let (mut events, mut over) = state?;
        tokio::select! {
            biased;
            end = &mut over => end.map(|end| (last(end), None)),
            event = events.next() => event.map(|event| (event, Some((events, over)))),
        }
    });
    let events = events.map(Ok::<_, Infallible>);
    Sse::new(events).keep_alive(KeepAlive::new().interval(COMMENT_INTERVAL)).into_response()
}

fn last(end: End) -> Event {
    Event::default().event("end").data(format!("{{\"reason\":\"{}\"}}", end.as_str()))
}
