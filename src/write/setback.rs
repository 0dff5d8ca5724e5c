//! What keeps a writer from claiming its partition for now.

use crate::ports::{LogError, StoreError};

/// Why a claim has to be tried again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Setback {
    /// The log does not answer, or must not be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The view store does not answer.
    #[error("{0}")]
    Store(String),
    /// What is in memory, or in the state space, cannot be relied on.
    #[error("{0}")]
    Lost(String),
}

impl Setback {
    /// The state space is not as this writer left it.
    pub(super) fn moved() -> Self {
        Self::Lost("the state space is not as it was left".to_owned())
    }
}

impl From<StoreError> for Setback {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Torn { detail, .. } => Self::Lost(detail),
            other => Self::Store(other.to_string()),
        }
    }
}
