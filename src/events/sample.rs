//! Samples of a type by its JSON Schema alone: the smallest value that the schema allows.
//!
//! They exist to ask an event what it says of itself before one has ever happened. A sample may be
//! none of the type's values, where the type wants more than its schema says; whoever uses one
//! must be ready for that.

use serde_json::{Map, Value};

/// How deep a schema is followed: one that needs more is recursive.
const DEPTH_MAX: usize = 32;

/// The tags of an externally tagged enum by its JSON Schema, each with the JSON of a sample:
/// `{"properties":{TAG:…}}` is a variant with content, `{"const":TAG}` or `{"enum":[TAG, …]}`
/// are those without.
pub(crate) fn variants(schema: &Value) -> Vec<(String, Option<Value>)> {
    let parts = match schema.get("oneOf") {
        Some(Value::Array(parts)) => parts.iter().collect(),
        _ => vec![schema],
    };
    let mut variants = Vec::new();
    for part in parts {
        if let Some(Value::Object(properties)) = part.get("properties") {
            let tags = properties.keys().cloned();
            variants.extend(tags.map(|tag| (tag, sample(part, schema, 0))));
        }
        let listed = part.get("enum").and_then(Value::as_array).into_iter().flatten();
        let units = listed.chain(part.get("const")).filter_map(Value::as_str);
        variants.extend(units.map(|tag| (tag.to_owned(), Some(tag.into()))));
    }
    variants
}

/// A value that the schema allows, if one was found; `root` holds the `$defs`.
fn sample(schema: &Value, root: &Value, depth: usize) -> Option<Value> {
    if depth > DEPTH_MAX {
        return None;
    }
    let Value::Object(schema) = schema else { return Some(Value::Null) };
    let named = ["examples", "enum"].map(|list| schema.get(list).and_then(|it| it.get(0)));
    if let Some(value) = named.into_iter().flatten().chain(schema.get("const")).next() {
        return Some(value.clone());
    }
    if let Some(place) = schema.get("$ref").and_then(Value::as_str) {
        return sample(root.pointer(place.strip_prefix('#')?)?, root, depth + 1);
    }
    // A struct with flattened members has properties of its own beside the others.
    let mut whole = match schema.get("type") {
        Some(_) => of_type(schema, root, depth)?,
        None => Value::Null,
    };
    for choice in ["oneOf", "anyOf"].into_iter().filter_map(|list| schema.get(list)?.as_array()) {
        let mut samples = choice.iter().filter_map(|part| sample(part, root, depth + 1));
        whole = merged(whole, samples.next()?);
    }
    for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        whole = merged(whole, sample(part, root, depth + 1)?);
    }
    Some(whole)
}

fn merged(whole: Value, part: Value) -> Value {
    match (whole, part) {
        (Value::Object(mut whole), Value::Object(part)) => {
            whole.extend(part);
            Value::Object(whole)
        }
        (whole, Value::Null) => whole,
        (_, part) => part,
    }
}

/// A value of the schema's `type`; of several types null is the simplest.
fn of_type(schema: &Map<String, Value>, root: &Value, depth: usize) -> Option<Value> {
    let types = schema.get("type")?;
    let is = |name: &str| match types {
        Value::Array(types) => types.iter().any(|it| it == name),
        one => one == name,
    };
    if is("null") {
        return Some(Value::Null);
    }
    if is("object") {
        return object(schema, root, depth);
    }
    if is("array") {
        return array(schema, root, depth);
    }
    if is("string") {
        return Some(text(schema).into());
    }
    Some(if is("boolean") { false.into() } else { number(schema) })
}

fn object(schema: &Map<String, Value>, root: &Value, depth: usize) -> Option<Value> {
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    let member = |name: &str| {
        let schema = schema.get("properties")?.get(name)?;
        Some((name.to_owned(), sample(schema, root, depth + 1)?))
    };
    let members = required.filter_map(Value::as_str).map(member);
    Some(Value::Object(members.collect::<Option<_>>()?))
}

fn array(schema: &Map<String, Value>, root: &Value, depth: usize) -> Option<Value> {
    let first = schema.get("prefixItems").and_then(Value::as_array).into_iter().flatten();
    let first = first.map(|item| sample(item, root, depth + 1));
    let mut items: Vec<_> = first.collect::<Option<_>>()?;
    let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
    if let Ok(least) = usize::try_from(least)
        && least > items.len()
    {
        let item = sample(schema.get("items")?, root, depth + 1)?;
        items.resize(least, item);
    }
    Some(Value::Array(items))
}

fn text(schema: &Map<String, Value>) -> String {
    let known = match schema.get("format").and_then(Value::as_str).unwrap_or_default() {
        "uuid" => "00000000-0000-0000-0000-000000000000",
        "date-time" => "2026-01-01T00:00:00Z",
        "partial-date-time" => "2026-01-01T00:00:00",
        "date" => "2026-01-01",
        "partial-time" => "00:00:00",
        "ip" | "ipv4" => "127.0.0.1",
        "ipv6" => "::1",
        "uri" | "url" => "https://example.org/",
        _ => "",
    };
    if known.is_empty() {
        let least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(0);
        return "x".repeat(usize::try_from(least).unwrap_or(0));
    }
    known.to_owned()
}

fn number(schema: &Map<String, Value>) -> Value {
    let at_least = |value: &Value| value.as_f64().is_some_and(|number| number > 0.0);
    match (schema.get("minimum"), schema.get("exclusiveMinimum").and_then(Value::as_i64)) {
        (Some(minimum), _) if at_least(minimum) => minimum.clone(),
        (_, Some(above)) if above >= 0 => (above + 1).into(),
        _ => 0.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use schemars::JsonSchema;
    use serde::Deserialize;
    use uuid::Uuid;

    use super::*;

    #[derive(Debug, Deserialize, JsonSchema, PartialEq)]
    enum Sampled {
        Unit,
        Empty {},
        Newtype(Inner),
        Pair(u8, String),
        Fields {
            nothing: Option<Inner>,
            #[schemars(with = "String", extend("format" = "uuid"))]
            id: Uuid,
            sign: char,
            at_least_one: std::num::NonZeroU64,
            list: Vec<Inner>,
            pair: [i32; 2],
            map: BTreeMap<String, u8>,
            inner: Inner,
            either: Either,
        },
        Flat {
            own: bool,
            #[serde(flatten)]
            inner: Inner,
        },
    }

    #[derive(Debug, Deserialize, JsonSchema, PartialEq)]
    struct Inner {
        uuid: String,
        next: Option<Box<Inner>>,
    }

    #[derive(Debug, Deserialize, JsonSchema, PartialEq)]
    #[serde(tag = "is")]
    enum Either {
        Left { amount: i64 },
        Right,
    }

    #[test]
    fn a_sample_of_each_variant_is_one_of_the_type() {
        let schema = schemars::schema_for!(Sampled).to_value();
        let variants = variants(&schema);
        assert_eq!(variants.len(), 6, "{variants:?}");
        for (tag, sample) in variants {
            let sample = sample.expect("a sample");
            let read = serde_json::from_value::<Sampled>(sample.clone());
            let read = read.unwrap_or_else(|error| panic!("{error}: {sample}"));
            assert!(format!("{read:?}").starts_with(&tag), "{tag}: {read:?}");
        }
    }

    #[test]
    fn a_type_that_contains_itself_has_no_sample() {
        #[derive(Deserialize, JsonSchema)]
        #[expect(dead_code, reason = "it cannot be made")]
        enum Endless {
            Endless { again: Box<Endless> },
        }
        let schema = schemars::schema_for!(Endless).to_value();
        assert_eq!(variants(&schema), [("Endless".to_owned(), None)]);
    }
}
