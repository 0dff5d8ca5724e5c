//! What documents promise: each test that they name is there, each part of the original diagrams
//! has one, and what looks on beside the service cannot change anything.

use std::collections::BTreeSet;

use super::report::Violation;
use super::tree::Source;

/// Tests that a document names and nobody wrote: words of code with so many underscores that they
/// can only be the name of a test.
fn unwritten_tests(sources: &[Source]) -> Vec<Violation> {
    const UNDERSCORES: usize = 3;
    let rust = sources.iter().filter(|source| source.is_rust());
    let written: BTreeSet<&str> = rust.flat_map(|source| functions(&source.text)).collect();
    let is_test = |word: &&str| {
        let is_name = |c: char| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit();
        // Metrics and settings have long names, too.
        let is_other = ["retell_", "process_"].iter().any(|begin| word.starts_with(begin))
            || word.ends_with("_ms");
        word.matches('_').count() >= UNDERSCORES && word.chars().all(is_name) && !is_other
    };
    let mut violations = Vec::new();
    for source in sources.iter().filter(|source| source.path.ends_with(".md")) {
        for (number, line) in source.lines() {
            let words = line.split('`').skip(1).step_by(2).filter(is_test);
            for word in words.filter(|word| !written.contains(word)) {
                let what = format!("names `{word}`, which is no function");
                violations.push(Violation::new(&source.path, number, what));
            }
        }
    }
    violations
}

/// The names behind each `fn`.
fn functions(text: &str) -> impl Iterator<Item = &str> {
    let end = |c: char| c != '_' && !c.is_ascii_alphanumeric();
    text.split("fn ").skip(1).filter_map(move |rest| rest.split(end).next())
}

/// The rows of the table of the original diagrams that name no test.
fn untested_rows(architecture: &Source) -> Vec<Violation> {
    let rows = architecture.lines().skip_while(|(_, line)| !line.starts_with("| diagram | here |"));
    let rows = rows.skip(2).take_while(|(_, line)| line.starts_with('|'));
    let is_tested =
        |line: &str| line.split('`').skip(1).step_by(2).any(|word| word.matches('_').count() >= 4);
    let untested = rows.filter(|(_, line)| !is_tested(line));
    untested
        .map(|(number, _)| Violation::new(&architecture.path, number, "names no test"))
        .collect()
}

/// Images of the compose file's profile `tools` that may change what they look at.
fn tools_that_write(compose: &str) -> Vec<&'static str> {
    let switches = [
        ("kafka-ui", "KAFKA_CLUSTERS_0_READONLY: \"true\""),
        ("redis-commander", "READ_ONLY: \"true\""),
    ];
    let of = |name: &str| {
        let begin = compose.find(&format!("\n  {name}:\n")).unwrap_or(compose.len());
        let service = &compose[begin..];
        let end =
            service.get(1..).and_then(|rest| rest.find("\n\n")).map_or(service.len(), |it| it + 1);
        &service[..end]
    };
    let writes = |(name, switch): &(&'static str, &str)| !of(name).contains(switch);
    switches.iter().filter(|it| writes(it)).map(|(name, _)| *name).collect()
}

mod tests {
    use super::super::report::hold;
    use super::super::tree;
    use super::*;

    #[test]
    fn tests_that_documents_name_are_there() {
        hold(
            "A promise names a test that somebody can run",
            "write the test, or name the one that holds it now",
            &unwritten_tests(&tree::repository()),
        );
    }

    #[test]
    fn every_part_of_the_original_diagrams_has_a_test() {
        let architecture = tree::file("ARCHITECTURE.md").expect("it is there");
        assert!(architecture.text.contains("| diagram | here |"), "the table is there");
        hold(
            "The table of the original diagrams names a test for every row",
            "name the test that fails when the part is broken",
            &untested_rows(&architecture),
        );
    }

    #[test]
    fn tools_beside_the_service_can_look_and_not_change() {
        let compose = tree::file("docker-compose.yml").expect("it is there").text;
        assert_eq!(tools_that_write(&compose), Vec::<&str>::new());
        let broken = compose.replace("  READ_ONLY: \"true\"\n", "");
        assert_eq!(tools_that_write(&broken), ["redis-commander"]);
    }

    #[test]
    fn a_test_that_nobody_wrote_and_a_row_without_one_are_found() {
        let sources = [
            Source::planted("a.rs", "#[test]\nfn a_thing_that_is_there() {}\n"),
            Source::planted("b.md", "`a_thing_that_is_there`, `a_thing_that_is_gone`, `two_words`"),
        ];
        let expected = "names `a_thing_that_is_gone`, which is no function";
        assert_eq!(unwritten_tests(&sources), [Violation::new("b.md", 1, expected)]);
        let table =
            "| diagram | here |\n|---|---|\n| A | `a_thing_that_is_there` |\n| B | `src` |\n";
        let found = untested_rows(&Source::planted("c.md", table));
        assert_eq!(found, [Violation::new("c.md", 4, "names no test")]);
    }
}
