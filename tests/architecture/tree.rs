//! The files of the repository as the rules see them: those that git would track, as text.

use std::fs;
use std::path::Path;

use syn::Attribute;

/// A text file.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Relative to the repository, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// What a rule's own test plants.
    pub(crate) fn planted(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    pub(crate) fn is_script(&self) -> bool {
        self.text.starts_with("#!") || self.path.ends_with(".bash") || self.path == "Makefile"
    }

    /// The file's name without what comes after its first dot.
    pub(crate) fn stem(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.split('.').next().unwrap_or_default()
    }

    /// Each line with its number, from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(at, line)| (at + 1, line))
    }

    /// The syntax of a Rust file.
    pub(crate) fn syntax(&self) -> syn::File {
        let parsed = syn::parse_file(&self.text);
        parsed.map_err(|error| format!("{}: {error}", self.path)).expect("Rust that compiles")
    }
}

/// Every text file of the repository that git does not ignore, by path.
pub(crate) fn repository() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ignored = fs::read_to_string(root.join(".gitignore")).unwrap_or_default();
    let mut skipped: Vec<_> = ignored.lines().map(|line| line.trim_matches('/')).collect();
    skipped.push(".git");
    let mut files = Vec::new();
    collect(root, "", &skipped, &mut files);
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

/// Every Rust file of the repository.
pub(crate) fn rust() -> Vec<Source> {
    repository().into_iter().filter(Source::is_rust).collect()
}

/// One file of the repository, if it is there.
pub(crate) fn file(path: &str) -> Option<Source> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()?;
    Some(Source { path: path.to_owned(), text })
}

/// Whether an item is compiled for tests only.
pub(crate) fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let path = attribute.path();
        let is_test = path.segments.last().is_some_and(|last| last.ident == "test");
        let is_cfg_test = path.is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| {
                let condition = list.tokens.to_string();
                condition.contains("test") && !condition.contains("not")
            });
        is_test || is_cfg_test
    })
}

fn collect(folder: &Path, prefix: &str, skipped: &[&str], files: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("a file");
        let name = entry.file_name().into_string().expect("names are UTF-8");
        if skipped.contains(&name.as_str()) {
            continue;
        }
        let path = format!("{prefix}{name}");
        if entry.file_type().expect("a type").is_dir() {
            collect(&entry.path(), &format!("{path}/"), skipped, files);
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            files.push(Source { path, text }); // what is no text is an image or the like
        }
    }
}
