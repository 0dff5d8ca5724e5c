//! Which paths within the crate a Rust file names, in `use`, in code and in macros.
//!
//! `super` and `self` are resolved, so that a path is found however it is written.

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, ItemMod, ItemUse, Macro, Meta, UseTree};

use super::tree::{Source, is_for_tests};

/// A path that a file names, from the crate's root: `["log", "Fold"]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Import {
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
    /// Whether it is named by test code only.
    pub(crate) in_test: bool,
}

/// Every path within the crate that the file names.
pub(crate) fn imports(source: &Source) -> Vec<Import> {
    let module = module_of(&source.path);
    let tests = module.last().is_some_and(|last| last == "tests");
    let mut finder = Finder { module, in_test: tests, found: Vec::new() };
    finder.visit_file(&source.syntax());
    finder.found
}

/// The module that a file is: `src/log/mod.rs` is `["log"]`, `src/lib.rs` is `[]`.
pub(crate) fn module_of(path: &str) -> Vec<String> {
    let inner = path.strip_prefix("src/").unwrap_or(path).trim_end_matches(".rs");
    let mut module: Vec<_> = inner.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        module.pop();
    }
    module
}

struct Finder {
    module: Vec<String>,
    in_test: bool,
    found: Vec<Import>,
}

impl Finder {
    fn add(&mut self, segments: &[String], line: usize) {
        let Some(path) = resolve(&self.module, segments) else { return };
        if !path.is_empty() {
            self.found.push(Import { path, line, in_test: self.in_test });
        }
    }

    fn add_tree(&mut self, tree: &UseTree, before: &[String]) {
        let with = |ident: &syn::Ident| [before, &[ident.to_string()]].concat();
        let line = tree.span().start().line;
        match tree {
            UseTree::Path(path) => self.add_tree(&path.tree, &with(&path.ident)),
            UseTree::Name(name) if name.ident == "self" => self.add(before, line),
            UseTree::Name(name) => self.add(&with(&name.ident), line),
            UseTree::Rename(rename) => self.add(&with(&rename.ident), line),
            UseTree::Glob(_) => self.add(&[before, &["*".to_owned()]].concat(), line),
            UseTree::Group(group) => group.items.iter().for_each(|t| self.add_tree(t, before)),
        }
    }

    /// Paths in a macro, whose syntax is its own: names joined by `::`.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let (mut line, mut colons) = (0, 0);
        for token in tokens {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.add(&std::mem::take(&mut path), line);
                        line = ident.span().start().line;
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                other => {
                    self.add(&std::mem::take(&mut path), line);
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.add_tokens(group.stream());
                    }
                }
            }
        }
        self.add(&path, line);
    }

    fn within_test(&mut self, attributes: &[Attribute], visit: impl FnOnce(&mut Self)) {
        let before = self.in_test;
        self.in_test |= is_for_tests(attributes);
        visit(self);
        self.in_test = before;
    }
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.within_test(&item.attrs, |finder| {
            finder.module.push(item.ident.to_string());
            visit::visit_item_mod(finder, item);
            finder.module.pop();
        });
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.within_test(&item.attrs, |finder| visit::visit_item_fn(finder, item));
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.within_test(&item.attrs, |finder| visit::visit_item_impl(finder, item));
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.within_test(&item.attrs, |finder| finder.add_tree(&item.tree, &[]));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        self.add(&segments, path.span().start().line);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, mac: &'ast Macro) {
        self.add_tokens(mac.tokens.clone());
        visit::visit_macro(self, mac);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.add_tokens(list.tokens.clone());
        }
    }
}

/// The path from the crate's root; `None` for a path that begins in another crate or in scope,
/// where a `use` that is looked at itself has put it.
fn resolve(module: &[String], segments: &[String]) -> Option<Vec<String>> {
    if segments.len() < 2 {
        return None; // `crate` or `super` alone is a visibility
    }
    let first = segments.first()?;
    let mut absolute = match first.as_str() {
        "crate" | "retell" => Vec::new(),
        "self" | "super" => module.to_vec(),
        _ => return None,
    };
    let supers = segments.iter().take_while(|part| *part == "super").count();
    absolute.truncate(absolute.len().checked_sub(supers)?);
    absolute.extend(segments.iter().skip(supers.max(1)).cloned());
    Some(absolute)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(path: &str, text: &str) -> Vec<String> {
        let found = imports(&Source::planted(path, text));
        found.into_iter().map(|import| import.path.join("::")).collect()
    }

    #[test]
    fn a_path_is_found_however_it_is_written() {
        let file = "src/adapters/kafka/reader.rs";
        assert_eq!(paths(file, "use crate::{log::Fold, ports as p};"), ["log::Fold", "ports"]);
        assert_eq!(paths(file, "use crate::log::{self, Mark};"), ["log", "log::Mark"]);
        assert_eq!(paths(file, "use super::super::redis::*;"), ["adapters::redis::*"]);
        assert_eq!(paths(file, "fn f() -> crate::log::Mark { todo() }"), ["log::Mark"]);
        assert_eq!(paths(file, "fn f() { println!(\"{}\", crate::http::X); }"), ["http::X"]);
        assert_eq!(
            paths(file, "mod inner { use super::super::super::redis; }"),
            ["adapters::redis"]
        );
        assert_eq!(paths(file, "#[x(crate::app::y)] struct S;"), ["app::y"]);
        assert_eq!(paths("src/main.rs", "fn main() { retell::cli::run() }"), ["cli::run"]);
    }

    #[test]
    fn paths_of_other_crates_and_visibilities_are_no_imports() {
        let text = "pub(crate) use tokio::sync; pub(super) fn f() { std::mem::drop(sync::x) }";
        assert_eq!(paths("src/log/fold.rs", text), Vec::<String>::new());
    }

    #[test]
    fn test_code_is_told_from_other_code() {
        let text = "use crate::log::A; #[cfg(test)] mod tests { use crate::log::B; }";
        let found = imports(&Source::planted("src/log/fold.rs", text));
        assert_eq!(found.iter().map(|import| import.in_test).collect::<Vec<_>>(), [false, true]);
    }
}
