//! Whether a command that follows from an old event has its outcome already.
//!
//! The writer knows an id again for a day. What follows from an older event is looked up where
//! the log's records are listed: a refusal is found as long as traces are kept, what happened for
//! ever. Both lists need to have come only as far as the writer's day reaches back.

use std::sync::Arc;
use std::time::Duration;

use crate::contract::{Answer, Offset, Partition, Position, Positions, Target, Time, Version};
use crate::events::Commit;
use crate::ports::{EventLog, Ids};
use crate::read::{QueryError, TraceBy, Views};
use crate::write::{Commands, Failure};

use super::follows::Command;

/// How long an id is known to the writer, less an hour for clocks that differ.
pub(super) const KNOWN_MS: u64 = 23 * 3_600_000;
/// How long the lists are waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks into the past.
pub(super) struct Past {
    pub(super) views: Views,
    pub(super) commands: Commands,
    pub(super) log: Arc<dyn EventLog>,
    pub(super) ids: Ids,
}

/// Why it is not known.
pub(super) enum NotKnown {
    /// Ask again.
    NotYet(String),
    /// It cannot be told.
    Never(String),
}

impl Past {
    /// What became of the command in the past, if its event is so old that the writer may not know.
    pub(super) async fn find(&self, command: &Command) -> Result<Option<Answer>, NotKnown> {
        let now = self.ids.now();
        if now.millis_since(command.since) <= KNOWN_MS {
            return Ok(None);
        }
        let (_, target, home) = self.commands.home(&command.aggregate_type, &command.id)?;
        let known_since = Time::from_millis(now.millis().saturating_sub_unsigned(KNOWN_MS));
        let after = self.before(home, known_since).await?;
        let id = command.command_id.as_str();
        let traced = self.views.trace(TraceBy::Command, id, 1, &after, PATIENCE).await?;
        if let Some((_, item)) = traced.records.first() {
            let refused = Commit::decode(&item.record.value).ok().and_then(|it| it.refused);
            return Ok(Some(refused.map_or(Answer::Done, Answer::Refused)));
        }
        let has_happened = self.has_happened(&target, home, &after, id).await?;
        Ok(has_happened.then_some(Answer::Done))
    }

    /// Whether the history of an aggregate has a commit of this command.
    async fn has_happened(
        &self,
        target: &Target,
        home: Partition,
        after: &Positions,
        command_id: &str,
    ) -> Result<bool, QueryError> {
        let aggregate = self.views.aggregate(target, home, after, PATIENCE).await?;
        let mut commits = aggregate.commits(Version(1), aggregate.version());
        loop {
            let records = commits.next().await?;
            if records.is_empty() {
                return Ok(false);
            }
            let is_it = |value: &[u8]| {
                Commit::decode(value).is_ok_and(|commit| commit.command_id == command_id)
            };
            if records.iter().any(|record| is_it(&record.value)) {
                return Ok(true);
            }
        }
    }

    /// The last record before a time.
    async fn before(&self, home: Partition, time: Time) -> Result<Positions, NotKnown> {
        let next = self.log.offset_at(home, time).await;
        let Offset(next) = next.map_err(|error| NotKnown::NotYet(error.to_string()))?;
        let last = next.checked_sub(1).map(Offset);
        Ok(last.map(|offset| Position { partition: home, offset }).into_iter().collect())
    }
}

impl From<QueryError> for NotKnown {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Unreadable { .. } => Self::Never(error.to_string()),
            _ => Self::NotYet(error.to_string()),
        }
    }
}

impl From<Failure> for NotKnown {
    fn from(failure: Failure) -> Self {
        Self::Never(failure.to_string())
    }
}
