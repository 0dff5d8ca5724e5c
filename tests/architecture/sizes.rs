//! How long a file, a function and a line may be, so that each can be read at once.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block, ImplItemFn, ItemFn, Signature, TraitItemFn};

use super::report::Violation;
use super::tree::Source;

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_COLUMNS_MAX: usize = 100;

fn long_files(sources: &[Source]) -> Vec<Violation> {
    let is_long = |source: &&Source| source.lines().count() > FILE_LINES_MAX;
    let long = sources.iter().filter(is_long);
    long.map(|source| {
        let lines = source.lines().count();
        Violation::new(&source.path, lines, format!("{lines} lines"))
    })
    .collect()
}

fn long_functions(sources: &[Source]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in sources {
        let mut functions = Functions(Vec::new());
        functions.visit_file(&source.syntax());
        for (name, first, last) in functions.0 {
            let lines = last + 1 - first;
            if lines > FUNCTION_LINES_MAX {
                let what = format!("`{name}` has {lines} lines");
                violations.push(Violation::new(&source.path, first, what));
            }
        }
    }
    violations
}

fn long_lines(sources: &[Source]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in sources {
        for (number, line) in source.lines() {
            let columns = line.chars().count();
            if columns > LINE_COLUMNS_MAX {
                let what = format!("{columns} columns");
                violations.push(Violation::new(&source.path, number, what));
            }
        }
    }
    violations
}

/// Each function with its first and its last line.
struct Functions(Vec<(String, usize, usize)>);

impl Functions {
    fn add(&mut self, signature: &Signature, body: &Block) {
        let name = signature.ident.to_string();
        self.0.push((name, signature.span().start().line, body.span().end().line));
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.add(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.add(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        if let Some(body) = &item.default {
            self.add(&item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

mod tests {
    use super::super::report::hold;
    use super::super::tree;
    use super::*;

    #[test]
    fn a_file_has_at_most_400_lines() {
        hold(
            "A Rust file has at most 400 lines with its tests, and aims below 150",
            "let the file tell one story: move the other one to a file of its own",
            &long_files(&tree::rust()),
        );
    }

    #[test]
    fn a_function_has_at_most_70_lines() {
        hold(
            "A function has at most 70 lines",
            "give a step of it a name and a function of its own",
            &long_functions(&tree::rust()),
        );
    }

    #[test]
    fn a_line_has_at_most_100_columns() {
        let mut sources = tree::repository();
        sources.retain(|source| {
            let others = [".toml", ".js", ".css"];
            source.is_rust()
                || source.is_script()
                || others.iter().any(|ending| source.path.ends_with(ending))
        });
        hold(
            "A line of code, of a script, of a style or of TOML has at most 100 columns",
            "break it; rustfmt breaks code, but neither comments nor strings",
            &long_lines(&sources),
        );
    }

    #[test]
    fn what_is_too_long_is_found() {
        let of_lines = |lines: usize| [Source::planted("src/a.rs", &"//\n".repeat(lines))];
        assert_eq!(long_files(&of_lines(400)), []);
        assert_eq!(long_files(&of_lines(401)), [Violation::new("src/a.rs", 401, "401 lines")]);

        let of_body = |lines: usize| {
            let body = "    x();\n".repeat(lines);
            [Source::planted("src/a.rs", &format!("//!\nimpl X {{\nfn f() {{\n{body}}}\n}}"))]
        };
        assert_eq!(long_functions(&of_body(68)), []);
        let found = Violation::new("src/a.rs", 3, "`f` has 71 lines");
        assert_eq!(long_functions(&of_body(69)), [found]);

        let of_columns = |columns| [Source::planted("src/a.rs", &"ö".repeat(columns))];
        assert_eq!(long_lines(&of_columns(100)), []);
        assert_eq!(long_lines(&of_columns(101)), [Violation::new("src/a.rs", 1, "101 columns")]);
    }
}
