//! Event streams: of a view, of a projection's views, and of the log.
//!
//! The stream is read only when its client reads: what a slow one misses is not kept for it.

use std::time::Duration;

use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use axum::response::sse::Event;
use futures_util::StreamExt;
use futures_util::future::ready;
use futures_util::stream::{once, unfold};

use crate::contract::{Key, Partition, Positions};
use crate::read::{LogItem, Told, ViewEvent};

use super::Door;
use super::event_stream::event_stream;
use super::events::raw;
use super::headers::LAST_EVENT_ID;
use super::parameters::Parameters;
use super::problem::Problem;

/// How long a stream rests when the log or the store does not answer.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// The changes of one view, or of all of a projection.
pub(super) async fn of_views(
    door: &Door,
    asked: (&Uri, &HeaderMap),
    projection: &str,
    only: Option<Key>,
) -> Result<Response, Problem> {
    let (uri, headers) = asked;
    let after = after(headers, Parameters::read(uri, &["after"])?.text("after"))?;
    let stream = door.views.follow(projection, only, &after).await?;
    let events = unfold(stream, |mut stream| async move {
        let event = match stream.next().await {
            Ok(told) => of_view(told?),
            Err(_) => lagging().await,
        };
        Some((event, stream))
    });
    Ok(event_stream(events, door.closing.clone()))
}

/// The records of the log that are wanted.
pub(super) async fn records(
    door: &Door,
    partition: Option<Partition>,
    after: &Positions,
    wanted: impl Fn(&LogItem) -> bool + Send + Sync + 'static,
) -> Result<Response, Problem> {
    let stream = door.views.follow_log(partition, after).await?;
    let begun = at(stream.positions());
    let events = unfold((stream, wanted), |(mut stream, wanted)| async move {
        loop {
            match stream.next().await {
                Ok(told) => {
                    let (position, item) = told?;
                    if wanted(&item) {
                        let data = raw(position.partition, &item);
                        let event = Event::default().event("record").data(data.get());
                        let event = event.id(stream.positions().to_string());
                        return Some((event, (stream, wanted)));
                    }
                }
                Err(_) => return Some((lagging().await, (stream, wanted))),
            }
        }
    });
    Ok(event_stream(once(ready(begun)).chain(events), door.closing.clone()))
}

/// Where a client wants to go on: what it has seen, or `?after=` when it has seen nothing yet.
pub(super) fn after(headers: &HeaderMap, parameter: Option<&str>) -> Result<Positions, Problem> {
    let header = headers.get(LAST_EVENT_ID);
    let header = header.map(|value| value.to_str().unwrap_or("\u{fffd}"));
    match header.filter(|text| !text.is_empty()).or(parameter) {
        None => Ok(Positions::default()),
        Some(text) => text.parse().map_err(Problem::BadPosition),
    }
}

async fn lagging() -> Event {
    tokio::time::sleep(RETRY_DELAY).await;
    Event::default().event("lagging").data("{}")
}

fn of_view(told: Told) -> Event {
    let event = match told.event {
        ViewEvent::At => return at(told.positions),
        ViewEvent::Put { key, view } => {
            let view = one_line(&view);
            Event::default()
                .event("put")
                .data(format!("{{\"key\":{},\"view\":{view}}}", json(&key)))
        }
        ViewEvent::Delete { key } => {
            Event::default().event("delete").data(format!("{{\"key\":{}}}", json(&key)))
        }
        ViewEvent::Reset => Event::default().event("reset").data("{}"),
        ViewEvent::Lagging => Event::default().event("lagging").data("{}"),
    };
    event.id(told.positions.to_string())
}

/// Says where the stream begins.
fn at(positions: Positions) -> Event {
    Event::default().comment("nothing of the past").id(positions.to_string())
}

fn json(key: &Key) -> String {
    serde_json::to_string(key).expect("a key is a text")
}

/// A view is JSON as it is stored; between its tokens a line may end, which would end the data.
fn one_line(view: &[u8]) -> String {
    String::from_utf8_lossy(view).replace(['\r', '\n'], " ")
}
