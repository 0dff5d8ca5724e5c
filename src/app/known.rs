//! Where the commits of an aggregate are, for its event store: as `history` knows.

use std::time::Duration;

use async_trait::async_trait;

use crate::contract::{Position, Target, Version};
use crate::ports::LogRecord;
use crate::read::Views;
use crate::write::Whereabouts;

/// How long `history` may be behind; then the log is read.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) struct Known(pub(super) Views);

#[async_trait]
impl Whereabouts for Known {
    async fn commits(&self, target: &Target, after: Position) -> Option<Vec<LogRecord>> {
        let (home, after) = (after.partition, after.into());
        let known = self.0.aggregate(target, home, &after, PATIENCE).await.ok()?;
        let (mut commits, mut all) = (known.commits(Version(1), known.version()), Vec::new());
        loop {
            match commits.next().await.ok()? {
                some if some.is_empty() => return Some(all),
                some => all.extend(some),
            }
        }
    }
}
