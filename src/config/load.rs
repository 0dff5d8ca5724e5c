//! From layers of settings to a checked [`Config`], or to everything that is wrong with them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use toml::de::DeTable;
use toml::{Table, Value};

use super::check::{check, range_of};
use super::known::{Known, Place};
use super::layer::{Layers, Setting};
use super::problem::{Objection, Problem, Problems, Source, Wrong};
use super::{Config, Effective, secret};

/// Every setting with its default, as it stands in `config/default.toml`.
const DEFAULTS: &str = include_str!("../../config/default.toml");

pub(super) fn load(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
    flags: &[(String, String)],
    object: &dyn Fn(&Config) -> Vec<Objection>,
) -> Result<Config, Problems> {
    let defaults = DeTable::parse(DEFAULTS).expect("config/default.toml is TOML, a test loads it");
    let known = Known::of(defaults.get_ref());
    let mut layers = Layers::new(&known);
    layers.add_defaults(DEFAULTS);
    let defaults = layers.settings.clone();
    if let Some(file) = file {
        layers.add_file(file);
    }
    layers.add_environment(environment);
    layers.add_flags(flags);

    let mut settings = layers.settings;
    let mut found = Found { problems: layers.problems, paths: BTreeSet::new() };
    for (path, setting) in &mut settings {
        if let Some(detail) = out_of_range(path, &setting.value) {
            found.add(path, setting, detail);
            setting.clone_from(&defaults[path]);
        }
    }
    // serde stops at the first value that it cannot take. The default takes its place, so that
    // the next round finds the next one.
    let mut config: Config = loop {
        match serde_path_to_error::deserialize(Value::Table(nested(&settings, &known))) {
            Ok(config) => break config,
            Err(error) => {
                let path = error.path().to_string();
                let setting = settings.get_mut(&path);
                let setting = setting.filter(|setting| setting.source != Source::Default);
                let setting = setting.expect("the defaults deserialize, a test loads them");
                found.add(&path, setting, error.into_inner().message().to_owned());
                setting.clone_from(&defaults[&path]);
            }
        }
    };
    for finding in check(&config) {
        // A setting that was wrong before has its default now, which is not what was meant.
        if !finding.paths.iter().any(|path| found.paths.contains(*path)) {
            found.add(finding.paths[0], &settings[finding.paths[0]], finding.detail);
        }
    }
    for Objection { key, detail } in object(&config) {
        let setting = settings.get(&key).expect("objections are to settings that were shown");
        if !found.paths.contains(&key) {
            found.add(&key, setting, detail);
        }
    }
    if !found.problems.is_empty() {
        found.problems.sort_by_key(|problem| problem.at.order());
        return Err(Problems(found.problems));
    }
    config.effective = effective(&known, settings);
    Ok(config)
}

/// What was found wrong so far, and with which settings.
struct Found {
    problems: Vec<Problem>,
    paths: BTreeSet<String>,
}

impl Found {
    fn add(&mut self, path: &str, setting: &Setting, detail: String) {
        let what = Wrong::Value { key: path.to_owned(), detail };
        self.problems.push(Problem { at: setting.source.clone(), what });
        self.paths.insert(path.to_owned());
    }
}

fn out_of_range(path: &str, value: &Value) -> Option<String> {
    let number = value.as_integer()?;
    let (least, greatest) = range_of(path);
    if number < least {
        Some(format!("{number} must be at least {least}"))
    } else if number > greatest {
        Some(format!("{number} must be at most {greatest}"))
    } else {
        None
    }
}

/// The settings as nested sections.
fn nested(settings: &BTreeMap<String, Setting>, known: &Known) -> Table {
    let mut root = Table::new();
    let open = known.iter().filter(|(_, place)| *place == Place::Open);
    for (section, _) in open {
        table_at(&mut root, section);
    }
    for (path, setting) in settings {
        let (section, key) = known.split(path);
        table_at(&mut root, section).insert(key.to_owned(), setting.value.clone());
    }
    root
}

fn table_at<'a>(root: &'a mut Table, path: &str) -> &'a mut Table {
    path.split('.').fold(root, |table, section| {
        let entry = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
        entry.as_table_mut().expect("a section is never a setting too")
    })
}

/// The settings in the order of the defaults' file, without secrets.
fn effective(known: &Known, settings: BTreeMap<String, Setting>) -> Vec<Effective> {
    // A free key comes where its section is.
    let place = |section: &str, path: &str| {
        let own = known.iter().position(|(known, _)| known == path);
        own.or_else(|| known.iter().position(|(known, _)| known == section))
    };
    let mut effective: Vec<_> = settings
        .into_iter()
        .map(|(path, Setting { value, source })| {
            let value = secret::redacted(&path, &value);
            let (section, key) = known.split(&path);
            let (section, key) = (section.to_owned(), key.to_owned());
            (place(&section, &path), Effective { section, key, value, source })
        })
        .collect();
    effective.sort_by_key(|(place, _)| *place);
    effective.into_iter().map(|(_, setting)| setting).collect()
}
