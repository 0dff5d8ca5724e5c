//! What the build depends on: allowed licences, no banned crate, nothing but crates.io.
//!
//! The lists are those of `deny.toml`, so that cargo-deny, which takes minutes to build, says the
//! same where somebody has it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use cargo_metadata::{CargoOpt, Metadata, MetadataCommand};
use toml::{Table, Value};

use super::licence::is_allowed;
use super::report::Violation;
use super::tree;

const LOCK: &str = "Cargo.lock";
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The licences that are allowed until there is a `deny.toml`.
const ALLOWED: [&str; 6] = ["0BSD", "Apache-2.0", "BSD-3-Clause", "BSL-1.0", "MIT", "Unicode-3.0"];

/// A crate of the build, as the rules see it.
struct Dependency {
    name: String,
    version: String,
    licence: Option<String>,
    /// Where it comes from; `None` for a folder.
    source: Option<String>,
}

/// What `deny.toml` says.
#[derive(Default)]
struct Policy {
    licences: BTreeSet<String>,
    /// More licences, for one crate each.
    exceptions: BTreeMap<String, BTreeSet<String>>,
    banned: BTreeSet<String>,
    /// Versions that may be there beside another of the same crate: `base64@0.22`.
    skipped: BTreeSet<String>,
}

fn with_other_licences(dependencies: &[Dependency], policy: &Policy) -> Vec<Violation> {
    let mut violations = Vec::new();
    for Dependency { name, licence, .. } in dependencies {
        let exception = policy.exceptions.get(name).into_iter().flatten();
        let allowed = policy.licences.iter().chain(exception).cloned().collect();
        let licence = licence.as_deref().unwrap_or_default();
        if !is_allowed(licence, &allowed) {
            let what = format!("`{name}` has the licence `{licence}`");
            violations.push(Violation::new(LOCK, line_of(name), what));
        }
    }
    violations
}

fn banned(dependencies: &[Dependency], policy: &Policy) -> Vec<Violation> {
    let found = dependencies.iter().filter(|found| policy.banned.contains(&found.name));
    found
        .map(|Dependency { name, .. }| {
            Violation::new(LOCK, line_of(name), format!("`{name}` is banned"))
        })
        .collect()
}

/// Crates that are compiled more than once without leave, and leave that nobody needs.
fn twice(dependencies: &[Dependency], policy: &Policy) -> Vec<Violation> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for Dependency { name, version, .. } in dependencies {
        versions.entry(name).or_default().insert(version);
    }
    let mut unused = policy.skipped.clone();
    let mut violations = Vec::new();
    for (name, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
        let skips = |version: &str, skip: &str| {
            let of = skip.strip_prefix(name).and_then(|rest| rest.strip_prefix('@'));
            of.is_some_and(|of| version == of || version.starts_with(&format!("{of}.")))
        };
        let skipped = |version: &&str| policy.skipped.iter().any(|skip| skips(version, skip));
        unused.retain(|skip| !versions.iter().any(|version| skips(version, skip)));
        if versions.iter().filter(|version| !skipped(version)).count() > 1 {
            let what = format!("`{name}` is there as {versions:?}");
            violations.push(Violation::new(LOCK, line_of(name), what));
        }
    }
    let unused = unused.iter().map(|skip| format!("`{skip}` is skipped in vain"));
    violations.extend(unused.map(|what| Violation::new("deny.toml", 1, what)));
    violations
}

fn from_elsewhere(dependencies: &[Dependency]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for Dependency { name, source, .. } in dependencies {
        let source = source.as_deref().unwrap_or("a folder");
        if source != CRATES_IO && name != env!("CARGO_PKG_NAME") {
            violations.push(Violation::new(LOCK, line_of(name), format!("`{name}`: {source}")));
        }
    }
    violations
}

impl Policy {
    fn parse(text: &str) -> Self {
        let table: Table = text.parse().expect("deny.toml is TOML");
        let list = |section: &str, key: &str| match table.get(section).and_then(|s| s.get(key)) {
            Some(Value::Array(items)) => items.clone(),
            _ => Vec::new(),
        };
        let exceptions = list("licenses", "exceptions").into_iter().filter_map(|exception| {
            let licences = exception.get("allow")?.as_array()?.iter().filter_map(text_of).collect();
            Some((crate_of(&exception)?, licences))
        });
        Self {
            licences: list("licenses", "allow").iter().filter_map(text_of).collect(),
            exceptions: exceptions.collect(),
            banned: list("bans", "deny").iter().filter_map(crate_of).collect(),
            skipped: list("bans", "skip")
                .iter()
                .filter_map(|entry| text_of(entry.get("crate")?))
                .collect(),
        }
    }

    fn of_repository() -> Self {
        let until_then = || Self { licences: ALLOWED.map(str::to_owned).into(), ..Self::default() };
        tree::file("deny.toml").map_or_else(until_then, |deny| Self::parse(&deny.text))
    }
}

/// The crate that an entry names: `"x"`, `{ crate = "x@1" }` or `{ name = "x" }`.
fn crate_of(entry: &Value) -> Option<String> {
    let named = entry.get("crate").or_else(|| entry.get("name"));
    let name = text_of(named.unwrap_or(entry))?;
    name.split(['@', ':']).next().map(str::to_owned)
}

fn text_of(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// Where a crate stands in the lock file.
fn line_of(name: &str) -> usize {
    let lock = tree::file(LOCK);
    let entry = format!("name = \"{name}\"");
    let at = lock.and_then(|lock| lock.text.lines().position(|line| line == entry));
    at.map_or(1, |line| line + 1)
}

/// Every crate that a build on this machine may use, with all features.
fn dependencies() -> Vec<Dependency> {
    let metadata: Metadata = MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .features(CargoOpt::AllFeatures)
        // Offline and for this machine: what was just built is here, what others need may not be.
        .other_options(["--offline", "--locked", "--filter-platform", &host()].map(str::to_owned))
        .exec()
        .expect("cargo knows the crates that it has built");
    let nodes = metadata.resolve.into_iter().flat_map(|graph| graph.nodes);
    let used: BTreeSet<_> = nodes.map(|node| node.id).collect();
    let packages = metadata.packages.into_iter().filter(|package| used.contains(&package.id));
    packages
        .map(|package| Dependency {
            name: package.name.to_string(),
            version: package.version.to_string(),
            licence: package.license,
            source: package.source.map(|source| source.repr),
        })
        .collect()
}

/// The platform of this machine, as rustc calls it.
fn host() -> String {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let output = Command::new(rustc).arg("-vV").output().expect("rustc is there");
    let text = String::from_utf8(output.stdout).expect("rustc speaks UTF-8");
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("rustc names its host").to_owned()
}

mod tests {
    use super::super::report::hold;
    use super::*;

    #[test]
    fn every_dependency_has_an_allowed_licence() {
        hold(
            "Every dependency has a licence that deny.toml allows",
            "do without it; or, if the licence is as free as the others, allow it in deny.toml",
            &with_other_licences(&dependencies(), &Policy::of_repository()),
        );
    }

    #[test]
    fn no_dependency_is_banned() {
        hold(
            "No crate that deny.toml bans is in the build",
            "find out who wants it with `cargo tree --invert NAME`, and turn that feature off",
            &banned(&dependencies(), &Policy::of_repository()),
        );
    }

    #[test]
    fn no_dependency_is_there_twice_without_leave() {
        hold(
            "A crate is compiled once, or deny.toml says why not",
            "update what wants the old version; or skip it in deny.toml with the reason",
            &twice(&dependencies(), &Policy::of_repository()),
        );
    }

    #[test]
    fn every_dependency_comes_from_crates_io() {
        hold(
            "Every dependency comes from crates.io",
            "depend on a published version",
            &from_elsewhere(&dependencies()),
        );
    }

    #[test]
    fn a_bad_dependency_is_found() {
        let policy = Policy::parse(
            r#"
            [licenses]
            allow = ["MIT"]
            exceptions = [{ allow = ["ISC"], crate = "quiet@1" }]
            [bans]
            deny = ["loud", { crate = "old" }, { name = "older" }]
            "#,
        );
        let of = |name: &str, licence: Option<&str>, source: Option<&str>| Dependency {
            name: name.to_owned(),
            version: "1.2.3".to_owned(),
            licence: licence.map(str::to_owned),
            source: source.map(str::to_owned),
        };
        let found = |name, licence| with_other_licences(&[of(name, licence, None)], &policy).len();
        assert_eq!((found("a", Some("MIT OR GPL-3.0")), found("quiet", Some("ISC"))), (0, 0));
        assert_eq!(
            (found("a", Some("ISC")), found("a", Some("GPL-3.0")), found("a", None)),
            (1, 1, 1)
        );

        for (name, times) in [("loud", 1), ("old", 1), ("older", 1), ("quiet", 0)] {
            assert_eq!(banned(&[of(name, None, None)], &policy).len(), times, "{name}");
        }

        let policy = Policy::parse("[bans]\nskip = [{ crate = \"a@1\", reason = \"b\" }]");
        let versions = |versions: &[&str]| {
            let of = |version: &&str| Dependency {
                version: (*version).to_owned(),
                ..of("a", None, None)
            };
            twice(&versions.iter().map(of).collect::<Vec<_>>(), &policy).len()
        };
        assert_eq!((versions(&["1.2.3", "2.0.0"]), versions(&["2.0.0", "3.0.0"])), (0, 2));
        assert_eq!((versions(&["1.0.0", "2.0.0", "10.0.0"]), versions(&["2.0.0"])), (1, 1));

        let from = |source| from_elsewhere(&[of("a", None, source)]).len();
        assert_eq!(
            (from(Some(CRATES_IO)), from(Some("git+https://github.com/x")), from(None)),
            (0, 1, 1)
        );
    }
}
