//! Each public type has an example in its documentation, which `cargo test --doc` runs.

use syn::{Attribute, Expr, ExprLit, Item, Lit, Meta, Visibility};

use super::report::Violation;
use super::tree::Source;

/// What carries the examples, and is hidden in the documentation itself.
const HIDDEN: &str = "src/doc.rs";

/// Public types without an example that runs.
fn without_example(sources: &[Source]) -> Vec<Violation> {
    let is_shown = |source: &&Source| {
        source.is_rust() && source.path.starts_with("src/") && source.path != HIDDEN
    };
    let mut violations = Vec::new();
    for source in sources.iter().filter(is_shown) {
        for item in source.syntax().items {
            let Some((name, attributes)) = public_type(&item) else { continue };
            if !has_example(attributes) {
                let line = name.span().start().line;
                let what = format!("`{name}` has no example");
                violations.push(Violation::new(&source.path, line, what));
            }
        }
    }
    violations
}

/// The name of a type that is public, and what is written about it. The compiler holds that what
/// is called public can be reached from outside (`unreachable_pub`).
fn public_type(item: &Item) -> Option<(&syn::Ident, &[Attribute])> {
    let (visibility, name, attributes) = match item {
        Item::Enum(it) => (&it.vis, &it.ident, &it.attrs),
        Item::Struct(it) => (&it.vis, &it.ident, &it.attrs),
        Item::Trait(it) => (&it.vis, &it.ident, &it.attrs),
        Item::Type(it) => (&it.vis, &it.ident, &it.attrs),
        Item::Union(it) => (&it.vis, &it.ident, &it.attrs),
        _ => return None,
    };
    matches!(visibility, Visibility::Public(_)).then_some((name, attributes))
}

/// A block of code that is run: one without a word behind its fence.
fn has_example(attributes: &[Attribute]) -> bool {
    let fences = attributes.iter().filter_map(documentation).filter(|line| line.contains("```"));
    // Every other one is the end of a block.
    fences.step_by(2).any(|fence| fence.trim() == "```")
}

fn documentation(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else { return None };
    match &pair.value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) if pair.path.is_ident("doc") => {
            Some(text.value())
        }
        _ => None,
    }
}

mod tests {
    use super::super::report::hold;
    use super::super::tree;
    use super::*;

    #[test]
    fn every_public_type_has_an_example() {
        hold(
            "A public type has an example in its documentation",
            "write a short one that shows what the type is for, and asserts something",
            &without_example(&tree::rust()),
        );
    }

    #[test]
    fn a_type_without_an_example_is_found() {
        let text = "/// A.\n///\n/// ```\n/// assert!(true);\n/// ```\npub struct A;\n\
                    /// B.\npub enum B {}\n\
                    /// C.\n///\n/// ```ignore\n/// c();\n/// ```\npub trait C {}\n\
                    pub(crate) struct D;\nstruct E;\npub type F = u8;\npub fn g() {}\n";
        let found = |path: &str| {
            let found = without_example(&[Source::planted(path, text)]);
            found.into_iter().map(|found| (found.line, found.what)).collect::<Vec<_>>()
        };
        let expected = [(8, "B"), (14, "C"), (17, "F")];
        let expected = expected.map(|(line, name)| (line, format!("`{name}` has no example")));
        assert_eq!(found("src/contract/a.rs"), expected);
        assert_eq!(found(HIDDEN), []);
        assert_eq!(found("tests/a.rs"), []);
    }
}
