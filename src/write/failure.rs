//! Why a command was not done, or may not have been.

use std::any::Any;

use crate::contract::{InvalidKey, Position, Refusal, Version};

use super::expected::Expected;
use super::order::BadCommand;

/// A domain's error whose type is not known here.
///
/// ```
/// use retell::{Key, app::App, write::{CommandError, SendOptions}};
/// # use retell::doc::{IsOn, Light, LightCommand};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).build().await?;
/// app.ready().await;
/// let order = LightCommand::SwitchOn {};
/// let done = app.commands().send::<Light>("hall", order, SendOptions::default()).await?;
/// let (hall, json) = (Key::new("hall")?, r#"{"type":"SwitchOn"}"#);
/// let again = app.commands().submit("light", &hall, json.into(), SendOptions::default()).await;
/// let Err(CommandError::Refused { error, .. }) = again else { panic!("the light is on") };
/// assert!(error.is::<IsOn>());
/// # app.stop().await; Ok(()) }
/// ```
pub type AnyError = Box<dyn Any + Send>;

/// A command that has no [`super::Done`].
///
/// ```
/// use retell::{app::App, write::{CommandError, SendOptions}};
/// # use retell::doc::{IsOn, Light, LightCommand};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).build().await?;
/// app.ready().await;
/// let order = LightCommand::SwitchOn {};
/// let done = app.commands().send::<Light>("hall", order, SendOptions::default()).await?;
/// let order = LightCommand::SwitchOn {};
/// let again = app.commands().send::<Light>("hall", order, SendOptions::default()).await;
/// match again.expect_err("the light is on") {
///     CommandError::Refused { refusal, error: IsOn, .. } => assert_eq!(refusal.code, "is_on"),
///     other => panic!("nothing else is in the way: {other}"),
/// }
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum CommandError<E = AnyError> {
    /// The domain refused it. Nothing was done; the same command may succeed later.
    Refused {
        /// What clients are told.
        refusal: Refusal,
        /// The aggregate's own error.
        error: E,
        /// What it was refused on.
        on: DecidedOn,
    },
    /// The domain refused it when it first came; this is the same answer again.
    RefusedBefore {
        /// What clients were told.
        refusal: Refusal,
        /// What it was refused on.
        on: DecidedOn,
    },
    /// Something else was in the way.
    Failed(Failure),
}

/// The state of an aggregate that an answer was decided on.
///
/// ```
/// use retell::{app::App, write::{CommandError, SendOptions}};
/// # use retell::doc::{Light, LightCommand};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).build().await?;
/// app.ready().await;
/// let order = LightCommand::SwitchOn {};
/// let done = app.commands().send::<Light>("hall", order, SendOptions::default()).await?;
/// let order = LightCommand::SwitchOn {};
/// let again = app.commands().send::<Light>("hall", order, SendOptions::default()).await;
/// let Err(CommandError::Refused { on, .. }) = again else { panic!("the light is on") };
/// assert_eq!(on.version, done.version);
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DecidedOn {
    /// The aggregate's version.
    pub version: Version,
    /// Where the log has that state, or the refusal itself when that is in the log: a view that
    /// has seen this position has seen what the answer was decided on.
    pub position: Position,
}

/// What was in the way of a command. All but [`Failure::OutcomeUnknown`] mean: nothing was done.
///
/// ```
/// use retell::{Version, app::App, write::{CommandError, Expected, Failure, SendOptions}};
/// # use retell::doc::{Light, LightCommand};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).build().await?;
/// app.ready().await;
/// let expected = Some(Expected::Version(Version(1)));
/// let options = SendOptions { expected, ..SendOptions::default() };
/// let sent = app.commands().send::<Light>("hall", LightCommand::SwitchOn {}, options).await;
/// let Err(CommandError::Failed(failure)) = sent else { panic!("it was never switched") };
/// assert!(matches!(failure, Failure::VersionDiffers { .. }));
/// assert_eq!(failure.to_string(), "version 1 was expected, the aggregate has version 0");
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// No such aggregate is registered. Do not retry.
    #[error("there is no aggregate type `{0}`")]
    UnknownAggregate(String),
    /// The id is none. Do not retry.
    #[error("the id {0}")]
    BadId(InvalidKey),
    /// The command's JSON is not one of the aggregate's commands. Do not retry.
    #[error(transparent)]
    BadCommand(#[from] BadCommand),
    /// The aggregate has another version than was expected. Read it, and decide again.
    #[error("{expected} was expected, the aggregate has version {}", current.version)]
    VersionDiffers {
        /// What the sender has seen.
        expected: Expected,
        /// What is.
        current: DecidedOn,
    },
    /// The id was given to another command before. Do not retry under this id.
    #[error("the Idempotency-Key was used for another command on this aggregate")]
    KeyReused,
    /// The command with this id is still under way. Ask again later, with the same id.
    #[error("the command with this Idempotency-Key is still under way")]
    InFlight,
    /// The log was not read in time to know whether a command with this id has an outcome. Ask
    /// again later, with the same id.
    #[error("the outcome of this command was not found in time; reading the log goes on slowly")]
    SearchTimeout,
    /// No command with this id has an outcome here. It may still come.
    #[error("no command with this id has an outcome")]
    NoOutcome,
    /// The events do not fit a record. Do not retry.
    #[error("the events take {len} bytes in the log, at most {max} fit")]
    EventsTooLarge {
        /// The record's bytes.
        len: usize,
        /// The most that the log takes.
        max: usize,
    },
    /// A command with a turn before its own was not decided. Retry after that one.
    #[error("a command that was sent before it was not decided")]
    OutOfTurn,
    /// The writer's queue is full. Retry later.
    #[error("too many commands are waiting for partition {partition}")]
    QueueFull {
        /// The partition's number.
        partition: u32,
    },
    /// The aggregate is not in memory, and there is no room for it. Retry later.
    #[error("no room in memory for another aggregate; write.cached_aggregates_max is {max}")]
    CacheFull {
        /// The setting.
        max: usize,
    },
    /// The aggregate is not in memory, and the view store does not answer. Retry later.
    #[error("the aggregate's state cannot be read: {0}")]
    StateUnavailable(String),
    /// The id is a new one that may come again, and there is no room for its outcome. Retry later.
    #[error("no room in memory for another Idempotency-Key; write.kept_keys_max is {max}")]
    KeysFull {
        /// The setting.
        max: usize,
    },
    /// This node does not write this partition. Retry, elsewhere if possible.
    #[error("this node does not own partition {partition}: {detail}")]
    NoOwner {
        /// The partition's number.
        partition: u32,
        /// Who does, or what is under way.
        detail: String,
    },
    /// The log did not answer in time, and nothing was sent to it. Retry later.
    #[error("the log is unavailable: {0}")]
    LogUnavailable(String),
    /// An event of this aggregate cannot be read by this binary. A person must look at it.
    #[error("the history of {target} cannot be read: {detail}")]
    HistoryUnreadable {
        /// The aggregate.
        target: String,
        /// Which record, and why.
        detail: String,
    },
    /// The aggregate's `handle` took longer than `write.decide_timeout_ms`. Retry later.
    #[error("deciding took longer than {0} ms")]
    DecideTimeout(u128),
    /// The aggregate's `handle` panicked, or its events cannot be stored: a bug in it.
    #[error("the aggregate failed: {0}")]
    Bug(String),
    /// The process is going down. Retry elsewhere or later.
    #[error("the service is shutting down")]
    ShuttingDown,
    /// It may have been done, or may still be. Retry with the command's id as Idempotency-Key.
    #[error("the outcome is not known yet")]
    OutcomeUnknown,
}

impl<E> CommandError<E> {
    /// The same with another form of the domain's error.
    pub fn map<F>(self, map: impl FnOnce(E) -> F) -> CommandError<F> {
        match self {
            Self::Refused { refusal, error, on } => {
                CommandError::Refused { refusal, error: map(error), on }
            }
            Self::RefusedBefore { refusal, on } => CommandError::RefusedBefore { refusal, on },
            Self::Failed(failure) => CommandError::Failed(failure),
        }
    }
}

impl<E> From<Failure> for CommandError<E> {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl<E> std::fmt::Display for CommandError<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused { refusal, .. } | Self::RefusedBefore { refusal, .. } => {
                write!(f, "{}: {}", refusal.code, refusal.detail)
            }
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

impl<E: std::fmt::Debug> std::error::Error for CommandError<E> {}
