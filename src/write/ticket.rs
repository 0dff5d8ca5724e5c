//! A command in the hands of the writer, and the one bit that it shares with who sent it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::oneshot;

use crate::contract::Target;
use crate::events::{CommandId, Metadata};

use super::done::Done;
use super::failure::{CommandError, Failure};
use super::kind::AnyKind;
use super::order::Order;

/// What a command's sender waits for.
pub(super) type Answer = Result<Done, CommandError>;

/// A command on its way through the writer.
pub(super) struct Ticket {
    pub(super) target: Target,
    pub(super) kind: Arc<dyn AnyKind>,
    pub(super) order: Order,
    pub(super) command_id: CommandId,
    pub(super) metadata: Metadata,
    /// How often it was decided.
    pub(super) attempts: u32,
    pub(super) custody: Custody,
    pub(super) reply: oneshot::Sender<Answer>,
}

/// Who may end a command: its sender while it is queued, the writer from then on. Whoever takes
/// it first has it, so "nothing was done" is never said of a command that was taken.
#[derive(Clone, Debug, Default)]
pub(super) struct Custody(Arc<AtomicBool>);

impl Custody {
    /// Takes the command, as its writer or as a sender who gives up; false if the other did.
    pub(super) fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

impl Ticket {
    /// Answers; nobody may be waiting any more.
    pub(super) fn answer(self, answer: Answer) {
        drop(self.reply.send(answer));
    }

    /// Answers that something was in the way.
    pub(super) fn fail(self, failure: Failure) {
        self.answer(Err(failure.into()));
    }
}
