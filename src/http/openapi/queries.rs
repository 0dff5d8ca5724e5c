//! The operations of `/projections`, once for each projection.

use serde_json::{Value, json};

use crate::contract::INDEXED_TEXT_LEN_MAX;
use crate::ports::KEY_INDEX;

use super::super::Door;
use super::super::queries::List;
use super::domain::{Domain, Projection};
use super::operation::{Operation, content, get};
use super::schemas::Schemas;
use super::{parameters, problems};

const TAG: &str = "projections";
const JSON: &str = "application/json";

/// Each field of an index can be compared so, besides for equality.
const RANGES: [(&str, &str); 4] =
    [("lt", "Less than."), ("lte", "At most."), ("gt", "More than."), ("gte", "At least.")];

pub(super) fn operations(door: &Door, domain: &Domain, schemas: &mut Schemas) -> Vec<Operation> {
    let list = get("/projections", TAG, "Every projection, and where it stands").answers(
        200,
        "What there is.",
        content(JSON, schemas.of::<List>()),
        &[],
    );
    let mut all = vec![list];
    for projection in &domain.projections {
        if !projection.is_merged {
            all.push(page(door, projection, schemas));
        }
        all.push(view(projection));
    }
    all
}

fn view(projection: &Projection) -> Operation {
    let name = projection.name;
    let key = parameters::path("key", parameters::key_schema(), "The view's key.");
    let position =
        if projection.is_merged { "Retell-Position.sometimes" } else { "Retell-Position" };
    get("/projections/{name}/{key}", TAG, &format!("A view of {name}"))
        .says(STREAMED)
        .at("name", name)
        .takes([key, parameters::none_match(), parameters::after()])
        .takes(parameters::wait())
        .answers(
            200,
            "The view.",
            or_events(projection.view.clone()),
            &["ETag", position, "Preference-Applied"],
        )
        .answers(304, "The client has it.", Value::Null, &["ETag"])
        .refuses(problems::WAIT)
        .refuses(problems::STORE)
        .refuses(&["bad_id", "view_not_found", "log_unavailable", "streams_full"])
}

const STREAMED: &str = "With `Accept: text/event-stream`, what changes from now on: `put` with \
    key and view, `delete` with the key, `reset` when the client must begin anew, and `lagging`.";

/// JSON, or the events of a stream.
fn or_events(schema: Value) -> Value {
    json!({
        JSON: { "schema": schema },
        "text/event-stream": { "schema": { "type": "string" } },
    })
}

fn page(door: &Door, projection: &Projection, schemas: &Schemas) -> Operation {
    let name = projection.name;
    let view = schemas.resolve(&projection.view);
    let page = json!({
        "type": "object",
        "properties": {
            "items": { "type": "array", "items": projection.view },
            "next_cursor": { "type": ["string", "null"] },
        },
        "required": ["items", "next_cursor"],
    });
    let max = door.queries.page_items_max;
    let said = "The `next_cursor` of the page before, of the same query.";
    let mut asked = vec![
        parameters::limit(max, max.min(50)),
        parameters::query("cursor", json!({ "type": "string" }), said),
    ];
    asked.extend(filters(projection, view));
    get("/projections/{name}", TAG, &format!("A page of {name}"))
        .says(&format!("{LISTED} {STREAMED}"))
        .at("name", name)
        .extended("x-indexes", json!(projection.indexes))
        .takes(asked)
        .takes([parameters::after()])
        .takes(parameters::wait())
        .answers(
            200,
            "A page.",
            or_events(page),
            &["Retell-Position.sometimes", "Preference-Applied"],
        )
        .refuses(problems::WAIT)
        .refuses(problems::STORE)
        .refuses(&["bad_parameter", "bad_cursor", "not_indexed", "log_unavailable"])
        .refuses(&["streams_full"])
}

const LISTED: &str = "One index must serve the whole query: equality on its first fields, then a \
    range or an order on the next one; `x-indexes` has them. By `key` it is always listed.";

/// The parameters that some index serves; the first one is that by key.
fn filters(projection: &Projection, view: &Value) -> Vec<Value> {
    let mut fields: Vec<&str> = projection.indexes.iter().flatten().copied().collect();
    fields.sort_unstable();
    fields.dedup();
    let orders = fields.iter().flat_map(|field| [(*field).to_owned(), format!("-{field}")]);
    let sort = json!({ "enum": orders.collect::<Vec<_>>() });
    let says = "The order; with `-` from the highest down.";
    let mut all = vec![parameters::query("sort", sort, says)];
    for field in fields {
        let schema = || view["properties"].get(field).map_or_else(text, value);
        all.push(parameters::query(field, schema(), "The same."));
        for (suffix, says) in RANGES {
            all.push(parameters::query(&format!("{field}.{suffix}"), schema(), says));
        }
        if field != KEY_INDEX {
            let null = json!({ "type": "boolean" });
            all.push(parameters::query(&format!("{field}.null"), null, "It is null or absent."));
        }
    }
    all
}

fn text() -> Value {
    json!({ "type": "string", "maxLength": INDEXED_TEXT_LEN_MAX })
}

/// What may be asked of a field: a value of its schema, as far as that says it by itself.
fn value(field: &Value) -> Value {
    let mut schema = json!({});
    for part in ["format", "$ref", "enum"] {
        if let Some(value) = field.get(part) {
            schema[part] = value.clone();
        }
    }
    let types = field.get("type").cloned().unwrap_or_default();
    let one = match types {
        Value::Array(types) => types.into_iter().find(|name| name != "null").unwrap_or_default(),
        one => one,
    };
    if one == "string" {
        schema["maxLength"] = INDEXED_TEXT_LEN_MAX.into();
    }
    if !one.is_null() {
        schema["type"] = one;
    }
    schema
}
