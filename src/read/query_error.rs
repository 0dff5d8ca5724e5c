//! What can be in the way of a query, and whether to ask again.

use crate::contract::{Offset, Position, Positions};
use crate::ports::StoreError;

/// Why a query has no view.
///
/// ```
/// use std::time::Duration;
///
/// use retell::{Key, Positions, app::App, read::QueryError};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().build().await?;
/// let (hall, any) = (Key::new("hall")?, Positions::default());
/// let error = app.views().get("lamps", &hall, &any, Duration::ZERO).await.expect_err("no lamps");
/// assert!(matches!(error, QueryError::UnknownProjection(_)));
/// assert_eq!(error.to_string(), "there is no projection `lamps`");
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// There is no such projection. Do not retry.
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
    /// Merged views are read by key only. Do not retry.
    #[error("the views of `{0}` are merged over the partitions: they are read by key, not listed")]
    NotListed(String),
    /// No index serves the list. Do not retry.
    #[error("the parameter `{parameter}`: {detail}")]
    NotServed {
        /// The parameter that none serves.
        parameter: String,
        /// Why.
        detail: String,
        /// The fields of each index.
        indexes: Vec<Vec<&'static str>>,
    },
    /// The value of a parameter is none. Do not retry.
    #[error("the parameter `{parameter}` must be {expected}")]
    BadValue {
        /// Which parameter.
        parameter: String,
        /// What its value may be.
        expected: String,
    },
    /// The cursor is not one that a page of the same query gave. Do not retry.
    #[error("the cursor is not one that a page of this query gave; begin without one")]
    BadCursor,
    /// The position is beyond the log's end. Do not retry.
    #[error("position {position} is not in the log, whose partition ends at {end}")]
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
    /// A record of the log cannot be read as what it must be. A person must look.
    #[error("the history of {what} cannot be read: {detail}")]
    Unreadable {
        /// Of what.
        what: String,
        /// Where and why.
        detail: String,
    },
    /// As many requests read the log as may. Retry later.
    #[error("all {0} readers of the log are in use (history.readers_max)")]
    ReadersBusy(usize),
    /// There are as many event streams as may be. Retry later.
    #[error("there are {0} event streams already (streams.streams_max)")]
    StreamsFull(usize),
    /// The view store does not answer. Retry later.
    #[error(transparent)]
    Store(#[from] StoreError),
}
