//! Which failures pass, so that a command that met one is tried again.

use crate::write::{CommandError, Failure};

/// How often a command is tried whose aggregate does not decide in time.
const ATTEMPTS_MAX: u32 = 3;

/// What to do about a command that was not done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Again {
    /// It is its answer.
    Never,
    /// Nothing was done, or nobody knows: later, under the same id.
    Later,
    /// Nothing was done, because one before it was in the way, which has its outcome by now.
    AtOnce,
    /// This node cannot do it; another may.
    Elsewhere,
}

/// Whether a command that was tried so often is tried again.
pub(super) fn again(error: &CommandError, attempts: u32) -> Again {
    match error {
        CommandError::Refused { .. } | CommandError::RefusedBefore { .. } => Again::Never,
        CommandError::Failed(failure) => of_failure(failure, attempts),
    }
}

fn of_failure(failure: &Failure, attempts: u32) -> Again {
    match failure {
        Failure::NoOwner { .. } | Failure::ShuttingDown => Again::Elsewhere,
        Failure::OutOfTurn => Again::AtOnce,
        Failure::InFlight
        | Failure::SearchTimeout
        | Failure::QueueFull { .. }
        | Failure::CacheFull { .. }
        | Failure::StateUnavailable(_)
        | Failure::KeysFull { .. }
        | Failure::LogUnavailable(_)
        | Failure::OutcomeUnknown => Again::Later,
        Failure::DecideTimeout(_) if attempts < ATTEMPTS_MAX => Again::Later,
        // The command itself is at fault, or its aggregate: nobody else must wait for it.
        Failure::DecideTimeout(_)
        | Failure::UnknownAggregate(_)
        | Failure::BadId(_)
        | Failure::BadCommand(_)
        | Failure::VersionDiffers { .. }
        | Failure::KeyReused
        | Failure::NoOutcome
        | Failure::EventsTooLarge { .. }
        | Failure::HistoryUnreadable { .. }
        | Failure::Bug(_) => Again::Never,
    }
}
