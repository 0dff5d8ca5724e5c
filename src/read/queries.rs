//! Queries: the stored bytes of a view, with the position that they are of.

use bytes::Bytes;

use crate::contract::{Offset, Position, Positions};
use crate::ports::StoreError;

/// Answers queries. Cheap to clone.
#[derive(Clone)]
pub struct Views(());

/// A view as it is stored.
#[derive(Clone, Debug)]
pub struct Found {
    /// The view's JSON.
    pub view: Bytes,
    /// Everything up to here is in it; one position, or one for each partition when merged.
    pub positions: Positions,
}

/// Why a query has no view.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// There is no such projection.
    #[error("there is no projection `{0}`")]
    UnknownProjection(String),
    /// There is no view under this key, as of these positions.
    #[error("there is no view under this key")]
    NotFound {
        /// Everything up to here is known.
        positions: Positions,
    },
    /// The views have not come to the position, or are being rebuilt. Retry later.
    #[error("the views are behind: {0}")]
    Behind(String),
    /// The position is beyond the log's end, or of another partition. Do not retry.
    #[error("position {position} is not in the log; partition {} ends at {end}", position.partition)]
    PositionUnknown {
        /// What was asked for.
        position: Position,
        /// The log's end.
        end: Offset,
    },
    /// The position's partition does not exist. Do not retry.
    #[error("position {position} is not in the log, which has {partitions} partitions")]
    PartitionUnknown {
        /// What was asked for.
        position: Position,
        /// How many partitions there are.
        partitions: u32,
    },
    /// The log did not answer a question about its end. Retry later.
    #[error("the log is unavailable: {0}")]
    LogUnavailable(String),
    /// The view store does not answer. Retry later.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Views {
    /// Every projection and where it stands.
    #[must_use]
    pub fn list(&self) -> Vec<super::ProjectionInfo> {
        Vec::new()
    }

    /// The view under a key, as of at least these positions; waits for them at most this long.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn get(
        &self,
        projection: &str,
        _key: &crate::contract::Key,
        _after: &Positions,
        _wait: std::time::Duration,
    ) -> Result<Found, QueryError> {
        Err(QueryError::UnknownProjection(projection.to_owned()))
    }
}
