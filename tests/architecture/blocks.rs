//! The code blocks of documents: Rust stands in a source file, which is compiled, and what a shell
//! block says to the binary is a command line that it understands.

use clap::Parser;

use super::report::Violation;
use super::tree::Source;

/// A fenced block of a document.
struct Block<'a> {
    /// What stands behind the fence.
    language: &'a str,
    /// The line of the fence.
    line: usize,
    lines: Vec<&'a str>,
}

fn blocks(source: &Source) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for (number, line) in source.lines() {
        match (line.trim().strip_prefix("```"), &mut open) {
            (Some(language), None) => {
                open = Some(Block { language, line: number, lines: Vec::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => block.lines.push(line),
            (None, None) => {}
        }
    }
    blocks
}

fn blocks_of<'a>(sources: &'a [Source], language: &str) -> Vec<(&'a Source, Block<'a>)> {
    let documents = sources.iter().filter(|source| source.path.ends_with(".md"));
    let all = documents.flat_map(|source| blocks(source).into_iter().map(move |it| (source, it)));
    all.filter(|(_, block)| block.language == language).collect()
}

/// Rust that is in no source file.
fn strange_rust(sources: &[Source]) -> Vec<Violation> {
    let plain = |line: &str| {
        let line = line.trim();
        // An example in a documentation comment is compiled, too.
        let line = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")).unwrap_or(line);
        line.trim().to_owned()
    };
    let rust = sources.iter().filter(|source| source.is_rust());
    let rust: Vec<Vec<String>> = rust.map(|it| it.text.lines().map(plain).collect()).collect();
    let mut violations = Vec::new();
    for (source, block) in blocks_of(sources, "rust") {
        let wanted: Vec<String> = block.lines.iter().map(|line| plain(line)).collect();
        let is_there = rust.iter().any(|file| file.windows(wanted.len()).any(|it| it == wanted));
        if wanted.is_empty() || !is_there {
            let what = "has Rust that stands in no source file";
            violations.push(Violation::new(&source.path, block.line, what));
        }
    }
    violations
}

/// Command lines that the binary does not understand.
fn strange_commands(sources: &[Source]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (source, block) in blocks_of(sources, "sh") {
        for (at, line) in (block.line + 1..).zip(&block.lines) {
            let Some(words) = command(line) else { continue };
            if let Err(error) = retell::cli::Cli::try_parse_from(words)
                && error.use_stderr()
            {
                let what = error.to_string().lines().next().unwrap_or_default().to_owned();
                violations.push(Violation::new(&source.path, at, what));
            }
        }
    }
    violations
}

/// The words that the binary is called with in a line of a shell block, if it is; what a document
/// writes in capitals or brackets to be filled in stays as it is, or is left out.
fn command(line: &str) -> Option<Vec<&str>> {
    let line = line.split(['#', '|', '>', ';', '&']).next().unwrap_or_default();
    let line = line.split(" [").next().unwrap_or_default();
    let set = |word: &&str| word.contains('=') && !word.starts_with('-');
    let words = line.split_whitespace().skip_while(set).collect::<Vec<_>>();
    match words.as_slice() {
        ["retell", ..] => Some(words),
        ["cargo", "run", "--release", "--", arguments @ ..] => {
            Some([&["retell"], arguments].concat())
        }
        _ => None,
    }
}

mod tests {
    use super::super::report::hold;
    use super::super::tree;
    use super::*;

    #[test]
    fn rust_in_documents_is_compiled_somewhere() {
        hold(
            "A document shows Rust of a file that is compiled, line by line",
            "copy it from the source file, or mark the block `rust,ignore` and say why",
            &strange_rust(&tree::repository()),
        );
    }

    #[test]
    fn commands_in_documents_are_understood() {
        let sources = tree::repository();
        let all = blocks_of(&sources, "sh");
        let calls = all.iter().flat_map(|(_, it)| &it.lines).filter(|it| command(it).is_some());
        assert!(calls.count() > 10, "the documents call the binary");
        hold(
            "The binary understands what documents say to it",
            "mend the command line",
            &strange_commands(&sources),
        );
    }

    #[test]
    fn strange_rust_and_strange_commands_are_found() {
        let document = "a\n```rust\nfn one() {\n    two();\n}\n```\n```rust\nfn gone() {}\n```\n\
                        ```sh\nA=1 retell replay accounts # all\nretell reply | head\n```\n";
        let sources = [
            Source::planted("docs/a.md", document),
            Source::planted("src/a.rs", "mod a {\n    fn one() {\n        two();\n    }\n}\n"),
        ];
        let found = strange_rust(&sources);
        let expected = "has Rust that stands in no source file";
        assert_eq!(found, [Violation::new("docs/a.md", 7, expected)]);
        let found = strange_commands(&sources);
        let expected = "error: unrecognized subcommand 'reply'";
        assert_eq!(found, [Violation::new("docs/a.md", 12, expected)]);
    }
}
