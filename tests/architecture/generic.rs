//! What serves every domain names none: no string in it is the name of a shipped aggregate or view.

use std::collections::BTreeSet;

use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ImplItemConst, Item, ItemMod, Lit, LitStr};

use super::imports::module_of;
use super::report::Violation;
use super::tree::{Source, is_for_tests};

/// Where the shipped domains are.
const DOMAINS: [&str; 3] = ["src/commands/", "src/projections/", "src/policies/"];

/// What must work for every domain.
const GENERIC: [&str; 10] =
    ["adapters", "contract", "http", "log", "ports", "react", "read", "test", "transfer", "write"];

/// A name that is also a word: fields of logs and problems are called so.
const ALSO_A_WORD: &str = "message";

/// Each string in generic code that is the name of a shipped aggregate, view or policy.
fn concrete_names(sources: &[Source]) -> Vec<Violation> {
    let is_domain = |source: &&Source| DOMAINS.iter().any(|domain| source.path.starts_with(domain));
    let mut names: BTreeSet<_> = sources.iter().filter(is_domain).flat_map(names_in).collect();
    names.remove(ALSO_A_WORD);
    let mut violations = Vec::new();
    for source in sources.iter().filter(|source| is_generic(&source.path)) {
        let mut strings = Strings(Vec::new());
        strings.visit_file(&source.syntax());
        for (text, line) in strings.0 {
            if names.contains(&text) {
                violations.push(Violation::new(&source.path, line, format!("names `{text}`")));
            }
        }
    }
    violations
}

/// The values of `const TYPE` and `const NAME` in a file.
fn names_in(source: &Source) -> Vec<String> {
    let mut constants = Constants(Vec::new());
    constants.visit_file(&source.syntax());
    constants.0
}

fn is_generic(path: &str) -> bool {
    path.ends_with(".rs")
        && path.starts_with("src/")
        && module_of(path).first().is_some_and(|top| GENERIC.contains(&top.as_str()))
}

struct Constants(Vec<String>);

impl<'ast> Visit<'ast> for Constants {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_impl_item_const(&mut self, item: &'ast ImplItemConst) {
        if let Expr::Lit(literal) = &item.expr
            && let Lit::Str(name) = &literal.lit
            && (item.ident == "TYPE" || item.ident == "NAME")
        {
            self.0.push(name.value());
        }
    }
}

struct Strings(Vec<(String, usize)>);

impl<'ast> Visit<'ast> for Strings {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Mod(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            _ => &Vec::new(),
        };
        if !is_for_tests(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_attribute(&mut self, _documentation: &'ast Attribute) {}

    fn visit_lit_str(&mut self, literal: &'ast LitStr) {
        self.0.push((literal.value(), literal.span().start().line));
    }
}

mod tests {
    use super::super::report::hold;
    use super::super::tree;
    use super::*;

    #[test]
    fn generic_code_names_no_shipped_aggregate_or_view() {
        hold(
            "What serves every domain names no shipped aggregate, view or policy",
            "take the name from the trait (`A::TYPE`, `P::NAME`) or from whoever registers it",
            &concrete_names(&tree::rust()),
        );
    }

    #[test]
    fn a_name_of_a_shipped_domain_in_generic_code_is_found() {
        let domain = "impl P for X { const NAME: &'static str = \"accounts\"; }";
        let sources = |text| {
            let domain = Source::planted("src/projections/accounts.rs", domain);
            [domain, Source::planted("src/http/queries.rs", text)]
        };
        let found = concrete_names(&sources("\nfn f() { get(\"accounts\") }"));
        assert_eq!(found, [Violation::new("src/http/queries.rs", 2, "names `accounts`")]);
        let fine = "/// Like \"accounts\".\nfn f() {}\n\
                    #[cfg(test)] mod tests { const X: &str = \"accounts\"; }";
        assert_eq!(concrete_names(&sources(fine)), []);
    }
}
