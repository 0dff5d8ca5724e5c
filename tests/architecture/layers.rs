//! Who may import whom: the table of the architecture, and the rule that every path obeys it.
//!
//! A part is a folder or a file of `src/`, except where one folder holds two: `events` (the domain
//! events beside their stored form), `commands` (aggregates beside their commands and errors) and
//! `ports` (what reads, what appends and commits, the clock).

use std::collections::BTreeSet;

use super::imports::{Import, imports, module_of};
use super::report::Violation;
use super::tree::Source;

/// What a part may import beside itself. `adapters/*` stands for each adapter, `process` for
/// `config`, `gate`, `http_client`, `shutdown` and `telemetry`, which know nothing of ours.
const TABLE: &[(&str, &[&str])] = &[
    // What a user writes knows its stored form, which is made of the contract's types.
    ("contract", &["stored"]),
    ("stored", &["contract"]),
    ("test", &["contract", "stored"]),
    ("doc", &["contract"]),
    // The domains are pure: of all ports they may see the clock, and that only to decide.
    ("events", &["contract", "stored"]),
    ("commands", &["aggregates", "clock", "contract", "events", "stored"]),
    ("projections", &["aggregates", "contract", "events", "stored"]),
    ("policies", &["aggregates", "commands", "contract", "events", "stored"]),
    // The vocabulary of all that follows; ports speak of stamps and checkpoints.
    ("log", &["contract", "stored"]),
    ("ports", &["append", "clock", "contract", "log", "measure", "stored"]),
    // The loops are generic over the contract's traits, and neither knows the other. What follows
    // by itself uses the handles of both, and the feeds that lanes share.
    (
        "write",
        &["append", "clock", "contract", "log", "measure", "ports", "process", "spans", "stored"],
    ),
    (
        "read",
        &["append", "clock", "contract", "log", "measure", "ports", "process", "spans", "stored"],
    ),
    ("react", REACT),
    // A copy sees logs and files through their ports only.
    ("transfer", &["append", "clock", "contract", "log", "ports", "stored"]),
    // An adapter knows its port and its settings, never another adapter.
    (
        "adapters/*",
        &["append", "clock", "contract", "log", "measure", "ports", "process", "stored"],
    ),
    ("adapters", &[]),
    // Who asks, without HTTP: the door alone sees it, the composition root starts it.
    ("auth", &["clock", "contract", "process"]),
    // The door knows the handles of the loops, and of the ports what reads.
    (
        "http",
        &[
            "auth", "clock", "contract", "measure", "ports", "process", "react", "read", "spans",
            "stored", "write",
        ],
    ),
    // Its parts may use each other: what is sent to a collector ends with the process.
    ("process", &["process", "spans"]),
    // What is counted, and what is traced, where it happens.
    ("measure", &[]),
    ("spans", &[]),
    // Only `app` sees adapters and domains together, and only `cli` sees `app`.
    ("app", APP),
    (
        "cli",
        &[
            "app", "auth", "clock", "contract", "http", "log", "ports", "process", "spans",
            "stored", "transfer",
        ],
    ),
    ("main", &["cli", "process"]),
];

/// See ADR 20.
const REACT: &[&str] =
    &["append", "clock", "contract", "log", "ports", "process", "read", "spans", "stored", "write"];

/// The composition root may import everything but what imports it.
const APP: &[&str] = &[
    "adapters",
    "adapters/*",
    "aggregates",
    "append",
    "auth",
    "clock",
    "commands",
    "contract",
    "events",
    "http",
    "log",
    "policies",
    "ports",
    "process",
    "projections",
    "react",
    "read",
    "stored",
    "transfer",
    "write",
];

/// What test code within `src/` may import as well: the tiny domain, the kit, and the adapters of
/// the simulation, which need no file and no server.
const IN_TESTS: [&str; 4] = ["adapters/clock", "adapters/memory", "doc", "test"];

/// The files of `src/events/` that are no domain's.
const STORED_FORM: [&str; 6] = ["codec", "envelope", "metadata", "record", "tagged", "variants"];

/// What `ports` has for those who append to the log or commit views.
const APPEND: [&str; 11] = [
    "AppendError",
    "Appender",
    "Change",
    "Commit",
    "CopyInto",
    "CopyTarget",
    "Intake",
    "NewRecord",
    "PlainTopic",
    "Report",
    "SendNumber",
];

/// What `ports` has for those who only want the time or an id.
const CLOCK: [&str; 3] = ["Clock", "Ids", "clock"];

/// The modules of the crate, by path: `log`, `events/account`.
struct Layout(BTreeSet<String>);

/// Every path within the crate that the table does not allow.
fn forbidden_imports(sources: &[Source]) -> Vec<Violation> {
    let sources = || sources.iter().filter(|source| is_in_crate(source));
    let layout = Layout(sources().map(|source| module_of(&source.path).join("/")).collect());
    let mut violations = Vec::new();
    for source in sources().filter(|source| source.path != "src/lib.rs") {
        let part = layout.part_of_file(&source.path);
        let Some(allowed) = row(&part) else {
            violations.push(Violation::new(&source.path, 1, format!("`{part}` has no row")));
            continue;
        };
        for import in imports(source) {
            if let Some(what) = layout.objection(&part, allowed, &import) {
                violations.push(Violation::new(&source.path, import.line, what));
            }
        }
    }
    violations
}

impl Layout {
    fn objection(&self, part: &str, allowed: &[&str], import: &Import) -> Option<String> {
        let path = format!("crate::{}", import.path.join("::"));
        let Some(wanted) = self.part_of_path(&import.path) else {
            return Some(format!("`{path}` does not name the module that it is in"));
        };
        let is_allowed = wanted == part
            || allowed.contains(&wanted.as_str())
            || allowed.contains(&row_name(&wanted))
            || (import.in_test && IN_TESTS.contains(&wanted.as_str()));
        (!is_allowed).then(|| format!("`{part}` must not import `{wanted}`, as `{path}` does"))
    }

    fn part_of_file(&self, path: &str) -> String {
        match path {
            "src/events/mod.rs" => "stored".to_owned(),
            "src/main.rs" => "main".to_owned(),
            _ => {
                let module = module_of(path);
                match module.first().map(String::as_str) {
                    Some("ports" | "commands") => module[0].clone(),
                    _ => self.part_of_path(&module).unwrap_or_else(|| module.join("/")),
                }
            }
        }
    }

    /// The part that a path leads to; `None` when its first name is no module. A whole folder is
    /// its most restricted part.
    fn part_of_path(&self, path: &[String]) -> Option<String> {
        let top = path.first().filter(|top| self.has_module(top))?;
        let next = path.get(1).map_or("*", String::as_str);
        let part = match top.as_str() {
            "events" if next == "*" => "events",
            "events" if STORED_FORM.contains(&next) => "stored",
            "events" if self.has_module(&format!("events/{next}")) => "events",
            "events" => "stored",
            "commands" if next == "*" => "commands",
            "commands" if next.ends_with("Command") || next.ends_with("Error") => "commands",
            "commands" => "aggregates",
            "ports" if next == "*" || APPEND.contains(&next) => "append",
            "ports" if CLOCK.contains(&next) => "clock",
            "adapters" if self.has_module(&format!("adapters/{next}")) => {
                return Some(format!("adapters/{next}"));
            }
            "adapters" if next.ends_with("Clock") => "adapters/clock",
            top => top,
        };
        Some(part.to_owned())
    }

    fn has_module(&self, path: &str) -> bool {
        let below = format!("{path}/");
        self.0.iter().any(|module| module == path || module.starts_with(&below))
    }
}

fn row(part: &str) -> Option<&'static [&'static str]> {
    let known = TABLE.iter().find(|(name, _)| *name == row_name(part));
    known.map(|(_, allowed)| *allowed)
}

fn row_name(part: &str) -> &str {
    match part {
        "config" | "gate" | "http_client" | "shutdown" | "telemetry" => "process",
        adapter if adapter.starts_with("adapters/") => "adapters/*",
        other => other,
    }
}

fn is_in_crate(source: &Source) -> bool {
    source.is_rust() && source.path.starts_with("src/")
}

mod tests {
    use super::super::report::hold;
    use super::super::tree;
    use super::*;

    #[test]
    fn every_module_imports_only_what_the_table_allows() {
        hold(
            "A part of src/ imports only what its row in tests/architecture/layers.rs allows",
            "pass in from outside what is needed, or move the code to the part that may have it; \
             a new part needs a row, a change of a row a decision record in docs/adr/",
            &forbidden_imports(&tree::rust()),
        );
    }

    /// What the rule says about a file with this text, within a crate that has every part.
    fn objections(path: &str, text: &str) -> Vec<String> {
        let others = [
            "adapters/kafka/mod",
            "adapters/redis/mod",
            "app",
            "cli/mod",
            "commands/account",
            "config",
            "contract/key",
            "doc",
            "events/account",
            "events/record",
            "http/mod",
            "log/mod",
            "ports/mod",
            "projections/accounts",
            "read/mod",
            "write/mod",
        ];
        let others = others.map(|name| Source::planted(&format!("src/{name}.rs"), ""));
        let mut sources = others.to_vec();
        sources.retain(|source| source.path != path);
        sources.push(Source::planted(path, text));
        forbidden_imports(&sources).into_iter().map(|found| found.what).collect()
    }

    #[test]
    fn what_the_table_forbids_is_found() {
        let forbidden = [
            ("src/adapters/kafka/mod.rs", "use super::redis::Pool;"),
            ("src/adapters/kafka/mod.rs", "use crate::http::Problem;"),
            ("src/adapters/redis/mod.rs", "use crate::projections::AccountView;"),
            ("src/contract/key.rs", "use crate::log::Fold;"),
            ("src/log/mod.rs", "use crate::ports::EventLog;"),
            ("src/events/record.rs", "use super::account::AccountEvent;"),
            ("src/events/account.rs", "use crate::commands::Account;"),
            ("src/commands/account.rs", "use crate::ports::EventLog;"),
            ("src/projections/accounts.rs", "use crate::commands::AccountCommand;"),
            ("src/write/mod.rs", "fn f() { crate::read::wake(); }"),
            ("src/read/mod.rs", "use crate::commands::Account;"),
            ("src/read/mod.rs", "use crate::{events, log};"),
            ("src/http/mod.rs", "use crate::ports::Appender;"),
            ("src/http/mod.rs", "use crate::events::account::AccountEvent;"),
            ("src/http/mod.rs", "use crate::app::App;"),
            ("src/config.rs", "use crate::contract::Key;"),
            ("src/main.rs", "fn main() { retell::adapters::kafka::run() }"),
            ("src/write/mod.rs", "use crate::doc::Light;"),
            ("src/write/mod.rs", "use crate::Key;"),
            ("src/write/mod.rs", "use crate::adapters::SystemClock;"),
            ("src/adapters/redis/tests.rs", "use crate::adapters::kafka::Rig;"),
        ];
        for (path, text) in forbidden {
            assert_eq!(objections(path, text).len(), 1, "{path}: {text}");
        }
        assert_eq!(objections("src/extras.rs", ""), ["`extras` has no row"]);
    }

    #[test]
    fn what_the_table_allows_is_no_violation() {
        let allowed = [
            ("src/adapters/kafka/mod.rs", "use crate::{config::KafkaConfig, ports::Appender};"),
            ("src/contract/key.rs", "use crate::events::{StoredEvent, decode_any};"),
            ("src/events/record.rs", "use crate::contract::Time; use super::tagged::Tagged;"),
            ("src/commands/account.rs", "use crate::ports::Clock; use super::message::X;"),
            ("src/projections/accounts.rs", "use crate::commands::Account;"),
            ("src/http/mod.rs", "use crate::ports::{Clock, ViewStore}; use crate::write::Handle;"),
            ("src/app.rs", "use crate::{adapters::kafka::KafkaLog, commands::*, http};"),
            ("src/write/mod.rs", "#[cfg(test)] mod tests { use crate::doc::Light; }"),
            ("src/adapters/redis/tests.rs", "use crate::adapters::SystemClock;"),
            ("src/main.rs", "fn main() { retell::cli::run() }"),
        ];
        for (path, text) in allowed {
            assert_eq!(objections(path, text), Vec::<String>::new(), "{path}: {text}");
        }
    }
}
