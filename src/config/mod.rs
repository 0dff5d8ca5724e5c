//! The settings: default < profile file < environment < flags, checked before anything starts.
//!
//! `config/default.toml` is the one list of keys. A [`Config`] has been checked: no part of Retell
//! checks a setting again. Secrets are in no error, in no `Debug` and in no print.

mod auth;
mod check;
mod known;
mod layer;
mod load;
mod loops;
mod outside;
mod print;
mod problem;
mod secret;
mod sections;
mod url;
mod watched;

use std::path::Path;

use serde::Deserialize;

pub use auth::{AuthConfig, JwtConfig, RateConfig, TlsConfig};
pub use loops::{
    HistoryConfig, PoliciesConfig, QueriesConfig, ReadConfig, ReplayConfig, StreamsConfig,
    TimerConfig, VerifyConfig, WriteConfig,
};
pub use outside::{InboxConfig, OutboxConfig};
pub use print::Effective;
pub use problem::{Objection, Problem, Problems, Source, Wrong};
pub use sections::{
    HttpConfig, KafkaConfig, LogConfig, LogFormat, NodeConfig, RedisConfig, TelemetryConfig,
    ViewsConfig,
};
pub use url::{InvalidUrl, KafkaAddress, LogUrl, RedisUrl, ViewsUrl};
pub use watched::WatchedFile;

/// All settings.
///
/// ```
/// use retell::config::Config;
///
/// let flags = [("log.partitions".to_owned(), "16".to_owned())];
/// let config = Config::load(None, std::env::vars(), &flags)?;
/// assert_eq!(config.log.partitions, 16);
/// # Ok::<(), retell::config::Problems>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The door.
    pub http: HttpConfig,
    /// Who asks.
    pub auth: AuthConfig,
    /// The event log.
    pub log: LogConfig,
    /// The read models.
    pub views: ViewsConfig,
    /// This process among others.
    pub node: NodeConfig,
    /// The write loop.
    pub write: WriteConfig,
    /// The read loop.
    pub read: ReadConfig,
    /// Policies.
    pub policies: PoliciesConfig,
    /// The timer.
    pub timer: TimerConfig,
    /// Queries.
    pub queries: QueriesConfig,
    /// Looking back.
    pub history: HistoryConfig,
    /// Event streams.
    pub streams: StreamsConfig,
    /// Replays.
    pub replay: ReplayConfig,
    /// Verifications.
    pub verify: VerifyConfig,
    /// Commands from a topic.
    pub inbox: InboxConfig,
    /// Events for other teams.
    pub outbox: OutboxConfig,
    /// What the process says about itself.
    pub telemetry: TelemetryConfig,
    /// What was loaded, for print.
    #[serde(skip)]
    effective: Vec<Effective>,
}

impl Config {
    /// Loads the settings: the defaults, over them a profile file, over it the environment
    /// (`RETELL_LOG__KAFKA__REPLICATION_FACTOR`; other variables are not looked at), over it
    /// `flags` as path and text (`log.kafka.replication_factor`, `3`).
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        flags: &[(String, String)],
    ) -> Result<Self, Problems> {
        load::load(file, environment, flags, &|_| Vec::new())
    }

    /// The same, with what others have against the settings among the problems. `object` may be
    /// shown defaults where settings were wrong.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load_with(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        flags: &[(String, String)],
        object: &dyn Fn(&Self) -> Vec<Objection>,
    ) -> Result<Self, Problems> {
        load::load(file, environment, flags, object)
    }

    /// The settings of `config/default.toml`.
    #[must_use]
    pub fn defaults() -> Self {
        Self::load(None, std::iter::empty(), &[]).expect("a test loads them")
    }

    /// The defaults with log and views in folders below `dir`, and a free port.
    #[must_use]
    pub fn embedded(dir: &Path) -> Self {
        let (log, views) = (dir.join("log"), dir.join("views"));
        let flags = [
            ("log.url".to_owned(), format!("embedded:{}", log.display())),
            ("views.url".to_owned(), format!("embedded:{}", views.display())),
            ("http.listen".to_owned(), "127.0.0.1:0".to_owned()),
        ];
        let mut config = Self::load(None, std::iter::empty(), &flags).expect("they differ");
        // A path need not be text.
        config.log.url = LogUrl::Embedded(log);
        config.views.url = ViewsUrl::Embedded(views);
        config
    }

    /// The defaults with log and views in memory, and a free port.
    #[must_use]
    pub fn ephemeral() -> Self {
        let flags = [("log.url", "memory:"), ("views.url", "memory:")];
        let listen = ("http.listen", "127.0.0.1:0");
        let flags = flags.into_iter().chain([listen]).map(|(k, v)| (k.to_owned(), v.to_owned()));
        let flags: Vec<_> = flags.collect();
        Self::load(None, std::iter::empty(), &flags).expect("a test loads them")
    }

    /// The settings as they were loaded, in the order of `config/default.toml`.
    #[must_use]
    pub fn effective(&self) -> &[Effective] {
        &self.effective
    }

    /// The settings as they were loaded, as TOML without secrets. What is no default has a
    /// comment that says where it comes from.
    #[must_use]
    pub fn print(&self) -> String {
        print::print(&self.effective)
    }
}

/// The variables of this process that are text; no setting is anything else.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

#[cfg(test)]
mod tests;
