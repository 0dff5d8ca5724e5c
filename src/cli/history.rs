//! `retell history TYPE/ID`: every event of an aggregate, page by page, the oldest first.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::service::{Client, Service};
use super::table::table;
use super::{Outcome, Usage, say};

/// Events that are asked for at once.
const PAGE_LEN: usize = 500;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The aggregate, such as account/ann
    #[arg(value_name = "TYPE/ID")]
    aggregate: String,
    /// Print each event as JSON, one a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: Service,
}

/// What the service says of a page of the history.
#[derive(Deserialize)]
struct Page {
    items: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

/// An event, as far as it is shown.
#[derive(Deserialize)]
struct Event {
    version: u64,
    time: String,
    #[serde(rename = "type")]
    event_type: String,
    position: String,
    id: String,
    command_id: String,
    data: Box<RawValue>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<Outcome> {
    let wrong = || Usage(format!("`{}` is no aggregate; write TYPE/ID", args.aggregate));
    let (aggregate_type, id) = args.aggregate.split_once('/').ok_or_else(wrong)?;
    let client = args.service.client()?;
    let mut cursor = None;
    loop {
        let page = page(&client, aggregate_type, id, cursor.as_deref()).await?;
        if args.json {
            page.items.iter().try_for_each(|item| say(item.get()))?;
        } else {
            say(rows(&page)?.trim_matches('\n'))?;
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(Outcome::Done);
        }
    }
}

async fn page(
    client: &Client,
    aggregate_type: &str,
    id: &str,
    cursor: Option<&str>,
) -> anyhow::Result<Page> {
    let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
    let route = format!("aggregates/{}/{}/events", encoded(aggregate_type), encoded(id));
    let mut url = client.url(&route);
    url.query_pairs_mut().append_pair("limit", &PAGE_LEN.to_string());
    if let Some(cursor) = cursor {
        url.query_pairs_mut().append_pair("cursor", cursor);
    }
    Ok(client.get(url).await?.json()?)
}

fn rows(page: &Page) -> anyhow::Result<String> {
    let events: Vec<Event> =
        page.items.iter().map(|item| serde_json::from_str(item.get())).collect::<Result<_, _>>()?;
    let rows = events.into_iter().map(|event| {
        let Event { version, time, event_type, position, id, command_id, data } = event;
        [version.to_string(), time, event_type, position, id, command_id, data.get().to_owned()]
    });
    Ok(table(["version", "time", "event", "position", "id", "command", "data"], rows))
}
