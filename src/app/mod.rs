//! The composition root: the only place that sees adapters, loops, door and domain together.
//!
//! The shipped service is one user of the public builder; see [`App::builder`].

mod builder;
mod copying;
#[cfg(feature = "http")]
mod door;
mod keeper;
mod known;
mod open;
mod outside;
mod parts;
mod settings;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::config::Config;
use crate::contract::{Aggregate, Key, Positions, Projection, Time};
use crate::gate::Gate;
use crate::ports::{EventLog, LogError, StoreError, ViewStore};
use crate::react::inbox::Inbox;
use crate::react::outbox::Outbox;
use crate::react::policies::Reacting;
use crate::react::timer::Timer;
use crate::read::{Operations, QueryError, Reading, Replays, Verifications, Views};
use crate::shutdown::Shutdown;
use crate::write::{Commands, Identity, LogEventStore};

use known::Known;

pub use crate::adapters::SystemClock;
pub use builder::AppBuilder;
pub use copying::{CopyUrl, open_copy_source, open_copy_target};
pub use open::{open_bookmarks, open_log, open_views};
pub use settings::load_config;

/// A running application: writers, projectors, and the handles to them.
///
/// ```
/// use retell::app::App;
/// use retell::write::SendOptions;
/// # use retell::doc::{Light, LightCommand, Lights, LightView};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).projection(Lights).build().await?;
/// let order = LightCommand::SwitchOn {};
/// let done = app.commands().send::<Light>("hall", order, SendOptions::default()).await?;
/// let view = app.view::<Lights>("hall", done.position).await?;
/// assert_eq!(view, Some(LightView { on: true, switched: 1 }));
/// app.stop().await;
/// # Ok(()) }
/// ```
#[cfg_attr(not(feature = "http"), expect(dead_code, reason = "the door asks for some of it"))]
pub struct App {
    #[cfg(feature = "http")]
    authority: crate::auth::Authority,
    config: Config,
    node: Identity,
    started_at: Time,
    commands: Commands,
    reading: Reading,
    inbox: Option<Inbox>,
    outbox: Option<Outbox>,
    reacting: Reacting,
    timer: Timer,
    log: Arc<dyn EventLog>,
    store: Arc<dyn ViewStore>,
    log_gate: Gate,
    store_gate: Gate,
    /// Ends what the door is still answering that has no end of its own.
    closing: Shutdown,
    /// Ends the loops, after the door is closed.
    stop: Shutdown,
    tasks: JoinSet<()>,
}

/// Why an application was not started, or had to end.
///
/// ```
/// use retell::app::{App, AppError};
/// # use retell::doc::Light;
///
/// # #[tokio::main] async fn main() {
/// let twice = App::ephemeral().aggregate::<Light>(()).aggregate::<Light>(()).build().await;
/// let Some(AppError::Domain(mistakes)) = twice.err() else { panic!("one type, one aggregate") };
/// assert!(mistakes[0].contains("light"));
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppError {
    /// The domain is not put together rightly; every mistake is listed.
    #[error("the application is not put together rightly:\n{}", .0.join("\n"))]
    Domain(Vec<String>),
    /// A setting cannot be used.
    #[error("{key}: {detail}")]
    Setting {
        /// The setting.
        key: &'static str,
        /// What is wrong with it, and what to do.
        detail: String,
    },
    /// The log cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The view store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The door could not be kept open.
    #[error("HTTP: {0}")]
    Http(#[from] io::Error),
}

impl App {
    /// An application with these settings, to which aggregates and projections are added.
    #[must_use]
    pub fn builder(config: Config) -> AppBuilder {
        AppBuilder::new(config)
    }

    /// An application in memory, for tests and examples: nothing is left when it ends.
    #[must_use]
    pub fn ephemeral() -> AppBuilder {
        AppBuilder::new(Config::ephemeral())
    }

    /// Sends commands.
    #[must_use]
    pub const fn commands(&self) -> &Commands {
        &self.commands
    }

    /// The event store of one aggregate type, for `cqrs-es`' own framework.
    #[must_use]
    pub fn event_store<A: Aggregate>(&self) -> LogEventStore<A> {
        let whereabouts = Arc::new(Known(self.reading.views.clone()));
        LogEventStore::new(self.commands.clone(), whereabouts)
    }

    /// Answers queries.
    #[must_use]
    pub const fn views(&self) -> &Views {
        &self.reading.views
    }

    /// Starts replays and tells of them.
    #[must_use]
    pub const fn replays(&self) -> &Replays {
        &self.reading.replays
    }

    /// Starts verifications and tells of them.
    #[must_use]
    pub const fn verifications(&self) -> &Verifications {
        &self.reading.verifications
    }

    /// Pauses and resumes projections, and returns to the views before a replay.
    #[must_use]
    pub const fn operations(&self) -> &Operations {
        &self.reading.operations
    }

    /// Tells of policies.
    #[must_use]
    pub const fn policies(&self) -> &Reacting {
        &self.reacting
    }

    /// The settings.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// A view as its type, as of at least these positions; waits for them for a while.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn view<P: Projection>(
        &self,
        key: &str,
        after: impl Into<Positions>,
    ) -> Result<Option<P::View>, QueryError> {
        let Ok(key) = Key::new(key) else { return Ok(None) };
        let wait = self.config.queries.wait_default;
        match self.reading.views.get(P::NAME, &key, &after.into(), wait).await {
            Ok(found) => Ok(serde_json::from_slice(&found.view).ok()),
            Err(QueryError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ends writers and projectors in order: what is in flight is settled first.
    pub async fn stop(mut self) {
        self.stop.request();
        let limit = self.config.http.drain_timeout;
        let drained = tokio::time::timeout(limit, join_all(&mut self.tasks)).await;
        if drained.is_err() {
            tracing::warn!(limit_ms = limit.as_millis(), "stopped before everything was settled");
        }
    }
}

async fn join_all(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a task ended by a panic");
        }
    }
}

/// How long a port is given to answer before the application starts without it.
const FIRST_CHECK: Duration = Duration::from_secs(3);
