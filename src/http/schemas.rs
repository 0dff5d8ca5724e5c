//! `GET /schemas/{aggregate}/{event}/{schema}`: the JSON Schema of an event, to which the events of
//! the outbox refer.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value};

use super::problem::Problem;
use super::queries::json;
use super::{Door, extract, headers};

pub(super) async fn get(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Problem> {
    extract::no_parameters(request.uri())?;
    headers::accept_json(request.headers())?;
    let [aggregate, event, schema] = extract::last_three(request.uri())?;
    let kind = door.commands.kinds().find(|kind| kind.name().as_str() == aggregate);
    let found = kind
        .and_then(|kind| {
            // What an older or newer binary wrote, this one can read or not, but not describe.
            let is_known = kind.known_event_schema(&event).to_string() == schema;
            is_known.then(|| of_event(&kind.event_schema(), &event)).flatten()
        })
        .ok_or_else(|| Problem::NoSchema(format!("{aggregate}/{event}/{schema}")))?;
    Ok(json(StatusCode::OK, &found))
}

/// The schema of one variant's content, within that of an externally tagged enum.
fn of_event(events: &Value, event: &str) -> Option<Value> {
    let one = [events.clone()];
    let variants = events.get("oneOf").and_then(Value::as_array).map_or(&one[..], Vec::as_slice);
    let content = variants.iter().find_map(|variant| {
        let listed = variant.get("enum").and_then(Value::as_array).into_iter().flatten();
        let is_unit = listed.chain(variant.get("const")).any(|tag| tag == event);
        let empty = || serde_json::json!({"type": "object", "properties": {}});
        let content = variant.get("properties").and_then(|tags| tags.get(event));
        let (mut content, described) = match content {
            Some(content) => (content.clone(), variant.get("description")),
            None => (is_unit.then(empty)?, variant.get("description")),
        };
        if let (Value::Object(content), Some(described)) = (&mut content, described) {
            content.entry("description").or_insert_with(|| described.clone());
        }
        Some(content)
    })?;
    let mut whole = Map::new();
    for part in ["$schema", "$defs"] {
        if let Some(value) = events.get(part) {
            whole.insert(part.to_owned(), value.clone());
        }
    }
    whole.insert("title".to_owned(), event.into());
    // The other schema is `true`: anything.
    if let Value::Object(content) = content {
        whole.extend(content);
    }
    Some(whole.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_schema_of_an_event_is_that_of_its_content() {
        let events = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Events",
            "oneOf": [
                {
                    "description": "It was lit.",
                    "type": "object",
                    "properties": {"Lit": {
                        "type": "object",
                        "properties": {"by": {"$ref": "#/$defs/Who"}},
                    }},
                    "required": ["Lit"],
                },
                {"type": "string", "enum": ["Broken", "Lost"]},
                {"description": "It was sold.", "type": "string", "const": "Sold"},
            ],
            "$defs": {"Who": {"type": "string"}},
        });
        let lit = of_event(&events, "Lit").expect("an event");
        assert_eq!(
            lit,
            json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "$defs": {"Who": {"type": "string"}},
                "title": "Lit",
                "description": "It was lit.",
                "type": "object",
                "properties": {"by": {"$ref": "#/$defs/Who"}},
            })
        );
        for unit in ["Lost", "Sold"] {
            assert_eq!(of_event(&events, unit).expect("an event")["type"], "object");
        }
        assert_eq!(of_event(&events, "Events"), None);
    }
}
