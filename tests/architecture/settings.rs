//! The settings: `config/default.toml` explains each key, and no other file knows more keys.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::report::Violation;
use super::tree::Source;

const DEFAULT: &str = "config/default.toml";

/// Where the keys are a library's, not ours.
const FREE: &str = "log.kafka.properties";

/// Ends of keys that say what a number counts or measures.
const UNITS: [&str; 11] = [
    "_ms",
    "_bytes",
    "_kib",
    "_max",
    "_min",
    "_factor",
    "_percent",
    "_replicas",
    "partitions",
    "connections",
    "threads",
];

/// Words in a key that measure; then the unit is a must, also before `_max`.
const MEASURES: [(&str, &[&str]); 4] = [
    ("timeout", &["_ms"]),
    ("interval", &["_ms"]),
    ("wait", &["_ms"]),
    ("memory", &["_bytes_max", "_kib_max"]),
];

/// A line of a settings file that sets a key.
struct Setting<'a> {
    key: &'a str,
    value: &'a str,
    line: usize,
    explained: bool,
}

fn unexplained(source: &Source) -> Vec<Violation> {
    let silent = settings(source).filter(|setting| !setting.explained);
    silent
        .map(|setting| {
            let what = format!("`{}` has no comment above it", setting.key);
            Violation::new(&source.path, setting.line, what)
        })
        .collect()
}

fn numbers_without_unit(source: &Source) -> Vec<Violation> {
    let ends_with_one_of = |key: &str, ends: &[&str]| ends.iter().any(|end| key.ends_with(end));
    let mut violations = Vec::new();
    for Setting { key, value, line, .. } in settings(source) {
        if value.replace('_', "").parse::<f64>().is_err() {
            continue;
        }
        if !ends_with_one_of(key, &UNITS) {
            let what = format!("`{key} = {value}`: of what?");
            violations.push(Violation::new(&source.path, line, what));
        }
        for (word, units) in MEASURES {
            if key.contains(word) && !ends_with_one_of(key, units) && !key.contains("_ms") {
                let what = format!("`{key}` does not end with {}", units.join(" or "));
                violations.push(Violation::new(&source.path, line, what));
            }
        }
    }
    violations
}

/// Keys that no file of the code reads.
fn unread(source: &Source, code: &[Source]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for Setting { key, line, .. } in settings(source) {
        let field = format!("pub {key}:");
        let renamed = format!("rename = \"{key}\"");
        let is_read = |code: &Source| code.text.contains(&field) || code.text.contains(&renamed);
        if !code.iter().any(is_read) {
            let what = format!("`{key}` is read by no field");
            violations.push(Violation::new(&source.path, line, what));
        }
    }
    violations
}

/// Keys of other files that the default settings do not have.
fn unknown(default: &Source, profiles: &[Source]) -> Vec<Violation> {
    let known = keys(default);
    let mut violations = Vec::new();
    for profile in profiles {
        for key in keys(profile).difference(&known) {
            if !key.starts_with(FREE) {
                let last = key.rsplit('.').next().unwrap_or_default();
                let mut at = settings(profile).filter(|setting| setting.key == last);
                let line = at.next().map_or(1, |setting| setting.line);
                let what = format!("`{key}` is not in {}", default.path);
                violations.push(Violation::new(&profile.path, line, what));
            }
        }
    }
    violations
}

fn settings(source: &Source) -> impl Iterator<Item = Setting<'_>> {
    let mut before = "";
    source.lines().filter_map(move |(line, text)| {
        let explained = std::mem::replace(&mut before, text).starts_with('#');
        let is_key = |key: &&str| key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let (key, value) = text.split_once('=')?;
        let key = Some(key.trim()).filter(is_key)?;
        Some(Setting { key, value: value.trim(), line, explained })
    })
}

/// Each key with its sections: `http.listen`.
fn keys(source: &Source) -> BTreeSet<String> {
    let table = source.text.parse::<Table>();
    let table = table.map_err(|error| format!("{}: {error}", source.path));
    let mut keys = BTreeSet::new();
    collect("", &table.expect("TOML in which no key is set twice"), &mut keys);
    keys
}

fn collect(section: &str, table: &Table, keys: &mut BTreeSet<String>) {
    for (key, value) in table {
        let key = if section.is_empty() { key.clone() } else { format!("{section}.{key}") };
        match value {
            Value::Table(inner) => collect(&key, inner, keys),
            _ => drop(keys.insert(key)),
        }
    }
}

mod tests {
    use super::super::report::hold;
    use super::super::tree;
    use super::*;

    fn default() -> Source {
        tree::file(DEFAULT).expect("there are default settings")
    }

    #[test]
    fn every_setting_is_explained_where_it_stands() {
        hold(
            "Every key of config/default.toml has a comment in the line above",
            "say what it means, and what happens at its limit",
            &unexplained(&default()),
        );
    }

    #[test]
    fn every_number_in_the_settings_says_what_it_counts_or_measures() {
        hold(
            "A number's key ends with its unit, or with what it counts",
            "put the unit last, as in `timeout_ms` or `queue_len_max`",
            &numbers_without_unit(&default()),
        );
    }

    #[test]
    fn every_setting_is_read() {
        let mut code = tree::rust();
        code.retain(|source| source.path.starts_with("src/config"));
        hold(
            "Every key of config/default.toml is a field of the settings in src/config",
            "read the setting, or remove it",
            &unread(&default(), &code),
        );
    }

    #[test]
    fn no_settings_file_has_a_key_that_the_default_has_not() {
        let mut profiles = tree::repository();
        profiles.retain(|source| source.path.starts_with("config/") && source.path != DEFAULT);
        hold(
            "Files of config/ only set keys that config/default.toml explains",
            "mend the name, or add the key to config/default.toml with its meaning",
            &unknown(&default(), &profiles),
        );
    }

    #[test]
    fn a_bad_setting_is_found() {
        let planted = |text: &str| Source::planted(DEFAULT, text);
        let good = "# Why.\n[http]\n# What.\nlisten = \"x\"\n# How long.\nwait_ms = 1_000\n";
        assert_eq!(unexplained(&planted(good)), []);
        let silent = planted("# A section.\n[http]\nlisten = \"x\"\n");
        let found = Violation::new(DEFAULT, 3, "`listen` has no comment above it");
        assert_eq!(unexplained(&silent), [found]);

        assert_eq!(numbers_without_unit(&planted(good)), []);
        for bad in ["depth = 7", "timeout_max = 1_000", "ratio = 0.5", "memory_max = 5"] {
            assert_eq!(numbers_without_unit(&planted(bad)).len(), 1, "{bad}");
        }

        let code = "pub listen: String, rename = \"wait_ms\"";
        let code = [Source::planted("src/config.rs", code)];
        assert_eq!(unread(&planted(good), &code), []);
        assert_eq!(unread(&planted("# A key.\nlistens = 1"), &code).len(), 1);
    }

    #[test]
    fn a_key_that_only_a_profile_has_is_found() {
        let default = Source::planted(DEFAULT, "[http]\nlisten = \"x\"\n[log.kafka.properties]");
        let profile = |text| [Source::planted("config/kafka.toml", text)];
        let fine = profile("http.listen = \"y\"\n[log.kafka.properties]\n\"a.b\" = \"c\"");
        assert_eq!(unknown(&default, &fine), []);
        let found = unknown(&default, &profile("[http]\nlistens = \"y\""));
        let expected = "`http.listens` is not in config/default.toml";
        assert_eq!(found, [Violation::new("config/kafka.toml", 2, expected)]);
    }
}
