//! The settings as TOML that could be loaded again, but for the secrets that it leaves out.

use std::fmt::Write as _;

use toml::Value;

use super::problem::Source;

/// A setting as it is in effect.
///
/// ```
/// use retell::config::{Config, Source};
///
/// let flags = [("log.partitions".to_owned(), "16".to_owned())];
/// let config = Config::load(None, std::iter::empty(), &flags)?;
/// let mut changed = config.effective().iter().filter(|it| it.source != Source::Default);
/// let partitions = changed.next().expect("one was set");
/// assert_eq!((&*partitions.section, &*partitions.key), ("log", "partitions"));
/// assert_eq!(partitions.value.as_integer(), Some(16));
/// # Ok::<(), retell::config::Problems>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Effective {
    /// The section, such as `log.kafka`.
    pub section: String,
    /// The key in it, such as `replication_factor`.
    pub key: String,
    /// Its value, `***` in place of a secret.
    pub value: Value,
    /// What set it.
    pub source: Source,
}

/// One line per setting, in sections; what is not a default says where it comes from.
pub(super) fn print(settings: &[Effective]) -> String {
    let mut text = String::new();
    let mut current = "";
    for setting in settings {
        if setting.section != current {
            let blank = if current.is_empty() { "" } else { "\n" };
            writeln!(text, "{blank}[{}]", setting.section).expect("a String takes everything");
            current = &setting.section;
        }
        let (key, value) = (quoted(&setting.key), &setting.value);
        let comment = match &setting.source {
            Source::Default => String::new(),
            source => format!("  # {source}"),
        };
        writeln!(text, "{key} = {value}{comment}").expect("a String takes everything");
    }
    text
}

/// A key with a dot or another special character is quoted.
fn quoted(key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if key.chars().all(is_bare) { key.to_owned() } else { Value::from(key).to_string() }
}
