//! What a query waits for, and how long: `Retell-Position` and `Prefer: wait=SECONDS`.

use std::time::Duration;

use axum::http::HeaderMap;
use axum::response::Response;

use crate::config::QueriesConfig;
use crate::contract::Positions;

use super::headers::{self, PREFERENCE_APPLIED};
use super::problem::Problem;

/// Read from the headers of a query.
pub(super) struct Wait {
    /// The answer is of at least these.
    pub(super) after: Positions,
    /// How long to wait for them.
    pub(super) limit: Duration,
    preferred: Option<Duration>,
}

impl Wait {
    pub(super) fn of(headers: &HeaderMap, config: &QueriesConfig) -> Result<Self, Problem> {
        let after = headers::positions(headers)?;
        let preferred = headers::preferred_wait(headers).filter(|_| !after.is_empty());
        let preferred = preferred.map(|wait| wait.min(config.wait_max));
        let limit = preferred.unwrap_or(config.wait_default);
        Ok(Self { after, limit, preferred })
    }

    /// Says in the answer how long would have been waited, if the client had a preference.
    pub(super) fn applied(&self, mut response: Response) -> Response {
        if let Some(wait) = self.preferred {
            let applied = headers::value(format!("wait={}", wait.as_secs()));
            response.headers_mut().insert(PREFERENCE_APPLIED, applied);
        }
        response
    }
}
