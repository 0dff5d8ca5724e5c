//! What files say first, what they are called, and in which order an aggregate is told.

use syn::ItemMod;
use syn::visit::{self, Visit};

use super::report::Violation;
use super::tree::Source;

/// Names that say nothing about what is inside.
const BANNED: [&str; 9] =
    ["common", "helper", "helpers", "manager", "managers", "misc", "util", "utils", "utilities"];

/// The sections of a file in `src/commands/`, as its comments name them.
const SECTIONS: [&str; 6] = ["command", "error", "state", "decide", "evolve", "tests"];

/// How a section begins.
const SECTION: &str = "// ---- ";

fn files_without_a_first_line(sources: &[Source]) -> Vec<Violation> {
    let says_something = |source: &&Source| {
        let first = source.text.lines().next().unwrap_or_default();
        first.strip_prefix("//! ").is_some_and(|text| text.trim().len() > 10)
    };
    let silent = sources.iter().filter(|source| !says_something(source));
    silent.map(|source| Violation::new(&source.path, 1, "does not begin with `//! `")).collect()
}

fn banned_names(sources: &[Source]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in sources {
        let folders = source.path.rsplit_once('/').map_or("", |(folders, _)| folders);
        for name in folders.split('/').chain([source.stem()]) {
            if is_banned(name) {
                violations.push(Violation::new(&source.path, 1, format!("is called `{name}`")));
            }
        }
        if source.is_rust() {
            let mut modules = Modules(Vec::new());
            modules.visit_file(&source.syntax());
            let banned = modules.0.into_iter().filter(|(name, _)| is_banned(name));
            violations.extend(banned.map(|(name, line)| {
                Violation::new(&source.path, line, format!("a module is called `{name}`"))
            }));
        }
    }
    violations
}

fn aggregates_in_another_order(sources: &[Source]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in sources {
        if !source.path.starts_with("src/commands/") || source.stem() == "mod" {
            continue;
        }
        let headings = source.lines().filter_map(|(_, line)| line.strip_prefix(SECTION));
        let found: Vec<_> = headings.collect();
        if found != SECTIONS {
            let what = format!("has the sections {found:?}, not {SECTIONS:?}");
            violations.push(Violation::new(&source.path, 1, what));
        }
    }
    violations
}

fn is_banned(name: &str) -> bool {
    name.split(['_', '-', '.']).any(|word| BANNED.contains(&word))
}

/// Each module that a file declares, with its line.
struct Modules(Vec<(String, usize)>);

impl<'ast> Visit<'ast> for Modules {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.0.push((item.ident.to_string(), item.ident.span().start().line));
        visit::visit_item_mod(self, item);
    }
}

mod tests {
    use super::super::report::hold;
    use super::super::tree;
    use super::*;

    #[test]
    fn every_rust_file_says_first_what_it_holds() {
        hold(
            "The first line of a Rust file is `//!`: what it holds, and the invariant it keeps",
            "write that line; if it needs an `and` between two stories, split the file",
            &files_without_a_first_line(&tree::rust()),
        );
    }

    #[test]
    fn no_file_or_module_has_a_name_that_says_nothing() {
        hold(
            &format!("Nothing is called {}", BANNED.join(", ")),
            "name it after what is inside, a noun of the domain or the technology",
            &banned_names(&tree::repository()),
        );
    }

    #[test]
    fn every_aggregate_is_told_in_the_same_order() {
        hold(
            "A file of src/commands/ has the sections command, error, state, decide, evolve, tests",
            "begin each section with a line such as `// ---- command`, in this order",
            &aggregates_in_another_order(&tree::rust()),
        );
    }

    #[test]
    fn what_says_nothing_is_found() {
        let silent = Source::planted("src/a.rs", "// what\n//! it holds, too late");
        let found = files_without_a_first_line(&[silent]);
        assert_eq!(found, [Violation::new("src/a.rs", 1, "does not begin with `//! `")]);

        let found = |path, text| banned_names(&[Source::planted(path, text)]).len();
        assert_eq!(found("src/string_utils.rs", ""), 1);
        assert_eq!(found("tests/common/mod.rs", ""), 1);
        assert_eq!(found("src/a.rs", "mod inner { mod helpers {} }"), 1);
        assert_eq!(found("docs/misc.md", ""), 1);
        assert_eq!(found("src/uncommon.rs", "mod utility_poles {}"), 0);
    }

    #[test]
    fn an_aggregate_told_in_another_order_is_found() {
        let told = |sections: &[&str]| {
            let text = sections.iter().map(|name| format!("{SECTION}{name}\n")).collect::<String>();
            aggregates_in_another_order(&[Source::planted("src/commands/light.rs", &text)]).len()
        };
        assert_eq!(told(&SECTIONS), 0);
        assert_eq!(told(&["command", "state", "error", "decide", "evolve", "tests"]), 1);
        assert_eq!(told(&SECTIONS[..5]), 1);
    }
}
