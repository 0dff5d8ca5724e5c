//! What code outside tests must not do: `unwrap`, which says nothing about why it cannot fail.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ExprMethodCall, ImplItem, Item, ItemMod, Macro};

use super::report::Violation;
use super::tree::{Source, is_for_tests};

const UNWRAP: &str = "unwrap";

fn unwraps(sources: &[Source]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in sources.iter().filter(|source| source.path.starts_with("src/")) {
        let mut unwraps = Unwraps(Vec::new());
        unwraps.visit_file(&source.syntax());
        let found = |line| Violation::new(&source.path, line, "calls `unwrap()`");
        violations.extend(unwraps.0.into_iter().map(found));
    }
    violations
}

struct Unwraps(Vec<usize>);

impl Unwraps {
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut after_dot = false;
        for token in tokens {
            match &token {
                TokenTree::Group(group) => self.add_tokens(group.stream()),
                TokenTree::Ident(ident) if after_dot && ident == UNWRAP => {
                    self.0.push(ident.span().start().line);
                }
                _ => {}
            }
            after_dot = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '.');
        }
    }
}

impl<'ast> Visit<'ast> for Unwraps {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes: &[Attribute] = match item {
            Item::Mod(ItemMod { attrs, .. }) => attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            _ => &[],
        };
        if !is_for_tests(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        if !matches!(item, ImplItem::Fn(function) if is_for_tests(&function.attrs)) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        if call.method == UNWRAP {
            self.0.push(call.method.span().start().line);
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, mac: &'ast Macro) {
        self.add_tokens(mac.tokens.clone());
    }
}

mod tests {
    use super::super::report::hold;
    use super::super::tree;
    use super::*;

    #[test]
    fn nothing_is_unwrapped_outside_tests() {
        hold(
            "src/ has no `unwrap()` outside tests",
            "return the error, or say with `expect` which invariant makes it impossible",
            &unwraps(&tree::rust()),
        );
    }

    #[test]
    fn an_unwrap_is_found_in_code_and_in_macros_but_not_in_tests() {
        let lines = |text| {
            let found = unwraps(&[Source::planted("src/a.rs", text)]);
            found.into_iter().map(|violation| violation.line).collect::<Vec<_>>()
        };
        assert_eq!(lines("fn f() {\n x.unwrap();\n}"), [2]);
        assert_eq!(lines("fn f() {\n println!(\"{}\",\n x.unwrap());\n}"), [3]);
        assert!(lines("fn f() { x.unwrap_or(0) }\n/// x.unwrap()\nstruct S;").is_empty());
        assert!(lines("#[cfg(test)] mod tests { fn f() { x.unwrap(); } }").is_empty());
        assert_eq!(lines("#[cfg(not(test))] fn f() { x.unwrap(); }"), [1]);
    }
}
