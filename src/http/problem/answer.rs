//! The one table from what went wrong to status, category and code.
//!
//! A code is stable: clients branch on it. The category keeps a domain's own codes apart.

use std::borrow::Cow;

use axum::http::StatusCode;

use crate::auth::Refused as Unknown;
use crate::ports::StoreError;
use crate::read::{MendError, OperationError, QueryError, ReplayError, VerificationError};
use crate::write::{BadCommand, Failure};

use super::Problem;
use Category::{Bug, Conflict, Denied, Invalid, NotFound, OutcomeUnknown, Refused, Unavailable};

/// How a problem is answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) category: Category,
    pub(super) code: Cow<'static, str>,
    /// When the same request may succeed, in seconds.
    pub(super) retry_after_secs: Option<u32>,
}

/// The kind of a problem, which its `type` names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Category {
    /// The request itself is wrong; the same will never succeed.
    Invalid,
    /// Not for this caller.
    Denied,
    /// What it names is not there.
    NotFound,
    /// Something else is under way.
    Conflict,
    /// The domain said no.
    Refused,
    /// Nothing was done; the same may succeed later.
    Unavailable,
    /// It may have been done.
    OutcomeUnknown,
    /// Our fault.
    Bug,
}

/// What helps soon, without a person.
const SOON_SECS: u32 = 1;
/// What helps only after a person did something.
const LATE_SECS: u32 = 60;

impl Category {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Invalid => "invalid",
            Denied => "denied",
            NotFound => "not_found",
            Conflict => "conflict",
            Refused => "refused",
            Unavailable => "unavailable",
            OutcomeUnknown => "outcome_unknown",
            Bug => "internal",
        }
    }

    pub(super) const fn title(self) -> &'static str {
        match self {
            Invalid => "The request is not valid",
            Denied => "Not for this caller",
            NotFound => "Not found",
            Conflict => "Something else is under way",
            Refused => "The domain refused the command",
            Unavailable => "Not possible now, nothing was done",
            OutcomeUnknown => "The outcome is not known",
            Bug => "The service failed",
        }
    }
}

impl Problem {
    /// Status, category and code of every problem.
    pub(super) fn answer(&self) -> Answer {
        match self {
            Self::Unauthenticated(Unknown::Missing) => answer(401, Denied, "no_credentials"),
            Self::Unauthenticated(Unknown::Expired) => answer(401, Denied, "token_expired"),
            Self::Unauthenticated(_) => answer(401, Denied, "bad_credentials"),
            Self::MissingRole { .. } => answer(403, Denied, "missing_role"),
            Self::NotPermitted => answer(403, Denied, "not_permitted"),
            Self::TooOften { wait } => Answer {
                // Whole seconds, and none too early.
                retry_after_secs: u32::try_from(wait.as_secs() + 1).ok(),
                ..answer(429, Unavailable, "too_often")
            },
            Self::NoRoute(_) => answer(404, NotFound, "no_such_route"),
            Self::MethodNotAllowed(_) => answer(405, Invalid, "method_not_allowed"),
            Self::NotAcceptable(_) => answer(406, Invalid, "not_acceptable"),
            Self::UriTooLong { .. } => answer(414, Invalid, "uri_too_long"),
            Self::BodyTooLarge { .. } => answer(413, Invalid, "body_too_large"),
            Self::BodyTooSlow { .. } => answer(408, Invalid, "body_too_slow"),
            Self::BodyBroken => answer(400, Invalid, "body_broken"),
            Self::MediaType { .. } => answer(415, Invalid, "unsupported_media_type"),
            Self::BadId { .. }
            | Self::BadPercent { .. }
            | Self::BadJobId { .. }
            | Self::BadParkedId(_)
            | Self::BadCommandId(_) => answer(400, Invalid, "bad_id"),
            Self::BadHeader { .. } => answer(400, Invalid, "bad_header"),
            Self::BadPosition(_) => answer(400, Invalid, "bad_position"),
            Self::UnknownParameter(_) => answer(400, Invalid, "unknown_parameter"),
            Self::NoSuchParameter { .. } => answer(400, Invalid, "unknown_parameter"),
            Self::BadParameter { .. } => answer(400, Invalid, "bad_parameter"),
            Self::NoAggregate(_) | Self::NotYet { .. } => {
                answer(404, NotFound, "aggregate_not_found")
            }
            Self::NoSuchVersion { .. } => answer(404, NotFound, "version_not_found"),
            Self::HistoryTooLong { .. } => answer(400, Invalid, "history_too_long"),
            Self::LogTooSlow { .. } => unavailable("log_too_slow", SOON_SECS),
            Self::BadBody(_) => answer(400, Invalid, "bad_body"),
            Self::BadKey(_) => answer(400, Invalid, "bad_key"),
            Self::NotAVersion(_) => answer(400, Invalid, "not_a_version"),
            Self::BadLine(_) => answer(400, Invalid, "bad_line"),
            Self::LineTooLong { .. } => answer(413, Invalid, "line_too_long"),
            Self::BatchSilent { .. } => answer(408, Invalid, "body_too_slow"),
            Self::NotCommitted(_) => answer(404, NotFound, "not_committed"),
            Self::OutcomeUnknown => Answer {
                retry_after_secs: Some(SOON_SECS),
                ..answer(504, OutcomeUnknown, "outcome_unknown")
            },
            Self::NoSchema(_) => answer(404, NotFound, "schema_not_found"),
            Self::NotReady(_) => unavailable("not_ready", SOON_SECS),
            Self::UnknownJob { code, .. } => answer(404, NotFound, code),
            Self::UnknownPolicy(_) => answer(404, NotFound, "unknown_policy"),
            Self::Refused { refusal, .. } => Answer {
                status: StatusCode::UNPROCESSABLE_ENTITY,
                category: Refused,
                code: refusal.code.clone(),
                retry_after_secs: None,
            },
            Self::Command(failure) => of_command(failure),
            Self::Query(error) => of_query(error),
            Self::Replay(error) => of_replay(error),
            Self::Verification(error) => of_verification(error),
            Self::Operation(error) => of_operation(error),
            Self::Mend(error) => of_mend(error),
            Self::Panic(_) => answer(500, Bug, "internal"),
        }
    }
}

fn of_command(failure: &Failure) -> Answer {
    match failure {
        Failure::UnknownAggregate(_) => answer(404, NotFound, "unknown_aggregate"),
        Failure::BadId(_) => answer(400, Invalid, "bad_id"),
        Failure::BadCommand(BadCommand::NotJson { .. }) => answer(400, Invalid, "malformed_json"),
        Failure::BadCommand(BadCommand::NotAnObject { .. }) => {
            answer(400, Invalid, "not_an_object")
        }
        Failure::BadCommand(BadCommand::NoType { .. }) => answer(400, Invalid, "no_command_type"),
        Failure::BadCommand(BadCommand::UnknownCommand { .. }) => {
            answer(400, Invalid, "unknown_command")
        }
        Failure::BadCommand(BadCommand::BadField { .. }) => answer(400, Invalid, "bad_field"),
        Failure::VersionDiffers { .. } => answer(412, Invalid, "version_differs"),
        Failure::KeyReused => answer(422, Invalid, "key_reused"),
        Failure::InFlight => answer(409, Conflict, "in_flight"),
        Failure::SearchTimeout => unavailable("search_timeout", SOON_SECS),
        Failure::NoOutcome => answer(404, NotFound, "not_committed"),
        Failure::EventsTooLarge { .. } => answer(413, Invalid, "events_too_large"),
        Failure::OutOfTurn => unavailable("out_of_turn", SOON_SECS),
        Failure::QueueFull { .. } => unavailable("queue_full", SOON_SECS),
        Failure::CacheFull { .. } => unavailable("cache_full", LATE_SECS),
        Failure::StateUnavailable(_) => unavailable("state_unavailable", SOON_SECS),
        Failure::KeysFull { .. } => unavailable("keys_full", LATE_SECS),
        Failure::NoOwner { .. } => unavailable("no_owner", SOON_SECS),
        Failure::LogUnavailable(_) => unavailable("log_unavailable", SOON_SECS),
        Failure::HistoryUnreadable { .. } => unavailable("history_unreadable", LATE_SECS),
        Failure::DecideTimeout(_) => unavailable("decide_timeout", SOON_SECS),
        Failure::Bug(_) => answer(500, Bug, "internal"),
        Failure::ShuttingDown => unavailable("shutting_down", SOON_SECS),
        // No Retry-After: without an Idempotency-Key a repetition may do it twice.
        Failure::OutcomeUnknown => answer(504, OutcomeUnknown, "outcome_unknown"),
    }
}

fn of_query(error: &QueryError) -> Answer {
    match error {
        QueryError::UnknownProjection(_) => answer(404, NotFound, "unknown_projection"),
        QueryError::NotFound { .. } => answer(404, NotFound, "view_not_found"),
        QueryError::Behind(_) => unavailable("behind", SOON_SECS),
        QueryError::PositionUnknown { .. } | QueryError::PartitionUnknown { .. } => {
            answer(400, Invalid, "position_unknown")
        }
        QueryError::NotListed(_) | QueryError::NotServed { .. } => {
            answer(400, Invalid, "not_indexed")
        }
        QueryError::BadValue { .. } => answer(400, Invalid, "bad_parameter"),
        QueryError::BadCursor => answer(400, Invalid, "bad_cursor"),
        QueryError::LogUnavailable(_) => unavailable("log_unavailable", SOON_SECS),
        QueryError::Unreadable { .. } => unavailable("history_unreadable", LATE_SECS),
        QueryError::StreamsFull(_) => unavailable("streams_full", SOON_SECS),
        QueryError::ReadersBusy(_) => unavailable("readers_busy", SOON_SECS),
        QueryError::Store(error) => of_store(error),
    }
}

fn of_mend(error: &MendError) -> Answer {
    match error {
        MendError::Unknown(_) => answer(404, NotFound, "unknown_parked"),
        MendError::NeedsReplay(_) => answer(422, Invalid, "needs_replay"),
        MendError::StillParked { .. } => answer(422, Invalid, "still_parked"),
        MendError::NotFolded => unavailable("not_folded_here", SOON_SECS),
        MendError::Busy => unavailable("partition_busy", SOON_SECS),
        MendError::Log(_) => unavailable("log_unavailable", SOON_SECS),
        MendError::Store(error) => of_store(error),
    }
}

fn of_store(error: &StoreError) -> Answer {
    match error {
        StoreError::Unavailable(_) => unavailable("views_unavailable", SOON_SECS),
        StoreError::Full(_) => unavailable("views_full", LATE_SECS),
        StoreError::Settings(_) => unavailable("views_refused", LATE_SECS),
        StoreError::Torn { .. } => unavailable("behind", SOON_SECS),
        StoreError::Invalid(_) => answer(500, Bug, "internal"),
    }
}

fn of_replay(error: &ReplayError) -> Answer {
    match error {
        ReplayError::UnknownProjection(_) => answer(404, NotFound, "unknown_projection"),
        ReplayError::Running(_) => answer(409, Conflict, "replay_running"),
        ReplayError::NotWaiting(_) => answer(409, Conflict, "not_waiting"),
    }
}

fn of_verification(error: &VerificationError) -> Answer {
    match error {
        VerificationError::UnknownProjection(_) => answer(404, NotFound, "unknown_projection"),
        VerificationError::Running(_) => answer(409, Conflict, "verification_running"),
    }
}

fn of_operation(error: &OperationError) -> Answer {
    match error {
        OperationError::UnknownProjection(_) => answer(404, NotFound, "unknown_projection"),
        OperationError::NothingBefore => answer(409, Conflict, "nothing_before"),
        OperationError::Behind(_) => unavailable("behind", SOON_SECS),
        OperationError::Busy => unavailable("busy", SOON_SECS),
        OperationError::Store(error) => of_store(error),
    }
}

fn answer(status: u16, category: Category, code: &'static str) -> Answer {
    let status = StatusCode::from_u16(status).expect("the table has valid codes only");
    Answer { status, category, code: Cow::Borrowed(code), retry_after_secs: None }
}

fn unavailable(code: &'static str, retry_after_secs: u32) -> Answer {
    let answer = answer(503, Unavailable, code);
    Answer { retry_after_secs: Some(retry_after_secs), ..answer }
}
