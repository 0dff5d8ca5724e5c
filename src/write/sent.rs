//! A command that is in its writer's queue, or beyond it.
//!
//! Dropping it changes nothing for the command: what was taken is done.

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::contract::{Name, Partition};

use super::done::Done;
use super::failure::CommandError;
use super::handle::Commands;
use super::ticket::{Answer, Custody};

/// What [`Commands::enqueue`] gives.
pub struct Sent {
    pub(super) commands: Commands,
    pub(super) aggregate: Name,
    pub(super) begun: Instant,
    pub(super) partition: Partition,
    pub(super) answer: oneshot::Receiver<Answer>,
    pub(super) custody: Custody,
    pub(super) deadline: Instant,
}

impl Sent {
    /// Whether the answer is there.
    pub fn is_ready(&mut self) -> bool {
        !self.answer.is_empty()
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// The aggregate refused, or something was in the way; see [`super::Failure`].
    pub async fn outcome(self) -> Result<Done, CommandError> {
        let Self { commands, aggregate, begun, partition, mut answer, custody, deadline } = self;
        let answer = commands.answered(partition, &mut answer, &custody, deadline).await;
        commands.measures().command(aggregate.as_str(), begun, &answer);
        answer
    }
}
