//! What a field of a view holds, by the view's JSON Schema, and how that becomes bytes.

use std::borrow::Cow;

use serde_json::Value;

use crate::contract::{INDEXED_TEXT_LEN_MAX, Time};

use super::ordered;

/// The longest way to a schema by references.
const DEPTH_MAX: usize = 8;

/// What a field holds, if it is not `null`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Text,
    Integer,
    Number,
    Boolean,
    Time,
    /// The view's key, which is no field; it stands in its index as it is.
    Key,
}

impl Kind {
    /// What the schema of a field says, if it is something that has an order.
    pub(super) fn of(schema: &Value, whole: &Value) -> Option<Self> {
        Self::within(schema, whole, DEPTH_MAX)
    }

    fn within(schema: &Value, whole: &Value, depth: usize) -> Option<Self> {
        let depth = depth.checked_sub(1)?;
        if let Some(reference) = schema["$ref"].as_str() {
            return Self::within(whole.pointer(reference.strip_prefix('#')?)?, whole, depth);
        }
        for choice in ["anyOf", "oneOf", "allOf"] {
            let Some(schemas) = schema[choice].as_array() else { continue };
            let is_null = |schema: &&Value| schema["type"] == "null";
            let mut kinds = schemas.iter().filter(|schema| !is_null(schema));
            let first = Self::within(kinds.next()?, whole, depth)?;
            let agrees = |schema| Self::within(schema, whole, depth) == Some(first);
            return kinds.all(agrees).then_some(first);
        }
        let types =
            schema["type"].as_array().map_or(std::slice::from_ref(&schema["type"]), |it| it);
        let mut types = types.iter().filter_map(Value::as_str).filter(|name| *name != "null");
        let kind = match (types.next()?, schema["format"].as_str()) {
            ("string", Some("date-time")) => Self::Time,
            ("string", _) => Self::Text,
            // What is wider than 64 bits is not read back exactly.
            ("integer", Some("int128" | "uint128")) => return None,
            ("integer", _) => Self::Integer,
            ("number", _) => Self::Number,
            ("boolean", _) => Self::Boolean,
            _ => return None,
        };
        types.next().is_none().then_some(kind)
    }

    /// The bytes of a field's JSON. What is not what the schema says counts as absent.
    pub(super) fn of_json(self, json: &str) -> Vec<u8> {
        let bytes = match self {
            Self::Text | Self::Time => {
                serde_json::from_str::<Cow<'_, str>>(json).ok().and_then(|text| {
                    if self == Self::Text {
                        Some(ordered::text(&text))
                    } else {
                        self.of_text(&text).ok()
                    }
                })
            }
            Self::Integer | Self::Number | Self::Boolean => self.of_text(json).ok(),
            Self::Key => None,
        };
        bytes.unwrap_or_else(ordered::null)
    }

    /// The bytes of a value in a query.
    ///
    /// # Errors
    /// Says what is expected.
    pub(super) fn of_text(self, text: &str) -> Result<Vec<u8>, &'static str> {
        match self {
            Self::Text if text.len() > INDEXED_TEXT_LEN_MAX => {
                Err("a text of at most 1000 bytes, which is what an index tells apart")
            }
            Self::Text => Ok(ordered::text(text)),
            Self::Integer => {
                let signed = text.parse().map(ordered::integer);
                let any = signed.or_else(|_| text.parse().map(ordered::unsigned));
                any.map_err(|_| "a whole number")
            }
            Self::Number => {
                let number = text.parse().ok().filter(|number: &f64| number.is_finite());
                number.map(ordered::number).ok_or("a number")
            }
            Self::Boolean => text.parse().map(ordered::boolean).map_err(|_| "true or false"),
            Self::Time => {
                let time =
                    text.parse::<Time>().map_err(|_| "a time such as 2026-11-22T10:00:00Z")?;
                Ok(ordered::integer(time.millis()))
            }
            Self::Key => Ok(text.as_bytes().to_vec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;

    use crate::contract::Version;

    use super::*;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Held {
        text: String,
        perhaps_text: Option<String>,
        integer: i64,
        small: u8,
        version: Version,
        perhaps_integer: Option<u32>,
        wide: i128,
        number: f64,
        boolean: bool,
        time: Time,
        perhaps_time: Option<Time>,
        state: State,
        perhaps_state: Option<State>,
        list: Vec<String>,
        nested: Box<Held>,
        any: Value,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    enum State {
        /// It has a text of its own, so it stands alone in the schema.
        Open,
        Closed,
    }

    #[test]
    fn what_a_field_holds_is_read_from_the_schema() {
        let whole = schemars::schema_for!(Held).to_value();
        let kind = |field: &str| Kind::of(&whole["properties"][field], &whole);
        for field in ["text", "perhaps_text", "state", "perhaps_state"] {
            assert_eq!(kind(field), Some(Kind::Text), "{field}");
        }
        for field in ["integer", "small", "version", "perhaps_integer"] {
            assert_eq!(kind(field), Some(Kind::Integer), "{field}");
        }
        for field in ["time", "perhaps_time"] {
            assert_eq!(kind(field), Some(Kind::Time), "{field}");
        }
        assert_eq!(kind("number"), Some(Kind::Number));
        assert_eq!(kind("boolean"), Some(Kind::Boolean));
        for field in ["wide", "list", "nested", "any"] {
            assert_eq!(kind(field), None, "{field}");
        }
    }

    #[test]
    fn a_value_in_a_query_has_the_bytes_of_the_same_value_in_a_view() {
        for (kind, text, json) in [
            (Kind::Text, "a \"b\"\n", r#""a \"b\"\n""#),
            (Kind::Text, "", r#""""#),
            (Kind::Integer, "-7", "-7"),
            (Kind::Integer, "18446744073709551615", "18446744073709551615"),
            (Kind::Number, "5", "5.0"),
            (Kind::Number, "1e3", "1000.0"),
            (Kind::Boolean, "true", "true"),
            (Kind::Time, "2026-11-22T10:00:00Z", r#""2026-11-22T10:00:00.000Z""#),
            (Kind::Time, "2026-11-22T12:00:00+02:00", r#""2026-11-22T10:00:00.000Z""#),
        ] {
            assert_eq!(kind.of_text(text), Ok(kind.of_json(json)), "{kind:?} {text}");
            assert_ne!(kind.of_json(json), ordered::null());
        }
        assert_eq!(Kind::Integer.of_json("null"), ordered::null());
        for (kind, text) in [
            (Kind::Integer, "5.0"),
            (Kind::Integer, ""),
            (Kind::Integer, "18446744073709551616"),
            (Kind::Number, "NaN"),
            (Kind::Number, "inf"),
            (Kind::Boolean, "1"),
            (Kind::Time, "yesterday"),
        ] {
            assert!(kind.of_text(text).is_err(), "{kind:?} {text}");
        }
    }

    #[test]
    fn a_text_that_an_index_cuts_cannot_be_asked_for() {
        let longest = "x".repeat(INDEXED_TEXT_LEN_MAX);
        assert!(Kind::Text.of_text(&longest).is_ok());
        let expected = Kind::Text.of_text(&(longest + "x")).expect_err("too long");
        assert!(expected.contains(&INDEXED_TEXT_LEN_MAX.to_string()), "{expected}");
    }
}
