//! The operations that look into the log: aggregates, records, traces, schemas of events.

use serde_json::{Value, json};

use crate::read::LogItem;

use super::super::Door;
use super::super::aggregates::{HistoryAnswer, StateAnswer};
use super::super::events::Page;
use super::super::traces::Tree;
use super::domain::{Aggregate, Domain};
use super::operation::{Operation, content, get};
use super::schemas::Schemas;
use super::{parameters, problems};

const TAG: &str = "log";
const JSON: &str = "application/json";

pub(super) fn operations(door: &Door, domain: &Domain, schemas: &mut Schemas) -> Vec<Operation> {
    let mut all = Vec::new();
    for aggregate in &domain.aggregates {
        all.extend(of_aggregate(door, aggregate, schemas));
    }
    all.extend([events(door, schemas), trace(schemas)]);
    all.extend(domain.aggregates.iter().flat_map(schemas_of));
    all
}

fn of_aggregate(door: &Door, aggregate: &Aggregate, schemas: &mut Schemas) -> [Operation; 2] {
    let name = aggregate.name;
    let id = || parameters::path("id", parameters::key_schema(), "The aggregate's id.");
    let version = || json!({ "type": "integer", "format": "uint64" });
    let state = get("/aggregates/{aggregate}/{id}", TAG, &format!("The state of one {name}"))
        .says("As it is, or as it was: `version` and `at` exclude each other.")
        .takes([
            id(),
            parameters::query("version", version(), "After so many events."),
            parameters::query("at", parameters::time(), "At this time."),
        ])
        .answers(
            200,
            "The state, and of when it is.",
            content(JSON, schemas.of::<StateAnswer<'_>>()),
            &["ETag.version", "Retell-Position", "Preference-Applied"],
        )
        .refuses(&["version_not_found", "history_too_long"]);
    let max = door.history.page_len_max;
    let history =
        get("/aggregates/{aggregate}/{id}/events", TAG, &format!("What happened to one {name}"))
            .takes([
                id(),
                parameters::query("from", version(), "From this version on."),
                parameters::query("cursor", version(), "The `next_cursor` of the page before."),
                parameters::limit(max, max.min(100)),
            ])
            .answers(
                200,
                "A page of its events.",
                content(JSON, schemas.of::<HistoryAnswer<'_>>()),
                &["Retell-Position", "Preference-Applied"],
            );
    [state, history].map(|operation| {
        operation
            .at("aggregate", name)
            .takes(parameters::wait())
            .refuses(problems::WAIT)
            .refuses(problems::STORE)
            .refuses(problems::LOG)
            .refuses(&["bad_id", "bad_parameter", "aggregate_not_found"])
    })
}

fn events(door: &Door, schemas: &mut Schemas) -> Operation {
    let max = door.history.page_len_max;
    let last = door.log.partitions().count().saturating_sub(1);
    let text = || json!({ "type": "string" });
    let partition = json!({ "type": "integer", "minimum": 0, "maximum": last });
    let marks = LogItem::MARKS.join("|");
    let marks = json!({ "type": "string", "pattern": format!("^({marks})(,({marks}))*$") });
    let from = json!({ "anyOf": [
        { "type": "integer", "format": "uint64" },
        parameters::time(),
    ] });
    let page = json!({
        JSON: { "schema": schemas.of::<Page>() },
        "text/event-stream": { "schema": { "type": "string" } },
    });
    get("/events", TAG, "The log, record by record")
        .says(
            "Each record with whether it counts, and if not why. With a command, a correlation or \
             a cause: the records that carry it, of all partitions. With `Accept: \
             text/event-stream`: each record as it comes, as the event `record`.",
        )
        .takes([
            parameters::query("partition", partition, "Of this partition only."),
            parameters::query("from", from, "From this offset of the partition, or this time."),
            parameters::query("type", text(), "A type of aggregate or of event."),
            parameters::query("command", text(), "Of the command with this id."),
            parameters::query("correlation", text(), "With this correlation id."),
            parameters::query("causation", text(), "With this causation id."),
            parameters::query("marks", marks, "With one of these marks."),
            parameters::limit(max, max.min(100)),
            parameters::query(
                "cursor",
                json!({
                    "type": "string",
                    "pattern": "^(0|[1-9][0-9]{0,8})@(0|[1-9][0-9]{0,18})$",
                }),
                "The `next_cursor` of the page before.",
            ),
            parameters::after(),
        ])
        .takes(parameters::wait())
        .answers(200, "A page.", page, &["Retell-Position.sometimes", "Preference-Applied"])
        .refuses(problems::WAIT)
        .refuses(problems::STORE)
        .refuses(problems::LOG)
        .refuses(&["bad_parameter", "streams_full"])
}

fn trace(schemas: &mut Schemas) -> Operation {
    let id = json!({ "type": "string", "minLength": 1, "pattern": "^[^/]+$" });
    get("/traces/{correlation_id}", TAG, "What caused what")
        .says("The records of a correlation as a tree: each behind its cause, one deeper.")
        .takes([parameters::path("correlation_id", id, "The correlation id.")])
        .takes(parameters::wait())
        .answers(
            200,
            "The tree.",
            content(JSON, schemas.of::<Tree<'_>>()),
            &["Retell-Position.sometimes", "Preference-Applied"],
        )
        .refuses(problems::WAIT)
        .refuses(problems::STORE)
        .refuses(problems::LOG)
        .refuses(&["bad_id"])
}

fn schemas_of(aggregate: &Aggregate) -> impl Iterator<Item = Operation> + '_ {
    aggregate.events.iter().map(|(event, schema)| {
        let any = content(JSON, Value::Bool(true));
        get("/schemas/{aggregate}/{event}/{schema}", TAG, &format!("The JSON Schema of {event}"))
            .at("aggregate", aggregate.name)
            .at("event", event)
            .at("schema", &schema.to_string())
            .answers(200, "A JSON Schema.", any, &[])
            .refuses(&["bad_id", "schema_not_found"])
    })
}
