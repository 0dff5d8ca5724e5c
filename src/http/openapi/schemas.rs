//! The schemas of the document: each named type once, under `components/schemas`.
//!
//! Those of the door are made by schemars under the names of their types; those of an application
//! come with definitions of their own and are put under its names, with a dot, so that no two
//! clash.

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::contract::without_examples;

const COMPONENTS: &str = "#/components/schemas/";
const DEFINITIONS: &str = "#/$defs/";

/// Collects schemas and gives references to them.
pub(super) struct Schemas {
    generator: SchemaGenerator,
    named: Map<String, Value>,
}

impl Default for Schemas {
    fn default() -> Self {
        let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        let settings = settings.with_transform(without_examples());
        Self { generator: settings.into_generator(), named: Map::new() }
    }
}

impl Schemas {
    /// The schema of an answer of this type.
    pub(super) fn of<T: JsonSchema>(&mut self) -> Value {
        self.generator.subschema_for::<T>().to_value()
    }

    /// A schema under a name.
    pub(super) fn add(&mut self, name: &str, schema: Value) -> Value {
        let name = component(name);
        let reference = json!({ "$ref": format!("{COMPONENTS}{name}") });
        self.named.insert(name, schema);
        reference
    }

    /// Takes the definitions that a schema came with, and makes its references lead to them.
    pub(super) fn adopt(&mut self, name: &str, mut schema: Value) -> Value {
        let definitions = schema.as_object_mut().and_then(|schema| {
            schema.remove("$schema");
            schema.remove("$defs")
        });
        if let Some(Value::Object(definitions)) = definitions {
            for (definition, mut schema) in definitions {
                redirect(&mut schema, name);
                self.named.insert(component(&format!("{name}.type.{definition}")), schema);
            }
        }
        redirect(&mut schema, name);
        schema
    }

    /// The schema that a reference leads to.
    pub(super) fn resolve<'s>(&'s self, schema: &'s Value) -> &'s Value {
        let name = schema["$ref"].as_str().and_then(|place| place.strip_prefix(COMPONENTS));
        name.and_then(|name| self.named.get(name)).unwrap_or(schema)
    }

    pub(super) fn into_components(mut self) -> Map<String, Value> {
        let mut all = self.generator.take_definitions(true);
        all.extend(self.named);
        all
    }
}

/// The schema of a body of this type, with everything in it in one place.
pub(super) fn body<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let settings = settings.with_transform(without_examples());
    let schema: Schema = settings.into_generator().into_root_schema_for::<T>();
    schema.to_value()
}

/// Says which integers a format means: validators do not know them.
pub(super) fn bound_integers(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(bound_integers),
        Value::Object(members) => {
            let format = members.get("format").and_then(Value::as_str).unwrap_or_default();
            let bounds: Option<(Value, Value)> = match format {
                "int32" => Some((i32::MIN.into(), i32::MAX.into())),
                "int64" | "int" => Some((i64::MIN.into(), i64::MAX.into())),
                "uint32" => Some((0.into(), u32::MAX.into())),
                "uint64" | "uint" => Some((0.into(), u64::MAX.into())),
                _ => None,
            };
            if let Some((minimum, maximum)) = bounds {
                members.entry("minimum").or_insert(minimum);
                members.entry("maximum").or_insert(maximum);
            }
            members.values_mut().for_each(bound_integers);
        }
        _ => {}
    }
}

fn redirect(value: &mut Value, name: &str) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| redirect(item, name)),
        Value::Object(members) => {
            for (key, value) in members {
                match (key.as_str(), value.as_str()) {
                    ("$ref", Some(place)) => {
                        if let Some(definition) = place.strip_prefix(DEFINITIONS) {
                            let component = component(&format!("{name}.type.{definition}"));
                            *value = format!("{COMPONENTS}{component}").into();
                        }
                    }
                    _ => redirect(value, name),
                }
            }
        }
        _ => {}
    }
}

/// A name that a component may have.
fn component(name: &str) -> String {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    name.chars().map(|c| if is_fine(c) { c } else { '_' }).collect()
}
