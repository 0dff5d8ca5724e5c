//! Dashboards and alert rules name numbers that there are.

use std::collections::BTreeSet;

use super::report::Violation;
use super::tree::Source;

/// The list of all families; a test of the service holds it against the answer.
const LIST: &str = "docs/metrics.md";
/// What watches the service.
const WATCHERS: &str = "dev/observe/";

/// What a family's samples may have behind its name.
const SUFFIXES: [&str; 3] = ["_bucket", "_sum", "_count"];

fn unknown_metrics(watchers: &[Source], list: &Source) -> Vec<Violation> {
    let rows = list.text.lines().filter_map(|line| line.strip_prefix("| `"));
    let known: BTreeSet<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    let is_known = |name: &str| {
        let without = SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix));
        known.contains(name) || without.is_some_and(|name| known.contains(name))
    };
    let mut violations = Vec::new();
    for source in watchers {
        for (number, line) in source.lines() {
            for name in names(line).filter(|name| !is_known(name)) {
                let what = format!("`{name}` is not in {LIST}");
                violations.push(Violation::new(&source.path, number, what));
            }
        }
    }
    violations
}

/// Words that begin as the names of our metrics do.
fn names(line: &str) -> impl Iterator<Item = &str> {
    let is_of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let words = line.split(move |c| !is_of_name(c));
    words.filter(|word| word.starts_with("retell_") || word.starts_with("process_"))
}

mod tests {
    use super::super::report::hold;
    use super::super::tree;
    use super::*;

    #[test]
    fn dashboards_and_alerts_name_numbers_that_there_are() {
        let mut watchers = tree::repository();
        watchers.retain(|source| source.path.starts_with(WATCHERS));
        let named = watchers.iter().flat_map(|it| names(&it.text)).count();
        assert!(named > 50, "{named} in {WATCHERS}");
        hold(
            "Every number that a dashboard or an alert names is in the list of metrics",
            "mend the name, or add the family to the list and to src/http/metrics",
            &unknown_metrics(&watchers, &tree::file(LIST).expect("the list")),
        );
    }

    #[test]
    fn a_number_that_there_is_not_is_found() {
        let list = Source::planted(LIST, "| `retell_a_seconds` | histogram | |");
        let rule = "expr: rate(retell_a_seconds_bucket[5m]) / retell_b";
        let found = unknown_metrics(&[Source::planted("dev/observe/a.yml", rule)], &list);
        let wanted = "`retell_b` is not in docs/metrics.md";
        assert_eq!(found, [Violation::new("dev/observe/a.yml", 1, wanted)]);
    }
}
