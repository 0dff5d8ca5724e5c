//! The events of streams: of a view, of a projection's views, and of the log.
//!
//! A stream is asked for what comes next when its client has taken what came before.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::Response;
use axum::response::sse::Event;
use futures_util::stream::unfold;

use crate::contract::{Key, Offset, Partition, Positions};
use crate::read::{EventStream, LogItem, StreamEvent, Told, ViewChange};

use super::event_stream::event_stream;
use super::events::raw;
use super::headers::{self, LAST_EVENT_ID};
use super::parameters::Parameters;
use super::problem::Problem;
use super::{Door, entrance};

/// The changes of one view, or of all of a projection.
pub(super) async fn of_views(
    door: &Door,
    request: &Parts,
    projection: &str,
    only: Option<Key>,
) -> Result<Response, Problem> {
    let parameters = Parameters::read(&request.uri, &["after"])?;
    let after = after(&request.headers, parameters.text("after"))?;
    let stream = door.views.follow(projection, only, &after).await?;
    Ok(answer((door, request), stream, |change| match change {
        ViewChange::Put { key, view } => {
            // Stored as it is told: JSON, with nothing between its tokens.
            let view = String::from_utf8_lossy(view);
            let data = format!("{{\"key\":{},\"view\":{view}}}", json(key));
            Event::default().event("put").data(data)
        }
        ViewChange::Delete { key } => {
            Event::default().event("delete").data(format!("{{\"key\":{}}}", json(key)))
        }
    }))
}

/// The records of the log that are wanted.
pub(super) async fn of_records(
    (door, request): (&Door, &Parts),
    partition: Option<Partition>,
    from: BTreeMap<Partition, Offset>,
    after: &Positions,
    wanted: impl Fn(&LogItem) -> bool + Send + Sync + 'static,
) -> Result<Response, Problem> {
    let stream = door.views.follow_log(partition, from, after, wanted).await?;
    Ok(answer((door, request), stream, |(partition, item)| {
        Event::default().event("record").data(raw(*partition, item).get())
    }))
}

/// Where a client goes on: behind what it has seen, or when it has seen nothing yet behind
/// `?after=`, or what it would have a query wait for.
pub(super) fn after(asked: &HeaderMap, parameter: Option<&str>) -> Result<Positions, Problem> {
    let header = asked.get(LAST_EVENT_ID);
    let header = header.map(|value| value.to_str().unwrap_or("\u{fffd}"));
    match header.filter(|text| !text.is_empty()).or(parameter) {
        None => headers::positions(asked),
        Some(text) => text.parse().map_err(Problem::BadPosition),
    }
}

fn answer<T: Send + 'static>(
    (door, request): (&Door, &Parts),
    stream: EventStream<T>,
    show: impl Fn(&T) -> Event + Copy + Send + 'static,
) -> Response {
    let events = unfold(stream, move |mut stream| async move {
        let Told { event, positions } = stream.next().await?;
        let shown = match &event {
            StreamEvent::Here => Event::default().comment(""),
            StreamEvent::Change(change) => show(change),
            StreamEvent::Reset => Event::default().event("reset").data("{}"),
            StreamEvent::Lagging => Event::default().event("lagging").data("{}"),
        };
        // An empty id would make a client forget where it was.
        let id = (!positions.is_empty()).then(|| positions.to_string());
        Some((
            match id {
                Some(id) => shown.id(id),
                None => shown,
            },
            stream,
        ))
    });
    event_stream(events, door, entrance::caller(&request.extensions))
}

fn json(key: &Key) -> String {
    serde_json::to_string(key).expect("a key is a text")
}
