//! What an operator does with a projection at once: pause, resume, roll back.

use tokio::sync::oneshot;

use crate::ports::StoreError;

use super::requests::{Operation, Queues, Request};

/// Operates projections. Cheap to clone.
#[derive(Clone)]
pub struct Operations {
    queues: Queues,
}

/// Why an operation was not done.
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
