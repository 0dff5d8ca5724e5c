//! What is wrong with settings, and where each setting comes from. Values of secrets are not told.

use std::fmt;
use std::path::PathBuf;

/// Everything that is wrong with the settings, at once.
///
/// ```
/// use retell::config::Config;
///
/// let flag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
/// let flags = [flag("log.partitions", "0"), flag("http.lisen", "127.0.0.1:8080")];
/// let problems = Config::load(None, std::iter::empty(), &flags).expect_err("two are wrong");
/// assert_eq!(problems.iter().count(), 2);
/// assert!(problems.to_string().starts_with("the settings are wrong:\n  command line: "));
/// ```
#[derive(Debug, thiserror::Error)]
pub struct Problems(pub(super) Vec<Problem>);

/// One thing that is wrong, and where.
///
/// ```
/// use retell::config::Config;
///
/// let variable = ("RETELL_LOG__PARTITIONS".to_owned(), "0".to_owned());
/// let problems = Config::load(None, [variable].into_iter(), &[]).expect_err("it is too few");
/// let problem = problems.iter().next().expect("one");
/// let said = "RETELL_LOG__PARTITIONS: log.partitions: 0 must be at least 1";
/// assert_eq!(problem.to_string(), said);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Where the setting comes from.
    pub at: Source,
    /// What is wrong there.
    pub what: Wrong,
}

/// What is wrong with a setting.
///
/// ```
/// use retell::config::{Config, Wrong};
///
/// let flags = [("http.lisen".to_owned(), "127.0.0.1:8080".to_owned())];
/// let problems = Config::load(None, std::iter::empty(), &flags).expect_err("no such key");
/// let Some(Wrong::UnknownKey { nearest, .. }) = problems.iter().next().map(|it| &it.what) else {
///     panic!("{problems}")
/// };
/// assert_eq!(nearest.as_deref(), Some("http.listen"));
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Wrong {
    /// The file cannot be read, or is no TOML.
    #[error("{0}")]
    Unreadable(String),
    /// There is no such key.
    #[error("unknown key {key}{}", hint(.nearest.as_deref()))]
    UnknownKey {
        /// The key as it was given.
        key: String,
        /// The known one that is most like it.
        nearest: Option<String>,
    },
    /// The value has another type than the default.
    #[error("{key}: expected {expected}, found {found}")]
    Type {
        /// The key.
        key: String,
        /// What the value must be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// The value has the right type, but cannot be.
    #[error("{key}: {detail}")]
    Value {
        /// The key.
        key: String,
        /// What is wrong with it.
        detail: String,
    },
}

/// What another part has against a setting, which only it can tell.
///
/// ```
/// use retell::config::{Config, Objection};
///
/// let object = |config: &Config| match config.node.id.as_str() {
///     "" => vec![Objection { key: "node.id".into(), detail: "our nodes have names".into() }],
///     _ => Vec::new(),
/// };
/// let load = Config::load_with(None, std::iter::empty(), &[], &object);
/// assert!(load.expect_err("no name").to_string().contains("node.id: our nodes have names"));
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{key}: {detail}")]
pub struct Objection {
    /// The setting, such as `log.kafka.properties.acks`.
    pub key: String,
    /// What is wrong with it.
    pub detail: String,
}

/// Where a setting comes from.
///
/// ```
/// use retell::config::Source;
///
/// let source = Source::File { path: "retell.toml".into(), line: Some(7) };
/// assert_eq!(source.to_string(), "retell.toml:7");
/// assert_eq!(Source::Flag.to_string(), "command line");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Source {
    /// `config/default.toml`, which is built in.
    Default,
    /// A profile file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1, if it is about one.
        line: Option<usize>,
    },
    /// An environment variable.
    Variable(String),
    /// A flag of the command line, or the program that uses the library.
    Flag,
}

impl Problems {
    /// Each problem.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl Source {
    /// The order of the layers, and of the lines in a file.
    pub(super) const fn order(&self) -> (u8, usize) {
        match self {
            Self::Default => (0, 0),
            Self::File { line: Some(line), .. } => (1, *line),
            Self::File { line: None, .. } => (1, 0),
            Self::Variable(_) => (2, 0),
            Self::Flag => (3, 0),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings are wrong:")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.what)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Self::File { path, line: None } => path.display().fmt(f),
            Self::Variable(name) => f.write_str(name),
            Self::Flag => f.write_str("command line"),
        }
    }
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; did you mean {nearest}?"))
}
