//! JSON Schemas of types: what their documentation says, without the examples, which are Rust.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};
use serde_json::Value;

/// What begins and ends a block of code.
const FENCE: &str = "```";

/// The schema of a type.
pub(crate) fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::default().with_transform(without_examples());
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// Takes the blocks of code out of all descriptions.
pub(crate) fn without_examples() -> impl Transform + Clone + Send + 'static {
    RecursiveTransform(|schema: &mut Schema| {
        if let Some(Value::String(description)) = schema.get_mut("description")
            && description.contains(FENCE)
        {
            let text = description.split(FENCE).step_by(2).map(str::trim);
            *description = text.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n");
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outer.
    ///
    /// ```
    /// assert!(true);
    /// ```
    ///
    /// More.
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is asked for")]
    struct Outer {
        inner: Inner,
    }

    /// Inner.
    ///
    /// ```
    /// assert!(true);
    /// ```
    #[derive(JsonSchema)]
    struct Inner {}

    #[test]
    fn a_schema_says_what_the_documentation_says_without_the_examples() {
        let schema = schema_of::<Outer>();
        assert_eq!(schema["description"], "Outer.\n\nMore.");
        assert_eq!(schema["$defs"]["Inner"]["description"], "Inner.");
    }
}
