//! Issues commands, and waits until each has an outcome.
//!
//! A refusal is an outcome. What is in the way for a while (a queue that is full, a log that does
//! not answer) is waited for; what cannot be decided is handed back.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::config::PoliciesConfig;
use crate::contract::{Answer, Partition, Source};
use crate::ports::Ids;
use crate::read::Poison;
use crate::spans;
use crate::write::{CommandError, Commands, Done, Failure, SendOptions};

use super::any_policy::AnyPolicy;
use super::chunk::{Asked, Entry, Work};
use super::follows::Command;
use super::past::{NotKnown, Past};
use super::status::{PolicyState, Progress};

/// The first wait for what is in the way.
const WAIT: Duration = Duration::from_millis(20);
/// The longest.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Issues the commands of one policy and partition.
pub(super) struct Issuer {
    pub(super) policy: Arc<dyn AnyPolicy>,
    pub(super) sources: Vec<Source>,
    pub(super) partition: Partition,
    pub(super) commands: Commands,
    pub(super) past: Past,
    pub(super) ids: Ids,
    pub(super) config: PoliciesConfig,
    pub(super) progress: watch::Sender<Progress>,
}

/// What could not be done: of which work, from which entry on, and why.
pub(super) struct Failed {
    pub(super) work: usize,
    pub(super) entry: usize,
    pub(super) poison: Poison,
}

/// What became of a command.
enum Outcome {
    /// The log has its outcome.
    Known(Answer),
    /// Something is in the way.
    NotYet(String),
    /// It cannot be decided.
    Never(String),
}

impl Issuer {
    /// Does all works, so many at once; in each one command after the other.
    pub(super) async fn issue(&self, works: &[Work]) -> Vec<Failed> {
        let works: Vec<BoxFuture<'_, Option<Failed>>> =
            works.iter().enumerate().map(|(work, it)| self.failed(work, it).boxed()).collect();
        let failed = stream::iter(works).buffer_unordered(self.config.in_flight_max);
        failed.filter_map(std::future::ready).collect().await
    }

    async fn failed(&self, work: usize, it: &Work) -> Option<Failed> {
        let (entry, poison) = self.work(&it.entries).await.err()?;
        Some(Failed { work, entry, poison })
    }

    /// Does what follows at once from entries of one aggregate, up to what cannot be done.
    pub(super) async fn work(&self, entries: &[Entry]) -> Result<(), (usize, Poison)> {
        for (i, entry) in entries.iter().enumerate() {
            let commands = entry.follows.as_ref().map_err(|poison| (i, poison.clone()))?;
            for command in commands.iter().filter(|command| command.due.is_none()) {
                let version = Some(command.version);
                let done = self.one(entry, command).await;
                done.map_err(|error| (i, Poison { version, error }))?;
            }
        }
        Ok(())
    }

    /// Issues a command, and what follows from its answer.
    async fn one(&self, entry: &Entry, command: &Command) -> Result<(), String> {
        let answer = self.command(command).await?;
        if self.policy.is_process() {
            for next in self.asked().answered(entry, command, &answer)? {
                self.command(&next).await?;
            }
        }
        Ok(())
    }

    /// The policy, as it is asked what follows.
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked {
            policy: self.policy.as_ref(),
            sources: &self.sources,
            partition: self.partition,
            commands_per_event_max: self.config.commands_per_event_max,
        }
    }

    /// Issues a command until it has an outcome.
    pub(super) async fn command(&self, command: &Command) -> Result<Answer, String> {
        let mut wait = WAIT;
        loop {
            let outcome = self.once(command).await;
            let reason = match outcome {
                Outcome::Known(answer) => return Ok(answer),
                Outcome::Never(error) => {
                    let Command { aggregate_type, id, command_id, .. } = command;
                    return Err(format!("{command_id} to {aggregate_type}/{id}: {error}"));
                }
                Outcome::NotYet(reason) => reason,
            };
            self.progress.send_modify(|it| it.state = PolicyState::Waiting { reason });
            sleep(self.ids.spread(wait)).await;
            wait = (wait * 2).min(WAIT_MAX);
        }
    }

    async fn once(&self, command: &Command) -> Outcome {
        match self.past.find(command).await {
            Ok(Some(answer)) => return Outcome::Known(answer),
            Ok(None) => {}
            Err(NotKnown::NotYet(reason)) => return Outcome::NotYet(reason),
            Err(NotKnown::Never(error)) => return Outcome::Never(error),
        }
        let mut metadata = command.metadata.clone();
        let span = spans::within("policy", metadata.traceparent.as_deref());
        let span = span.map(|span| span.with("retell.policy", self.policy.name()));
        if let Some(span) = &span {
            metadata.traceparent = Some(span.context.to_string());
        }
        let options = SendOptions {
            command_id: Some(command.command_id.clone()),
            repeatable: true,
            metadata,
            ..SendOptions::default()
        };
        let Command { aggregate_type, id, json, .. } = command;
        let answer = self.commands.submit(aggregate_type, id, json.clone(), options).await;
        drop(span);
        answer.into()
    }
}

impl From<Result<Done, CommandError>> for Outcome {
    fn from(answer: Result<Done, CommandError>) -> Self {
        match answer {
            Ok(_) => Self::Known(Answer::Done),
            Err(
                CommandError::Refused { refusal, .. } | CommandError::RefusedBefore { refusal, .. },
            ) => Self::Known(Answer::Refused(refusal)),

            Err(CommandError::Failed(failure)) => {
                let said = failure.to_string();
                match failure {
                    Failure::UnknownAggregate(_)
                    | Failure::BadId(_)
                    | Failure::BadCommand(_)
                    | Failure::VersionDiffers { .. }
                    | Failure::KeyReused
                    | Failure::NoOutcome
                    | Failure::EventsTooLarge { .. }
                    | Failure::HistoryUnreadable { .. }
                    | Failure::DecideTimeout(_)
                    | Failure::Bug(_) => Self::Never(said),
                    Failure::InFlight
                    | Failure::SearchTimeout
                    | Failure::OutOfTurn
                    | Failure::QueueFull { .. }
                    | Failure::CacheFull { .. }
                    | Failure::StateUnavailable(_)
                    | Failure::KeysFull { .. }
                    | Failure::NoOwner { .. }
                    | Failure::LogUnavailable(_)
                    | Failure::ShuttingDown
                    | Failure::OutcomeUnknown => Self::NotYet(said),
                }
            }
        }
    }
}
