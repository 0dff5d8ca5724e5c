//! The repository works on every machine: no path and no host of the one it was written on.

use super::report::Violation;
use super::tree::Source;

/// Folders that are a person's or a machine's.
const MACHINE_FOLDERS: [&str; 4] = ["home", "root", "Users", "work"];

/// Public hosts that files may name, with all below them.
const PUBLIC_HOSTS: [&str; 24] = [
    "apache.org",
    "cloudevents.io",
    "confluent.io",
    "contributor-covenant.org",
    "conventionalcommits.org",
    "crates.io",
    "docker.com",
    "docs.rs",
    "github.com",
    "ietf.org",
    "jepsen.io",
    "json-schema.org",
    "keepachangelog.com",
    "mozilla.org",
    "openapis.org",
    "opentelemetry.io",
    "prometheus.io",
    "redis.io",
    "rfc-editor.org",
    "rust-lang.org",
    "rustsec.org",
    "semver.org",
    "spdx.org",
    "w3.org",
];

/// Names that are reserved for examples (RFC 2606).
const EXAMPLE_HOSTS: [&str; 7] =
    ["example", "example.com", "example.net", "example.org", "invalid", "localhost", "test"];

fn machine_paths(sources: &[Source], root: &str) -> Vec<Violation> {
    let folders = MACHINE_FOLDERS.map(|folder| format!("/{folder}/"));
    find(sources, |line| {
        let absolute = folders.iter().find(|folder| starts_a_path(line, folder));
        let path = absolute.map(String::as_str).or_else(|| line.contains(root).then_some(root));
        path.map(|path| format!("has the path `{path}`")).into_iter().collect()
    })
}

fn private_hosts(sources: &[Source]) -> Vec<Violation> {
    find(sources, |line| {
        let private = hosts(line).filter(|host| !is_public(host));
        private.map(|host| format!("has the host `{host}`")).collect()
    })
}

fn find(sources: &[Source], look_at: impl Fn(&str) -> Vec<String>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in sources {
        for (number, line) in source.lines() {
            let found = look_at(line).into_iter();
            violations.extend(found.map(|what| Violation::new(&source.path, number, what)));
        }
    }
    violations
}

/// Whether the folder stands where an absolute path begins, not within a longer one.
fn starts_a_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && !"._-}~/$".contains(c))
    })
}

/// The host of each URL in a line; not where a placeholder stands for it.
fn hosts(line: &str) -> impl Iterator<Item = &str> {
    line.split("://").skip(1).filter_map(|rest| {
        let authority =
            rest.split(|c: char| !c.is_alphanumeric() && !".-_@:{$".contains(c)).next()?;
        let host = authority.rsplit('@').next()?.split(':').next()?.trim_end_matches('.');
        let is_name = host.contains('.') && host.chars().any(char::is_alphabetic);
        (is_name && !host.contains(['{', '$'])).then_some(host)
    })
}

fn is_public(host: &str) -> bool {
    let known = PUBLIC_HOSTS.iter().chain(&EXAMPLE_HOSTS);
    known.into_iter().any(|known| {
        host.strip_suffix(known).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

mod tests {
    use super::super::report::hold;
    use super::super::tree;
    use super::*;

    #[test]
    fn no_file_has_a_path_of_one_machine() {
        hold(
            "No file has an absolute path of a person's or a machine's folder",
            "make it relative to the repository, or take it from the environment",
            &machine_paths(&tree::repository(), env!("CARGO_MANIFEST_DIR")),
        );
    }

    #[test]
    fn no_file_has_a_host_that_is_not_public() {
        hold(
            "No file names a host that others cannot reach, such as a registry or a mirror",
            "remove it; if it is a public page, add its host to tests/architecture/portable.rs, \
             if it is an example, name it example.com",
            &private_hosts(&tree::repository()),
        );
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        let lines =
            |text: &str| machine_paths(&[Source::planted("a", text)], "/opt/me/retell").len();
        for folder in MACHINE_FOLDERS {
            assert_eq!(lines(&format!("cd \"/{folder}/x\"")), 1, "{folder}");
            assert_eq!(lines(&format!("~/{folder}/x, docs/{folder}/, ${{X}}/{folder}/")), 0);
        }
        assert_eq!(lines("DATA=/opt/me/retell/data"), 1);
    }

    #[test]
    fn a_host_that_is_not_public_is_found() {
        let found = |text: &str| private_hosts(&[Source::planted("a", text)]);
        // Put together here, or this file would break the rule itself.
        let mirror = format!("registry = \"sparse+https:{}/index/\"", "//crates.mirror.corp");
        let what = "has the host `crates.mirror.corp`";
        assert_eq!(found(&mirror), [Violation::new("a", 1, what)]);
        assert_eq!(found(&format!("redis:{}:6379/0", "//u:p@cache.corp")).len(), 1);
        assert_eq!(found(&format!("https:{}/x", "//notgithub.com")).len(), 1);
        let fine = "https://github.com/x http://127.0.0.1:80 kafka://broker:9092/t \
                    http://{host}.x/ https://www.w3.org/2000/svg rediss://cache.example.com";
        assert_eq!(found(fine), []);
    }
}
