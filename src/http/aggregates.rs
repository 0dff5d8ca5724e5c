//! `/aggregates`: the state of an aggregate at a version or a time, and its history.
//!
//! Only the aggregate's own events are read and folded, a few at once, whatever else the log has.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::auth::Asked;
use crate::contract::{Key, Partition, Position, Time, Version};
use crate::events::Commit;
use crate::ports::LogRecord;
use crate::read::Aggregate;
use crate::write::{AnyKind, Failure, State as Folded};

use super::parameters::Parameters;
use super::problem::Problem;
use super::queries::{add_positions, json};
use super::records::{CommandItem, EventItem, events};
use super::wait::Wait;
use super::{Door, entrance, extract, headers};

#[derive(JsonSchema, Serialize)]
#[schemars(inline)]
struct Id<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: &'a str,
}

/// A state, and of when it is.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "AggregateState")]
pub(super) struct StateAnswer<'a> {
    aggregate: Id<'a>,
    version: Version,
    position: Position,
    time: Time,
    state: Box<RawValue>,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "AggregateHistory")]
pub(super) struct HistoryAnswer<'a> {
    aggregate: Id<'a>,
    /// The last version there is.
    version: Version,
    #[schemars(with = "Vec<HistoryItem<'_>>")]
    items: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

/// An event with the record that it is in.
#[derive(JsonSchema, Serialize)]
struct HistoryItem<'a> {
    #[serde(flatten)]
    event: EventItem<'a>,
    position: Position,
    #[serde(flatten)]
    command: CommandItem<'a>,
}

/// The state after some events.
struct At {
    state: Option<Folded>,
    version: Version,
    position: Position,
    time: Time,
}

/// `GET /aggregates/{aggregate}/{id}`
pub(super) async fn state(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    let (aggregate, id) = extract::name_and_key(request.uri(), "id")?;
    permit(&door, &request, &aggregate, &id)?;
    let asked = Parameters::read(request.uri(), &["version", "at"])?;
    let version = asked.parsed::<u64>("version", "a version such as 3")?.map(Version);
    let at = asked.parsed::<Time>("at", "a time such as 2026-11-22T10:00:00.000Z")?;
    if version.is_some() && at.is_some() {
        let detail = "says the same as `at`: give one of them".to_owned();
        return Err(Problem::BadParameter { name: "version", detail });
    }
    let wait = begin(&door, &request)?;
    let (kind, target, partition) = door.commands.home(&aggregate, &id).map_err(of_command)?;
    let answer = in_time(&door, async {
        let known = door.views.aggregate(&target, partition, &wait.after, wait.limit).await?;
        let response = match at_version(&door, kind.as_ref(), partition, &known, version, at).await
        {
            Ok(found) => answer_state(kind.as_ref(), &known, found)?,
            Err(problem) => problem.into_response(),
        };
        Ok(positioned(response, &known))
    });
    Ok(wait.applied(answer.await?))
}

/// `GET /aggregates/{aggregate}/{id}/events`
pub(super) async fn history(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    let (aggregate, id) = extract::name_and_key_before_last(request.uri())?;
    permit(&door, &request, &aggregate, &id)?;
    let asked = Parameters::read(request.uri(), &["from", "limit", "cursor"])?;
    let cursor = asked.parsed::<u64>("cursor", "the next_cursor of an answer")?;
    let from = asked.parsed::<u64>("from", "a version such as 3")?;
    let from = Version(cursor.or(from).unwrap_or(1).max(1));
    let limit = asked.limit(door.history.page_len_max)?;
    let wait = begin(&door, &request)?;
    let (_, target, partition) = door.commands.home(&aggregate, &id).map_err(of_command)?;
    let answer = in_time(&door, async {
        let known = door.views.aggregate(&target, partition, &wait.after, wait.limit).await?;
        if known.version() == Version::NONE {
            let problem = Problem::NoAggregate(target.clone()).into_response();
            return Ok(positioned(problem, &known));
        }
        let (items, next) = page(partition, &known, from, limit).await?;
        let answer = HistoryAnswer {
            aggregate: Id { kind: target.aggregate_type(), id: target.id() },
            version: known.version(),
            items,
            next_cursor: next.map(|next| next.to_string()),
        };
        Ok(positioned(json(StatusCode::OK, &answer), &known))
    });
    Ok(wait.applied(answer.await?))
}

fn permit(door: &Door, request: &Request, aggregate: &str, id: &Key) -> Result<(), Problem> {
    let Some(target) = door.judged(aggregate, id) else { return Ok(()) };
    door.permit(entrance::caller(request.extensions()), Asked::Aggregate(&target))
}

/// What all these queries begin with, after their parameters.
fn begin(door: &Door, request: &Request) -> Result<Wait, Problem> {
    headers::accept_json(request.headers())?;
    Wait::of(request.headers(), &door.queries)
}

/// A log that hangs must not hold the request.
pub(super) async fn in_time<T>(
    door: &Door,
    answer: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    let limit = door.http.request_timeout;
    let answer = tokio::time::timeout(limit, answer).await;
    answer.unwrap_or(Err(Problem::LogTooSlow { ms: limit.as_millis() }))
}

fn positioned(mut response: Response, known: &Aggregate) -> Response {
    add_positions(&mut response, &known.position().into());
    response
}

fn of_command(failure: Failure) -> Problem {
    Problem::Command(failure)
}

fn answer_state(kind: &dyn AnyKind, known: &Aggregate, found: At) -> Result<Response, Problem> {
    let target = known.target();
    let Some(state) = &found.state else {
        return Err(Problem::NotYet { target: target.clone() });
    };
    let state = kind.encode_state(state).map_err(|error| of_command(Failure::Bug(error)))?;
    let answer = StateAnswer {
        aggregate: Id { kind: target.aggregate_type(), id: target.id() },
        version: found.version,
        position: found.position,
        time: found.time,
        state,
    };
    let mut response = json(StatusCode::OK, &answer);
    response.headers_mut().insert(ETAG, headers::version_tag(found.version));
    Ok(response)
}

/// Folds the aggregate's events up to a version, to a time, or all.
async fn at_version(
    door: &Door,
    kind: &dyn AnyKind,
    partition: Partition,
    known: &Aggregate,
    version: Option<Version>,
    at: Option<Time>,
) -> Result<At, Problem> {
    let (target, last, max) = (known.target(), known.version(), door.history.fold_events_max);
    let to = version.unwrap_or(last);
    if last == Version::NONE {
        return Err(Problem::NoAggregate(target.clone()));
    }
    if to > last || to == Version::NONE {
        return Err(Problem::NoSuchVersion { target: target.clone(), last, asked: to });
    }
    if to.0 > max && at.is_none() {
        return Err(Problem::HistoryTooLong { max });
    }
    let position = known.position();
    let mut found = At { state: None, version: Version::NONE, position, time: Time::default() };
    let mut commits = known.commits(Version(1), to);
    loop {
        let records = commits.next().await?;
        if records.is_empty() {
            return Ok(found);
        }
        for record in &records {
            let commit = decoded(known, record, found.version)?;
            if at.is_some_and(|at| commit.time > at) {
                return Ok(found);
            }
            if found.version.0 >= max {
                return Err(Problem::HistoryTooLong { max });
            }
            let position = Position { partition, offset: record.offset };
            found = evolved(kind, known, found, position, &commit, to)?;
        }
    }
}

fn evolved(
    kind: &dyn AnyKind,
    known: &Aggregate,
    before: At,
    position: Position,
    commit: &Commit<'_>,
    to: Version,
) -> Result<At, Problem> {
    // A version may be in the middle of what one command decided.
    let wanted = usize::try_from(to.0 - before.version.0).unwrap_or(usize::MAX);
    let events = &commit.events[..commit.events.len().min(wanted)];
    let (state, version) = (before.state, before.version.plus(events.len()));
    let evolve = AssertUnwindSafe(|| kind.evolve(state, events));
    match catch_unwind(evolve) {
        Ok(Ok(state)) => Ok(At { state: Some(state), version, position, time: commit.time }),
        Ok(Err(error)) => Err(unreadable(known, &format!("{position}: {error}"))),
        Err(_) => Err(unreadable(known, &format!("{position}: apply panicked"))),
    }
}

/// The commit in a record, which must be the one after this version.
fn decoded<'r>(
    known: &Aggregate,
    record: &'r LogRecord,
    before: Version,
) -> Result<Commit<'r>, Problem> {
    let at = record.offset;
    match Commit::decode(&record.value) {
        Ok(commit) if !commit.is_of(known.target()) => {
            Err(unreadable(known, &format!("offset {at} is another aggregate's")))
        }
        Ok(commit) if commit.first_version != before.next() => {
            let found = commit.first_version;
            Err(unreadable(known, &format!("offset {at}: version {found} follows {before}")))
        }
        Ok(commit) => Ok(commit),
        Err(error) => Err(unreadable(known, &format!("offset {at}: {error}"))),
    }
}

fn unreadable(known: &Aggregate, detail: &str) -> Problem {
    let target = known.target().to_string();
    Problem::Command(Failure::HistoryUnreadable { target, detail: detail.to_owned() })
}

/// The events from a version on, and the version that the next page begins with.
async fn page(
    partition: Partition,
    known: &Aggregate,
    from: Version,
    limit: usize,
) -> Result<(Vec<Box<RawValue>>, Option<Version>), Problem> {
    let to = Version(from.0.saturating_add(limit as u64 - 1));
    let mut commits = known.commits(from, to);
    let (mut items, mut bytes) = (Vec::new(), 0);
    let mut next = from;
    loop {
        let records = commits.next().await?;
        if records.is_empty() || bytes >= known.page_bytes_max() {
            return Ok((items, Some(next).filter(|next| *next <= known.version())));
        }
        for record in &records {
            let commit = Commit::decode(&record.value)
                .map_err(|error| unreadable(known, &format!("{}: {error}", record.offset)))?;
            let position = Position { partition, offset: record.offset };
            for event in events(&commit) {
                if (next..=to).contains(&event.version) {
                    next = event.version.next();
                    let command = CommandItem::of(&commit);
                    let item = HistoryItem { event, position, command };
                    let item = serde_json::value::to_raw_value(&item);
                    let item = item.expect("an event has string keys only");
                    bytes += item.get().len();
                    items.push(item);
                }
            }
        }
    }
}
