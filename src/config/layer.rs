//! Reads the layers of settings: file, environment, flags. Each knows where a value comes from.
//!
//! Only known keys with values of the right type come through; everything else is a problem.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use toml::Value;
use toml::de::{DeTable, DeValue};

use super::known::{Kind, Known, Place, join, variable_of};
use super::problem::{Problem, Source, Wrong};
use super::secret;

/// What every setting's variable begins with.
const PREFIX: &str = "RETELL_";

/// A value and where it comes from.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) value: Value,
    pub(super) source: Source,
}

/// All settings by path; later layers replace what earlier ones set.
#[derive(Debug)]
pub(super) struct Layers<'a> {
    pub(super) known: &'a Known,
    pub(super) settings: BTreeMap<String, Setting>,
    pub(super) problems: Vec<Problem>,
}

/// A TOML file under way.
struct TomlFile<'a> {
    text: &'a str,
    /// None: the built-in defaults.
    path: Option<&'a Path>,
}

impl<'a> Layers<'a> {
    pub(super) fn new(known: &'a Known) -> Self {
        Self { known, settings: BTreeMap::new(), problems: Vec::new() }
    }

    /// The defaults.
    pub(super) fn add_defaults(&mut self, text: &str) {
        self.add_toml(&TomlFile { text, path: None });
    }

    /// A profile file.
    pub(super) fn add_file(&mut self, path: &Path) {
        match fs::read_to_string(path) {
            Ok(text) => self.add_toml(&TomlFile { text: &text, path: Some(path) }),
            Err(error) => {
                let at = Source::File { path: path.to_owned(), line: None };
                self.problem(at, Wrong::Unreadable(format!("cannot read it: {error}")));
            }
        }
    }

    /// The environment's variables, of which most are no settings.
    pub(super) fn add_environment(&mut self, variables: impl Iterator<Item = (String, String)>) {
        for (variable, text) in variables {
            if self.is_meant_as_setting(&variable) {
                self.add_variable(variable, &text);
            }
        }
    }

    /// Whether a variable is a setting, or was meant to be one: it has our prefix, and a section
    /// by its form (`RETELL_LGO__URL`) or by its name (`RETELL_LOG_URL`). Others with our prefix
    /// belong to the command line, to scripts and to tests (`RETELL_TOKEN`).
    fn is_meant_as_setting(&self, variable: &str) -> bool {
        let Some(rest) = variable.strip_prefix(PREFIX) else { return false };
        let named = |(path, _): (&str, Place)| {
            let section = path.split('.').next().unwrap_or_default().to_uppercase();
            rest.strip_prefix(&section).is_some_and(|key| key.is_empty() || key.starts_with('_'))
        };
        rest.contains("__") || self.known.iter().any(named)
    }

    /// Settings from the command line, as path and text.
    pub(super) fn add_flags(&mut self, flags: &[(String, String)]) {
        for (path, text) in flags {
            match self.known.place(path) {
                Place::Setting(kind) => self.add_text(path.clone(), kind, text, Source::Flag),
                Place::Free => self.add_text(path.clone(), Kind::Text, text, Source::Flag),
                Place::Section | Place::Open => {
                    let (expected, found) = ("the path of a setting", "a section".to_owned());
                    let wrong = Wrong::Type { key: path.clone(), expected, found };
                    self.problem(Source::Flag, wrong);
                }
                Place::Unknown => {
                    let nearest = self.known.nearest(path).map(str::to_owned);
                    self.problem(Source::Flag, Wrong::UnknownKey { key: path.clone(), nearest });
                }
            }
        }
    }

    fn add_variable(&mut self, variable: String, text: &str) {
        if let Some((path, kind)) = self.secret_file_of(&variable) {
            match fs::read_to_string(text) {
                Ok(secret) => {
                    self.add_text(path, kind, secret.trim_end(), Source::Variable(variable));
                }
                Err(error) => {
                    let detail = format!("cannot read {text}: {error}");
                    self.problem(Source::Variable(variable), Wrong::Unreadable(detail));
                }
            }
        } else if let Some((path, kind)) = self.known.of_variable(&variable) {
            self.add_text(path, kind, text, Source::Variable(variable));
        } else {
            let path = variable.trim_start_matches(PREFIX).to_lowercase().replace("__", ".");
            // Of a setting that is no secret: it is meant, whatever else is spelled like that.
            let itself = variable.strip_suffix("_FILE").and_then(|it| self.known.of_variable(it));
            let itself = itself.map(|(path, _)| path);
            let nearest = itself.as_deref().or_else(|| self.known.nearest(&path)).map(variable_of);
            let wrong = Wrong::UnknownKey { key: path, nearest };
            self.problem(Source::Variable(variable), wrong);
        }
    }

    /// `…_FILE` of a setting that may hold a secret names a file that holds the value.
    fn secret_file_of(&self, variable: &str) -> Option<(String, Kind)> {
        let (path, kind) = self.known.of_variable(variable.strip_suffix("_FILE")?)?;
        secret::may_be_in_file(&path).then_some((path, kind))
    }

    fn add_text(&mut self, path: String, kind: Kind, text: &str, source: Source) {
        let value = match kind {
            Kind::Text => Some(Value::String(text.to_owned())),
            Kind::Number => text.replace('_', "").parse().ok().map(Value::Integer),
            Kind::Boolean => text.parse().ok().map(Value::Boolean),
            Kind::List => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                Some(Value::Array(parts.map(Value::from).collect()))
            }
        };
        match value {
            Some(value) => self.set(path, value, source),
            None => {
                let (expected, found) = (kind.name(), format!("the text {text:?}"));
                self.problem(source, Wrong::Type { key: path, expected, found });
            }
        }
    }

    fn add_toml(&mut self, file: &TomlFile<'_>) {
        let (table, errors) = DeTable::parse_recoverable(file.text);
        if errors.is_empty() {
            // What was guessed after a mistake in the syntax would only bring up wrong mistakes.
            self.add_table(file, "", table.get_ref());
        }
        for error in errors {
            let at = file.source(error.span().map(|span| span.start));
            self.problem(at, Wrong::Unreadable(error.message().to_owned()));
        }
    }

    fn add_table(&mut self, file: &TomlFile<'_>, section: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let path = join(section, key.get_ref());
            let source = file.source(Some(key.span().start));
            let value = value.get_ref();
            let (converted, expected) = match self.known.place(&path) {
                Place::Section | Place::Open => {
                    if let DeValue::Table(table) = value {
                        self.add_table(file, &path, table);
                        continue;
                    }
                    (None, "a section")
                }
                Place::Free => {
                    // An unquoted `sasl.password` is a table to TOML.
                    if let DeValue::Table(table) = value {
                        self.add_table(file, &path, table);
                        continue;
                    }
                    (property(value), "a text, a number, true or false")
                }
                Place::Setting(kind) => (setting(value, kind), kind.name()),
                Place::Unknown => {
                    let nearest = self.known.nearest(&path).map(str::to_owned);
                    self.problem(source, Wrong::UnknownKey { key: path, nearest });
                    continue;
                }
            };
            match converted {
                Some(value) => self.set(path, value, source),
                None => {
                    let found = found(&path, value);
                    self.problem(source, Wrong::Type { key: path, expected, found });
                }
            }
        }
    }

    fn set(&mut self, path: String, value: Value, source: Source) {
        match self.settings.get(&path).map(|setting| &setting.source) {
            Some(Source::Variable(other)) if matches!(source, Source::Variable(_)) => {
                let detail = format!("{other} sets it too; only one of them may");
                self.problem(source, Wrong::Value { key: path, detail });
            }
            _ => {
                self.settings.insert(path, Setting { value, source });
            }
        }
    }

    fn problem(&mut self, at: Source, what: Wrong) {
        self.problems.push(Problem { at, what });
    }
}

impl TomlFile<'_> {
    fn source(&self, at: Option<usize>) -> Source {
        let Some(path) = self.path else { return Source::Default };
        let before = at.and_then(|at| self.text.get(..at));
        let line = before.map(|before| before.matches('\n').count() + 1);
        Source::File { path: path.to_owned(), line }
    }
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Number => "a whole number",
            Self::Boolean => "true or false",
            Self::List => "a list of texts",
        }
    }
}

fn setting(value: &DeValue<'_>, kind: Kind) -> Option<Value> {
    match (kind, value) {
        (Kind::Text, DeValue::String(text)) => Some(Value::String(text.clone().into_owned())),
        (Kind::Number, DeValue::Integer(number)) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(Value::Integer)
        }
        (Kind::Boolean, DeValue::Boolean(boolean)) => Some(Value::Boolean(*boolean)),
        (Kind::List, DeValue::Array(items)) => {
            let items = items.iter().map(|item| setting(item.get_ref(), Kind::Text));
            items.collect::<Option<_>>().map(Value::Array)
        }
        _ => None,
    }
}

/// A property of librdkafka is a text; numbers and booleans are written as TOML writes them.
fn property(value: &DeValue<'_>) -> Option<Value> {
    let text = match value {
        DeValue::String(text) => text.clone().into_owned(),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok()?.to_string()
        }
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(boolean) => boolean.to_string(),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => return None,
    };
    Some(Value::String(text))
}

/// What stands in place of the expected value; a text that may be a secret is not told.
fn found(path: &str, value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if !secret::is_secret(path) => format!("the text {text:?}"),
        DeValue::String(_) => "a text".to_owned(),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Boolean(boolean) => boolean.to_string(),
        DeValue::Datetime(_) => "a time".to_owned(),
        DeValue::Array(items) if items.iter().all(|item| item.get_ref().is_str()) => {
            "a list".to_owned()
        }
        DeValue::Array(_) => "a list that holds something else".to_owned(),
        DeValue::Table(_) => "a section".to_owned(),
    }
}
