//! Tests of the form of views: one that has changed has another revision.

use serde_json::{Map, Value, json};

use crate::contract::{LinkedProjection, Projection};

/// Checks that the views of a projection have the form that its revision stands for.
///
/// A sample is a revision, and the JSON Schema and the indexes that its views have: the JSON that
/// this check prints where one is missing. Keep each for ever, in a file beside the tests: a new
/// revision adds a sample and touches none. Texts that only explain are not compared.
///
/// - Today's revision has a sample, and the views are of that form: otherwise `REVISION` was not
///   raised, and stored views would be read as something that they are not.
/// - No sample has a higher revision: one never goes back.
///
/// A `fold` that has changed must raise the revision too; no check can see that.
///
/// ```
/// use retell::test::check_view;
/// # use retell::doc::Lights;
///
/// check_view::<Lights>(&[(1, r#"{"view":{"type":"object","properties":{
///     "on":{"type":"boolean"},"switched":{"type":"integer","format":"uint32","minimum":0}},
///     "required":["on","switched"]}}"#)]);
/// ```
///
/// # Panics
/// One of these does not hold; it says which, and what the missing sample would be.
pub fn check_view<P: Projection>(samples: &[(u32, &str)]) {
    let mut form = form_of::<P::View>();
    if !P::INDEXES.is_empty() {
        form["indexes"] = json!(P::INDEXES);
    }
    check(P::NAME, P::REVISION, &form, samples);
}

/// The same for a projection whose views are merged over the partitions.
///
/// # Panics
/// As [`check_view`].
pub fn check_merged_view<P: LinkedProjection>(samples: &[(u32, &str)]) {
    check(P::NAME, P::REVISION, &form_of::<P::View>(), samples);
}

fn form_of<V: schemars::JsonSchema>() -> Value {
    json!({ "view": bare(schemars::schema_for!(V).to_value()) })
}

#[expect(clippy::panic, reason = "a test says what it saw by panicking")]
fn check(name: &str, revision: u32, form: &Value, samples: &[(u32, &str)]) {
    let latest = samples.iter().map(|(revision, _)| *revision).max().unwrap_or_default();
    assert!(latest <= revision, "`{name}` has a sample of revision {latest}, and is {revision}");
    let Some((_, sample)) = samples.iter().find(|(of, _)| *of == revision) else {
        panic!("`{name}` has no sample of revision {revision}; add this one: {form}");
    };
    let sample: Value = serde_json::from_str(sample)
        .unwrap_or_else(|error| panic!("the sample of revision {revision} of `{name}`: {error}"));
    let next = revision + 1;
    assert!(
        bare(sample) == *form,
        "the views of `{name}` are not those of revision {revision}: raise REVISION to {next}, \
         and add this sample of it: {form}"
    );
}

/// A schema without the texts that only explain it.
fn bare(schema: Value) -> Value {
    let Value::Object(members) = schema else {
        return match schema {
            Value::Array(all) => Value::Array(all.into_iter().map(bare).collect()),
            other => other,
        };
    };
    let explains = |name: &str| matches!(name, "$schema" | "title" | "description" | "examples");
    // What is below these are names, which may be any.
    let names = |name: &str| matches!(name, "properties" | "patternProperties" | "$defs");
    let keep = |(name, value): (String, Value)| match value {
        Value::Object(named) if names(&name) => {
            let named: Map<_, _> = named.into_iter().map(|(n, it)| (n, bare(it))).collect();
            Some((name, Value::Object(named)))
        }
        _ if explains(&name) => None,
        value => Some((name, bare(value))),
    };
    Value::Object(members.into_iter().filter_map(keep).collect())
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use schemars::JsonSchema;

    use super::*;

    /// As it was.
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct View {
        title: String,
        balance: i64,
    }

    /// Explained in other words.
    #[derive(JsonSchema)]
    #[schemars(rename = "View")]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Explained {
        /// What it is called.
        title: String,
        balance: i64,
    }

    #[derive(JsonSchema)]
    #[schemars(rename = "View")]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Changed {
        title: String,
        balance: u64,
    }

    fn complaint(revision: u32, form: &Value, samples: &[(u32, &str)]) -> String {
        let check = || check("views", revision, form, samples);
        let panic = catch_unwind(std::panic::AssertUnwindSafe(check)).expect_err("a complaint");
        panic.downcast_ref::<String>().expect("a text").clone()
    }

    #[test]
    fn a_view_is_of_the_form_of_its_revision() {
        let (old, sample) = (form_of::<View>().to_string(), form_of::<Changed>().to_string());
        check("views", 1, &form_of::<View>(), &[(1, &old)]);
        check("views", 1, &form_of::<Explained>(), &[(1, &old)]);
        check("views", 2, &form_of::<Changed>(), &[(1, &old), (2, &sample)]);
    }

    #[test]
    fn a_view_that_changed_needs_another_revision() {
        let sample = form_of::<View>().to_string();
        let said = complaint(1, &form_of::<Changed>(), &[(1, &sample)]);
        assert!(said.contains("raise REVISION to 2"), "{said}");
        assert!(said.contains(&form_of::<Changed>().to_string()), "{said}");
    }

    #[test]
    fn a_revision_has_a_sample_and_never_goes_back() {
        let (form, sample) = (form_of::<View>(), form_of::<View>().to_string());
        let said = complaint(2, &form, &[(1, &sample)]);
        assert!(said.contains("no sample of revision 2") && said.contains(&sample), "{said}");
        assert!(complaint(1, &form, &[(1, &sample), (2, &sample)]).contains("revision 2"));
        assert!(complaint(1, &form, &[(1, "{")]).contains("the sample of revision 1"));
    }
}
