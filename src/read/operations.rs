//! What an operator does with a projection at once: pause, resume, roll back.

use tokio::sync::oneshot;

use crate::ports::StoreError;

use super::requests::{Operation, Queues, Request};

/// Operates projections. Cheap to clone.
///
/// ```
/// use retell::app::App;
/// # use retell::doc::{Light, Lights};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).projection(Lights).build().await?;
/// app.ready().await;
/// app.operations().pause("lights").await?;
/// let paused = |app: &App| app.views().list().iter().any(|it| it.name == "lights" && it.paused);
/// assert!(paused(&app));
/// app.operations().resume("lights").await?;
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone)]
pub struct Operations {
    queues: Queues,
}

/// Why an operation was not done.
///
/// ```
/// use retell::{app::App, read::OperationError};
/// # use retell::doc::{Light, Lights};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).projection(Lights).build().await?;
/// app.ready().await;
/// let error = app.operations().roll_back("lights").await.expect_err("there was no replay");
/// assert!(matches!(error, OperationError::NothingBefore));
/// let error = app.operations().pause("lamps").await.expect_err("there are no lamps");
/// assert_eq!(error.to_string(), "there is no projection `lamps`");
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperationError {
    /// There is no such projection.
    #[error("there is no projection `{0}`")]
    UnknownProjection(String),
    /// There is no generation before the live one.
    #[error(
        "no generation is kept that could be live again; one is for replay.keep_previous_ms after \
         a replay"
    )]
    NothingBefore,
    /// The generation before has not come as far as the live one. Retry later.
    #[error("the generation before is behind the live one: {0}")]
    Behind(String),
    /// The projection's supervisor does not get to it. Retry later.
    #[error("too much is asked of the projection at once")]
    Busy,
    /// The view store does not answer: whether it was done is to be looked at.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Operations {
    pub(super) const fn new(queues: Queues) -> Self {
        Self { queues }
    }

    /// Nobody folds the projection any more, on no node, until it is resumed: its views stay as
    /// they are.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn pause(&self, projection: &str) -> Result<(), OperationError> {
        self.ask(projection, Operation::Pause).await
    }

    /// The projection is folded on from where it stood.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn resume(&self, projection: &str) -> Result<(), OperationError> {
        self.ask(projection, Operation::Resume).await
    }

    /// Makes the generation before the live one live again, in one step. When this returns, no
    /// node reads the one that was live.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn roll_back(&self, projection: &str) -> Result<(), OperationError> {
        self.ask(projection, Operation::RollBack).await
    }

    async fn ask(&self, projection: &str, operation: Operation) -> Result<(), OperationError> {
        let names = self.queues.names(Some(projection));
        let Some(name) = names.first() else {
            return Err(OperationError::UnknownProjection(projection.to_owned()));
        };
        let (reply, answer) = oneshot::channel();
        if !self.queues.try_ask(name, Request::Operate(operation, reply)) {
            return Err(OperationError::Busy);
        }
        answer.await.unwrap_or(Err(OperationError::Busy))
    }
}
