//! The dashboard's own files: what they say first, how long they are, and that none of them makes
//! an element from text.

use super::report::Violation;
use super::tree::Source;

const FILE_LINES_MAX: usize = 400;

/// What would make markup or a script of a text.
const BANNED: [&str; 8] = [
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "document.write",
    "createContextualFragment",
    "srcdoc",
    "eval(",
    "new Function",
];

fn silent(scripts: &[Source]) -> Vec<Violation> {
    let says = |source: &&Source| {
        let first = source.text.lines().next().unwrap_or_default();
        first.strip_prefix("// ").is_some_and(|text| text.len() > 10)
    };
    let silent = scripts.iter().filter(|source| !says(source));
    silent.map(|source| Violation::new(&source.path, 1, "does not begin with `// `")).collect()
}

fn long(files: &[Source]) -> Vec<Violation> {
    let lines = |source: &Source| source.lines().count();
    let long = files.iter().filter(|source| lines(source) > FILE_LINES_MAX);
    long.map(|source| {
        Violation::new(&source.path, lines(source), format!("{} lines", lines(source)))
    })
    .collect()
}

fn markup_from_text(scripts: &[Source]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in scripts {
        for (number, line) in source.lines() {
            for banned in BANNED.iter().filter(|banned| line.contains(**banned)) {
                violations.push(Violation::new(&source.path, number, format!("has `{banned}`")));
            }
        }
    }
    violations
}

mod tests {
    use super::super::report::hold;
    use super::super::tree;
    use super::*;

    fn files(ending: &[&str]) -> Vec<Source> {
        let mut sources = tree::repository();
        sources.retain(|source| {
            source.path.starts_with("src/")
                && ending.iter().any(|ending| source.path.ends_with(ending))
        });
        assert!(sources.len() > 5, "there are some");
        sources
    }

    #[test]
    fn every_script_says_first_what_it_does() {
        hold(
            "The first line of a script of the dashboard is `// `: what it shows or does",
            "write that line; if it needs an `and` between two stories, split the file",
            &silent(&files(&[".js"])),
        );
    }

    #[test]
    fn a_file_of_the_dashboard_has_at_most_400_lines() {
        hold(
            "A file of the dashboard has at most 400 lines",
            "let the file tell one story: move the other one to a file of its own",
            &long(&files(&[".js", ".css"])),
        );
    }

    #[test]
    fn no_script_makes_markup_from_text() {
        hold(
            "Elements are made by `h` of elements.js, from values: no text becomes markup",
            "make the element with `h`",
            &markup_from_text(&files(&[".js"])),
        );
    }

    #[test]
    fn what_breaks_a_rule_is_found() {
        let planted = |text: &str| [Source::planted("src/http/dashboard/a.js", text)];
        assert_eq!(silent(&planted("import x")).len(), 1);
        assert_eq!(silent(&planted("// What it shows.\n")), []);
        assert_eq!(long(&planted(&"//\n".repeat(401))).len(), 1);
        let found = markup_from_text(&planted("//\nel.innerHTML = text;\n"));
        let expected = Violation::new("src/http/dashboard/a.js", 2, "has `innerHTML`");
        assert_eq!(found, [expected]);
    }
}
