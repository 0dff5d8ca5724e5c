//! What the application registered, as the document needs it: names and schemas.

use serde_json::{Value, json};

use crate::events::{variant_content, variant_names};
use crate::read::ViewKind;
use crate::write::AnyKind;

use super::super::Door;
use super::schemas::Schemas;

/// The aggregate types, projections and policies of a service.
pub(super) struct Domain {
    pub(super) aggregates: Vec<Aggregate>,
    pub(super) projections: Vec<Projection>,
    /// Those that an operator may ask for: Retell's own, too.
    pub(super) folded: Vec<&'static str>,
    pub(super) policies: Vec<&'static str>,
}

/// An aggregate type.
pub(super) struct Aggregate {
    pub(super) name: &'static str,
    /// A command on the wire.
    pub(super) command: Value,
    /// An event of an answer to a command: its type and its data.
    pub(super) event: Value,
    /// Each event's type, and the number of its schema.
    pub(super) events: Vec<(String, u32)>,
}

/// A projection whose views are asked for by key.
pub(super) struct Projection {
    pub(super) name: &'static str,
    pub(super) is_merged: bool,
    pub(super) indexes: Vec<Vec<&'static str>>,
    pub(super) view: Value,
}

impl Domain {
    pub(super) fn of(door: &Door, schemas: &mut Schemas) -> Self {
        let aggregates = door.commands.kinds().map(|kind| Aggregate::of(kind.as_ref(), schemas));
        let aggregates = aggregates.collect();
        let listed = door.views.list();
        let folded = listed.iter().map(|info| info.name).collect();
        let asked_for = listed.into_iter().filter(|info| info.keyed_by != ViewKind::Records);
        let projections = asked_for.map(|info| {
            let view = schemas.adopt(&format!("{}.view", info.name), info.schema);
            Projection {
                name: info.name,
                is_merged: info.keyed_by == ViewKind::Merged,
                indexes: info.indexes,
                view: schemas.add(&format!("{}.view", info.name), view),
            }
        });
        let projections = projections.collect();
        let policies = door.policies.list().into_iter().map(|policy| policy.name).collect();
        Self { aggregates, projections, folded, policies }
    }
}

impl Aggregate {
    fn of(kind: &dyn AnyKind, schemas: &mut Schemas) -> Self {
        let name = kind.name().as_str();
        let commands = kind.command_schema();
        let place = format!("{name}.command");
        let orders: Vec<Value> = variant_names(&commands)
            .map(|variant| {
                let content = variant_content(&commands, variant).unwrap_or_default();
                let content = schemas.adopt(&place, content);
                let order = tagged(variant, schemas.resolve(&content));
                schemas.add(&format!("{place}.{variant}"), order)
            })
            .collect();
        let described = commands.get("description").cloned();
        let command = schemas.add(&place, any_of(orders, described));
        let (event, events) = events(kind, schemas);
        Self { name, command, event, events }
    }
}

fn events(kind: &dyn AnyKind, schemas: &mut Schemas) -> (Value, Vec<(String, u32)>) {
    let place = format!("{}.event", kind.name());
    let events = kind.event_schema();
    let (mut shown, mut known) = (Vec::new(), Vec::new());
    for variant in variant_names(&events) {
        let content = variant_content(&events, variant).unwrap_or_default();
        let content = schemas.adopt(&place, content);
        let data = schemas.add(&format!("{place}.{variant}"), content);
        shown.push(json!({
            "properties": { "type": { "const": variant }, "data": data },
            "required": ["type", "data"],
        }));
        known.push((variant.to_owned(), kind.known_event_schema(variant)));
    }
    let described = events.get("description").cloned();
    (schemas.add(&place, any_of(shown, described)), known)
}

/// An object whose `type` says which of these it is.
fn any_of(variants: Vec<Value>, described: Option<Value>) -> Value {
    let mut any = json!({ "type": "object", "oneOf": variants });
    if let Some(described) = described {
        any["description"] = described;
    }
    any
}

/// The content of a command with its tag among its members.
fn tagged(tag: &str, content: &Value) -> Value {
    let mut whole = match content.get("properties") {
        Some(_) => content.clone(),
        None if content.is_object() && content["type"] != "object" => {
            // Members come from elsewhere: beside them there is the tag.
            json!({ "type": "object", "allOf": [content] })
        }
        None if content.is_object() => content.clone(),
        None => json!({ "type": "object" }),
    };
    whole["title"] = tag.into();
    whole["properties"]["type"] = json!({ "const": tag });
    match &mut whole["required"] {
        Value::Array(required) => required.insert(0, "type".into()),
        other => *other = json!(["type"]),
    }
    whole
}
