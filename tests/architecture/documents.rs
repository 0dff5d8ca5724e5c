//! The documents: those that must be there are, and what they link to is.

use std::path::Path;

use super::report::Violation;
use super::tree::Source;

/// What a newcomer looks for in the root.
const EXPECTED: [&str; 4] = ["ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "README.md"];

fn missing(sources: &[Source]) -> Vec<Violation> {
    let is_there = |path: &&str| sources.iter().any(|source| source.path == *path);
    let missing = EXPECTED.iter().filter(|path| !is_there(path));
    missing.map(|path| Violation::new(path, 1, "is missing")).collect()
}

/// Links to files that are not there. `exists` is asked with paths relative to the repository.
fn dead_links(sources: &[Source], exists: impl Fn(&Path) -> bool) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in sources.iter().filter(|source| source.path.ends_with(".md")) {
        let folder = Path::new(&source.path).parent().unwrap_or(Path::new(""));
        for (number, line) in source.lines() {
            for link in links(line) {
                let file = link.split('#').next().unwrap_or_default();
                if !file.is_empty() && !file.contains(':') && !exists(&folder.join(file)) {
                    let what = format!("links to `{link}`, which is not there");
                    violations.push(Violation::new(&source.path, number, what));
                }
            }
        }
    }
    violations
}

/// What stands in `[…](here)`.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// Where each code of a problem stands, and where it is explained.
const CODES: &str = "src/http/problem/answer.rs";
const GUIDE: &str = "docs/http.md";

/// Codes that the guide does not explain.
fn unexplained_codes(code: &Source, guide: &Source) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (number, line) in code.lines() {
        let answers = ["answer(", "unavailable("].iter().any(|call| line.contains(call))
            || line.trim_start().starts_with('"');
        let Some(name) = line.split('"').nth(1).filter(|_| answers) else { continue };
        if !guide.text.contains(&format!("`{name}`")) {
            let what = format!("`{name}` is not in {GUIDE}");
            violations.push(Violation::new(&code.path, number, what));
        }
    }
    violations
}

/// The page whose table names a test for each threat.
const THREATS: &str = "docs/security.md";

/// Rows of the table without a test. Whether those that are named are there, `promises` looks.
fn untested_threats(page: &Source) -> Vec<Violation> {
    let rows = page.lines().skip_while(|(_, line)| *line != "## Threats");
    let rows = rows.filter(|(_, line)| line.starts_with("| ")).skip(1);
    let names_none = |row: &str| {
        let tests = row.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default();
        !tests.contains('`')
    };
    let untested = rows.filter(|(_, row)| names_none(row));
    untested
        .map(|(number, _)| Violation::new(&page.path, number, "a threat without a test"))
        .collect()
}

mod tests {
    use super::super::report::hold;
    use super::super::tree;
    use super::*;

    #[test]
    fn the_documents_that_a_newcomer_looks_for_are_there() {
        hold(
            "The repository says how to work on it and what has changed",
            "write the document",
            &missing(&tree::repository()),
        );
    }

    #[test]
    fn no_document_links_to_a_file_that_is_not_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        hold(
            "Relative links in documents lead to files of the repository",
            "mend the link, relative to the document that it stands in",
            &dead_links(&tree::repository(), |path| root.join(path).exists()),
        );
    }

    #[test]
    fn every_code_of_a_problem_is_explained() {
        let file = |path: &str| tree::file(path).expect("it is there");
        hold(
            "The HTTP guide says what each code of a problem means",
            "explain it in the table of docs/http.md, with what a client should do",
            &unexplained_codes(&file(CODES), &file(GUIDE)),
        );
    }

    #[test]
    fn every_threat_has_a_test() {
        hold(
            "Each row of the threat table names a test",
            "write the test, and name it in the last column of the row",
            &untested_threats(&tree::file(THREATS).expect("the page")),
        );
    }

    #[test]
    fn a_threat_without_a_test_is_found() {
        let page = "| a | b | `x` |\n## Threats\n| threat | holds | test |\n|---|---|---|\n\
                    | a | `c` | `good`, `better` |\n| b | `good` | none |";
        let found = untested_threats(&Source::planted(THREATS, page));
        assert_eq!(found, [Violation::new(THREATS, 6, "a threat without a test")]);
    }

    #[test]
    fn an_unexplained_code_is_found() {
        let code = "A => answer(400, Invalid, \"a\"),\nB => {\n    unavailable(\"b\", SOON)\n";
        let code = Source::planted(CODES, code);
        assert_eq!(unexplained_codes(&code, &Source::planted(GUIDE, "| `a`, `b` |")), []);
        let found = unexplained_codes(&code, &Source::planted(GUIDE, "`a` and b"));
        assert_eq!(found, [Violation::new(CODES, 3, "`b` is not in docs/http.md")]);
    }

    #[test]
    fn a_missing_document_and_a_dead_link_are_found() {
        let is_there = |path: &&&str| **path != "CONTRIBUTING.md";
        let there = EXPECTED.iter().filter(is_there).map(|path| Source::planted(path, ""));
        let found = missing(&there.collect::<Vec<_>>());
        assert_eq!(found, [Violation::new("CONTRIBUTING.md", 1, "is missing")]);

        let text =
            "See [it](../a.md#part), [gone](gone.md), [above](#top), [web](https://x.example)";
        let found = dead_links(&[Source::planted("docs/b.md", text)], |path| {
            path == Path::new("docs/../a.md")
        });
        let expected = "links to `gone.md`, which is not there";
        assert_eq!(found, [Violation::new("docs/b.md", 1, expected)]);
    }
}
