//! A command in the hands of the writer, and the state that it shares with who sent it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::oneshot;

use crate::contract::{Partition, Target};
use crate::events::{CommandId, Metadata};

use super::done::Done;
use super::failure::{CommandError, Failure};
use super::kind::AnyKind;
use super::order::Order;
use super::turns::Turn;
use super::under_way::First;

/// What a command's sender waits for.
pub(super) type Answer = Result<Done, CommandError>;

/// A command on its way through the writer.
pub(super) struct Ticket {
    pub(super) target: Target,
    pub(super) kind: Arc<dyn AnyKind>,
    pub(super) order: Order,
    pub(super) command_id: CommandId,
    /// Whether the id may come again.
    pub(super) repeatable: bool,
    /// Whether only the first outcome is asked for: nothing is decided then.
    pub(super) recall: bool,
    /// Held by the first of all that have its id.
    pub(super) first: Option<First>,
    pub(super) metadata: Metadata,
    /// Its place among commands that were sent without waiting.
    pub(super) turn: Option<Turn>,
    /// How often it was decided.
    pub(super) attempts: u32,
    pub(super) custody: Custody,
    pub(super) reply: oneshot::Sender<Answer>,
}

/// Who may end a command: its sender while it is queued, the writer from then on. Whoever takes
/// it first has it, so "nothing was done" is never said of a command that was taken.
///
/// A command that has to wait for something, the writer puts off: its sender may end it as long as
/// the writer does not take it again.
#[derive(Clone, Debug, Default)]
pub(super) struct Custody(Arc<AtomicU8>);

/// Where a command was when its sender gave it up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum GivenUp {
    /// In the queue: nothing was done.
    Queued,
    /// Put off: nothing was done for it.
    PutOff(Wait),
    /// In the writer's hands.
    Taken,
}

/// What a command that was put off waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wait {
    /// The first one with its id, which may be done.
    First = 2,
    /// The record of its first outcome, which is looked for.
    Search = 3,
    /// The state of its aggregate.
    State = 4,
    /// The decisions of its aggregate before it.
    Turn = 5,
}

const QUEUED: u8 = 0;
const TAKEN: u8 = 1;

impl Custody {
    /// Takes the command, as its writer; false if its sender gave it up.
    pub(super) fn take(&self) -> bool {
        self.0.swap(TAKEN, Ordering::AcqRel) != TAKEN
    }

    /// Whether the sender of a command that was put off gave it up.
    pub(super) fn is_given_up(&self) -> bool {
        self.0.load(Ordering::Acquire) == TAKEN
    }

    /// Puts the command off, as its writer who has it.
    pub(super) fn put_off(&self, wait: Wait) {
        self.0.store(wait as u8, Ordering::Release);
    }

    /// Gives the command up, as its sender.
    pub(super) fn give_up(&self) -> GivenUp {
        match self.0.swap(TAKEN, Ordering::AcqRel) {
            QUEUED => GivenUp::Queued,
            TAKEN => GivenUp::Taken,
            wait => GivenUp::PutOff(Wait::of(wait)),
        }
    }
}

impl Wait {
    fn of(number: u8) -> Self {
        let all = [Self::First, Self::Search, Self::State, Self::Turn];
        all.into_iter().find(|wait| *wait as u8 == number).expect("one of them was put there")
    }

    /// Why a command was still put off when its time was over.
    pub(super) fn too_long(self, partition: Partition) -> Failure {
        match self {
            Self::First => Failure::InFlight,
            Self::Search => Failure::SearchTimeout,
            Self::State => Failure::StateUnavailable("it was not read in time".to_owned()),
            Self::Turn => Failure::QueueFull { partition: partition.0 },
        }
    }
}

impl Ticket {
    /// Answers; nobody may be waiting any more.
    pub(super) fn answer(self, answer: Answer) {
        if !matches!(answer, Err(CommandError::Failed(_))) {
            self.pass_turn_on();
        }
        drop(self.reply.send(answer));
    }

    /// Whether all were decided that were sent before it.
    pub(super) fn is_in_turn(&self) -> bool {
        self.turn.as_ref().is_none_or(Turn::has_come)
    }

    /// Notes that it was decided.
    pub(super) fn pass_turn_on(&self) {
        self.turn.iter().for_each(Turn::pass_on);
    }

    /// Notes that it has to be decided again.
    pub(super) fn take_turn_back(&self) {
        self.turn.iter().for_each(Turn::take_back);
    }

    /// Answers that something was in the way.
    pub(super) fn fail(self, failure: Failure) {
        self.answer(Err(failure.into()));
    }
}
