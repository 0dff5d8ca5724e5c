//! `GET /events`: the log, record by record, each with whether it counts and if not why.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::auth;
use crate::contract::{Offset, Partition, Position, Time};
use crate::read::{LogItem, LogQuery, TraceBy};

use super::aggregates::in_time;
use super::parameters::Parameters;
use super::problem::Problem;
use super::queries::{add_positions, json};
use super::records::{RecordItem, Value};
use super::wait::Wait;
use super::{Door, entrance, headers, streams};

/// Partitions that one page looks into at most, when none is named.
const PARTITIONS_MAX: usize = 16;

const PARAMETERS: &[&str] = &[
    "partition",
    "from",
    "type",
    "command",
    "correlation",
    "causation",
    "marks",
    "limit",
    "cursor",
];

/// Those of an event stream.
const STREAMED: &[&str] =
    &["partition", "from", "type", "command", "correlation", "causation", "marks", "after"];

#[derive(Default, JsonSchema, Serialize)]
#[schemars(rename = "LogPage")]
pub(super) struct Page {
    #[schemars(with = "Vec<RecordItem<'_>>")]
    items: Vec<Box<RawValue>>,
    next_cursor: Option<Position>,
    /// Of what belongs together: how many records are not here.
    #[serde(skip_serializing_if = "Option::is_none")]
    more: Option<u64>,
}

/// What a request asks for.
struct Asked {
    partition: Option<Partition>,
    /// None: from the beginning.
    from: Option<From>,
    cursor: Option<Position>,
    limit: usize,
    wanted: Wanted,
}

#[derive(Clone, Copy)]
enum From {
    Offset(Offset),
    Time(Time),
}

/// Which records.
struct Wanted {
    /// The type of an aggregate or of an event.
    kind: Option<String>,
    ids: Vec<(TraceBy, String)>,
    marks: Option<Vec<&'static str>>,
}

pub(super) async fn list(
    State(door): State<Arc<Door>>,
    request: Parts,
) -> Result<Response, Problem> {
    door.permit(entrance::caller(&request.extensions), auth::Asked::Log)?;
    if headers::wants_events(&request.headers) {
        return follow(&door, &request).await;
    }
    let asked = Asked::read(&door, &request.uri)?;
    headers::accept_json(&request.headers)?;
    let wait = Wait::of(&request.headers, &door.queries)?;
    let response = in_time(&door, async {
        match asked.wanted.ids.first() {
            Some((by, id)) if !asked.has_place() => together(&door, &asked, *by, id, &wait).await,
            _ => Ok(json(StatusCode::OK, &page(&door, &asked).await?)),
        }
    });
    Ok(wait.applied(response.await?))
}

/// The records from where it is asked for, or behind what the client has seen, or from now on.
async fn follow(door: &Door, request: &Parts) -> Result<Response, Problem> {
    let asked = Parameters::read(&request.uri, STREAMED)?;
    let after = streams::after(&request.headers, asked.text("after"))?;
    let (partition, wanted) = (partition(door, &asked)?, Wanted::read(&asked)?);
    let mut places = BTreeMap::new();
    if let Some(from) = from(&asked, partition)? {
        for home in door.log.partitions().iter() {
            if partition.is_none_or(|asked| asked == home) {
                places.insert(home, from.offset_in(door, home).await?);
            }
        }
    }
    let to = (door, request);
    streams::of_records(to, partition, places, &after, move |item| wanted.has(item)).await
}

/// The records of a trace, the earliest decided first.
async fn together(
    door: &Door,
    asked: &Asked,
    by: TraceBy,
    id: &str,
    wait: &Wait,
) -> Result<Response, Problem> {
    let traced = door.views.trace(by, id, asked.limit, &wait.after, wait.limit).await?;
    let mut items = Vec::with_capacity(traced.records.len());
    for (partition, item) in traced.records {
        let is_there = asked.partition.is_none_or(|asked| asked == partition);
        if is_there && asked.wanted.has(&item) {
            items.push((item.record.time, partition, item));
        }
    }
    items.sort_by_key(|(time, partition, item)| (*time, *partition, item.record.offset));
    let items = items.iter().map(|(_, partition, item)| raw(*partition, item)).collect();
    let page = Page { items, next_cursor: None, more: Some(traced.more) };
    let mut response = json(StatusCode::OK, &page);
    add_positions(&mut response, &traced.positions);
    Ok(response)
}

async fn page(door: &Door, asked: &Asked) -> Result<Page, Problem> {
    let mut page = Page::default();
    let partitions = door.log.partitions().iter().filter(|&it| asked.has(it));
    for (looked, partition) in partitions.enumerate() {
        let from = asked.start_in(door, partition).await?;
        let limit = asked.limit - page.items.len();
        if limit == 0 || looked == PARTITIONS_MAX {
            page.next_cursor = Some(Position { partition, offset: from });
            break;
        }
        let wanted = |item: &LogItem| asked.wanted.has(item);
        let bytes_max = door.history.page_bytes_max;
        let query = LogQuery { partition, from, limit, bytes_max, wanted: &wanted };
        let found = door.views.log_page(&query).await?;
        page.items.extend(found.items.iter().map(|item| raw(partition, item)));
        if let Some(offset) = found.next {
            page.next_cursor = Some(Position { partition, offset });
            break;
        }
    }
    Ok(page)
}

/// A record as it is shown.
pub(super) fn raw(partition: Partition, item: &LogItem) -> Box<RawValue> {
    let value = Value::read(item);
    to_raw_value(&RecordItem::of(partition, item, &value)).expect("a record has string keys only")
}

impl Asked {
    fn read(door: &Door, uri: &Uri) -> Result<Self, Problem> {
        let asked = Parameters::read(uri, PARAMETERS)?;
        let partition = partition(door, &asked)?;
        Ok(Self {
            partition,
            from: from(&asked, partition)?,
            cursor: asked.parsed::<Position>("cursor", "the next_cursor of an answer")?,
            limit: asked.limit(door.history.page_len_max)?,
            wanted: Wanted::read(&asked)?,
        })
    }

    /// Whether the log is read from some place on; an id only says then which records are wanted.
    const fn has_place(&self) -> bool {
        self.from.is_some() || self.cursor.is_some()
    }

    /// Whether a partition is asked for, and not read yet.
    fn has(&self, partition: Partition) -> bool {
        self.partition.is_none_or(|asked| asked == partition)
            && self.cursor.is_none_or(|cursor| cursor.partition <= partition)
    }

    async fn start_in(&self, door: &Door, partition: Partition) -> Result<Offset, Problem> {
        if let Some(cursor) = self.cursor.filter(|cursor| cursor.partition == partition) {
            return Ok(cursor.offset);
        }
        match self.from {
            Some(from) => from.offset_in(door, partition).await,
            None => Ok(Offset(0)),
        }
    }
}

impl Wanted {
    fn read(asked: &Parameters) -> Result<Self, Problem> {
        let ids = [
            (TraceBy::Correlation, "correlation"),
            (TraceBy::Causation, "causation"),
            (TraceBy::Command, "command"),
        ];
        let given = ids.into_iter().filter_map(|(by, name)| Some((by, asked.text(name)?.into())));
        Ok(Self {
            kind: asked.text("type").map(str::to_owned),
            ids: given.collect(),
            marks: asked.text("marks").map(marks).transpose()?,
        })
    }

    /// Whether a record is one of those that were asked for.
    fn has(&self, item: &LogItem) -> bool {
        if self.marks.as_ref().is_some_and(|marks| !marks.contains(&item.mark())) {
            return false;
        }
        if self.kind.is_none() && self.ids.is_empty() {
            return true;
        }
        let Value::Commit(commit) = Value::read(item) else { return false };
        let is_of = |kind: &String| {
            commit.aggregate.aggregate_type == *kind
                || commit.events.iter().any(|event| event.event_type == *kind)
        };
        let has = |(by, id): &(TraceBy, String)| match by {
            TraceBy::Correlation => commit.correlation_id.as_ref().is_some_and(|own| own == id),
            TraceBy::Causation => commit.causation_id.as_ref().is_some_and(|own| own == id),
            TraceBy::Command => commit.command_id == *id,
        };
        self.kind.as_ref().is_none_or(is_of) && self.ids.iter().all(has)
    }
}

impl From {
    async fn offset_in(self, door: &Door, partition: Partition) -> Result<Offset, Problem> {
        Ok(match self {
            Self::Offset(offset) => offset,
            Self::Time(time) => door.views.offset_at(partition, time).await?,
        })
    }
}

impl FromStr for From {
    type Err = crate::contract::InvalidTime;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(offset) => Ok(Self::Offset(Offset(offset))),
            Err(_) => text.parse().map(Self::Time),
        }
    }
}

fn partition(door: &Door, asked: &Parameters) -> Result<Option<Partition>, Problem> {
    let partition = asked.parsed::<u32>("partition", "the number of a partition")?;
    let partitions = door.log.partitions().count();
    if partition.is_some_and(|partition| partition >= partitions) {
        let detail = format!("must be 0 to {}, the log has no other", partitions - 1);
        return Err(Problem::BadParameter { name: "partition", detail });
    }
    Ok(partition.map(Partition))
}

fn from(asked: &Parameters, partition: Option<Partition>) -> Result<Option<From>, Problem> {
    let from = asked.parsed::<From>("from", "an offset or a time")?;
    if matches!(from, Some(From::Offset(_))) && partition.is_none() {
        let detail = "is an offset of one partition: say which, or give a time".to_owned();
        return Err(Problem::BadParameter { name: "from", detail });
    }
    Ok(from)
}

fn marks(text: &str) -> Result<Vec<&'static str>, Problem> {
    let find = |name: &str| LogItem::MARKS.into_iter().find(|known| *known == name.trim());
    text.split(',').map(find).collect::<Option<Vec<_>>>().ok_or_else(|| {
        let detail = format!("must be some of {}, separated by commas", LogItem::MARKS.join(", "));
        Problem::BadParameter { name: "marks", detail }
    })
}
