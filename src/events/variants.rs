//! The variants of an externally tagged enum, by its JSON Schema: `{"properties":{TAG:…}}` is one
//! with content, `{"const":TAG}` or `{"enum":[TAG, …]}` are those without.

use serde_json::Value;
#[cfg(any(feature = "http", test))]
use serde_json::{Map, json};

/// The tags, in order.
pub(crate) fn variant_names(schema: &Value) -> impl Iterator<Item = &str> {
    parts(schema).iter().flat_map(|part| {
        let with_content = part.get("properties").and_then(Value::as_object).into_iter();
        with_content.flat_map(|tags| tags.keys().map(String::as_str)).chain(units(part))
    })
}

/// The schema of one variant's content, with the definitions that it refers to; the door shows it.
#[cfg(any(feature = "http", test))]
pub(crate) fn variant_content(schema: &Value, tag: &str) -> Option<Value> {
    let content = parts(schema).iter().find_map(|variant| {
        let empty = || json!({"type": "object", "properties": {}});
        let content = variant.get("properties").and_then(|tags| tags.get(tag));
        let (mut content, described) = match content {
            Some(content) => (content.clone(), variant.get("description")),
            None => {
                let is_unit = units(variant).any(|unit| unit == tag);
                (is_unit.then(empty)?, variant.get("description"))
            }
        };
        if let (Value::Object(content), Some(described)) = (&mut content, described) {
            content.entry("description").or_insert_with(|| described.clone());
        }
        Some(content)
    })?;
    let mut whole = Map::new();
    for part in ["$schema", "$defs"] {
        if let Some(value) = schema.get(part) {
            whole.insert(part.to_owned(), value.clone());
        }
    }
    whole.insert("title".to_owned(), tag.into());
    // The other schema is `true`: anything.
    if let Value::Object(content) = content {
        whole.extend(content);
    }
    Some(whole.into())
}

fn parts(schema: &Value) -> &[Value] {
    let whole = std::slice::from_ref(schema);
    schema.get("oneOf").and_then(Value::as_array).map_or(whole, Vec::as_slice)
}

fn units(variant: &Value) -> impl Iterator<Item = &str> {
    let listed = variant.get("enum").and_then(Value::as_array).into_iter().flatten();
    listed.chain(variant.get("const")).filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> Value {
        json!({
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
        })
    }

    #[test]
    fn the_schema_of_a_variant_is_that_of_its_content() {
        let events = events();
        let lit = variant_content(&events, "Lit").expect("a variant");
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
            assert_eq!(variant_content(&events, unit).expect("a variant")["type"], "object");
        }
        assert_eq!(variant_content(&events, "Events"), None);
    }

    #[test]
    fn every_variant_has_a_name() {
        let all: Vec<_> = ["Lit", "Broken", "Lost", "Sold"].into();
        assert_eq!(variant_names(&events()).collect::<Vec<_>>(), all);
        let one = json!({"type": "object", "properties": {"Only": {}}, "required": ["Only"]});
        assert_eq!(variant_names(&one).collect::<Vec<_>>(), ["Only"]);
    }
}
