//! Everything that can be wrong with a request or its answer: the one error of the door.
//!
//! What a client reads is the `Display` text here; it never holds what is inside (addresses,
//! panics, a store's own words). That goes to the log, once, in [`document`].

mod answer;
mod document;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, Method, Uri};
use axum::response::{IntoResponse, Response};

use crate::auth::{Refused, Role};
use crate::contract::{InvalidKey, InvalidPosition, Refusal, Target, Version};
use crate::events::{BadEnvelope, CommandId, InvalidCommandId};
use crate::ports::StoreError;
use crate::read::{
    InvalidParkedId, MendError, OperationError, QueryError, ReplayError, VerificationError,
};
use crate::write::{DecidedOn, Failure};

use super::health::Reason;

pub(super) use document::{Document, document};

/// Why a request has no other answer than a problem document.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("{0}")]
    Unauthenticated(Refused),
    #[error("the caller lacks the role {}", role_name(*.role, .of.as_deref()))]
    MissingRole { role: Role, of: Option<String> },
    #[error("the caller may not do this here, whatever its roles")]
    NotPermitted,
    #[error("the caller asks too often (http.rate)")]
    TooOften { wait: Duration },
    #[error("there is nothing at {0}; GET / lists the routes")]
    NoRoute(String),
    #[error("{0} is not possible here; the header Allow lists what is")]
    MethodNotAllowed(Method),
    #[error("the answer is {0}, which the header Accept does not take")]
    NotAcceptable(&'static str),
    #[error("the URI is longer than {max} bytes")]
    UriTooLong { max: usize },
    #[error("the body is longer than {max} bytes (http.body_bytes_max)")]
    BodyTooLarge { max: usize },
    #[error("the body did not arrive within {ms} ms (http.request_timeout_ms)")]
    BodyTooSlow { ms: u128 },
    #[error("the body broke off")]
    BodyBroken,
    #[error("send the body as {wanted}, {found}")]
    MediaType { wanted: &'static str, found: String },
    #[error("the {what} {error}")]
    BadId { what: &'static str, error: InvalidKey },
    #[error("the {what} has a `%` that is not followed by two hex digits")]
    BadPercent { what: &'static str },
    #[error("the id of a {what} is a UUID, `{text}` is none")]
    BadJobId { what: &'static str, text: String },
    #[error("{0}")]
    BadParkedId(InvalidParkedId),
    #[error("the header {name} {detail}")]
    BadHeader { name: &'static str, detail: &'static str },
    #[error("the header Idempotency-Key {0}")]
    BadKey(String),
    #[error("the id of the command {0}")]
    BadCommandId(InvalidCommandId),
    #[error(
        "{0}: send one of If-Match: \"4\" (the expected version), If-Match: * (it must exist) and \
             If-None-Match: * (it must not)"
    )]
    NotAVersion(&'static str),
    #[error("the header Retell-Position: {0}")]
    BadPosition(#[from] InvalidPosition),
    #[error("this route has no parameter `{0}`, it has none at all")]
    UnknownParameter(String),
    #[error("this route has no parameter `{name}`, it has {}", .known.join(", "))]
    NoSuchParameter { name: String, known: &'static [&'static str] },
    #[error("the parameter `{name}` {detail}")]
    BadParameter { name: &'static str, detail: String },
    #[error("{0} has no event, as of the Retell-Position of this answer")]
    NoAggregate(Target),
    #[error("{target} had no event by then")]
    NotYet { target: Target },
    #[error("{target} has version {last}; it has had no version {asked}")]
    NoSuchVersion { target: Target, last: Version, asked: Version },
    #[error("the state is that of more than {max} events (history.fold_events_max)")]
    HistoryTooLong { max: u64 },
    #[error("the log did not give everything within {ms} ms (http.request_timeout_ms)")]
    LogTooSlow { ms: u128 },
    #[error("{0}")]
    BadBody(String),
    #[error("{0}")]
    BadLine(BadEnvelope),
    #[error("the line is longer than {max} bytes (http.body_bytes_max)")]
    LineTooLong { max: usize },
    #[error("no line came for {ms} ms (http.idle_timeout_ms)")]
    BatchSilent { ms: u128 },
    #[error("the command {0} has left no outcome in the log so far")]
    NotCommitted(CommandId),
    /// As [`Failure::OutcomeUnknown`], of a command that may be sent again.
    #[error("{}", in_public(&Failure::OutcomeUnknown))]
    OutcomeUnknown,
    #[error(
        "there is no schema {0} here: one is named AGGREGATE/EVENT/SCHEMA, and only those that \
         this version writes are known"
    )]
    NoSchema(String),
    #[error("the service is not ready")]
    NotReady(Vec<Reason>),
    #[error("there is no {what} {id}; GET /admin/{what}s lists the latest")]
    UnknownJob { what: &'static str, code: &'static str, id: uuid::Uuid },
    #[error("there is no policy `{0}`; GET /admin/status lists them")]
    UnknownPolicy(String),
    #[error("{}", .refusal.detail)]
    Refused { refusal: Refusal, on: DecidedOn },
    #[error("{}", in_public(.0))]
    Command(Failure),
    #[error("{}", query_in_public(.0))]
    Query(#[from] QueryError),
    #[error("{}", replay_in_public(.0))]
    Replay(#[from] ReplayError),
    #[error("{}", verification_in_public(.0))]
    Verification(#[from] VerificationError),
    #[error("{}", operation_in_public(.0))]
    Operation(#[from] OperationError),
    #[error("{}", mend_in_public(.0))]
    Mend(#[from] MendError),
    #[error("{FAILED}")]
    Panic(String),
}

const LOG_SILENT: &str = "the log does not answer";

const FAILED: &str = "the service failed; its log has the cause under the request's id";

impl Problem {
    /// What the log is told beyond the detail.
    fn cause(&self) -> String {
        match self {
            Self::Command(failure) => failure.to_string(),
            Self::Query(error) => error.to_string(),
            Self::Operation(error) => error.to_string(),
            Self::Mend(error) => error.to_string(),
            Self::Panic(text) => text.clone(),
            other => other.to_string(),
        }
    }

    /// How a client is told what to send (RFC 6750).
    fn challenge(&self) -> Option<HeaderValue> {
        let text = match self {
            Self::Unauthenticated(Refused::Missing) => "Bearer realm=\"retell\"".to_owned(),
            Self::Unauthenticated(_) => {
                "Bearer realm=\"retell\", error=\"invalid_token\"".to_owned()
            }
            Self::MissingRole { role, .. } => format!(
                "Bearer realm=\"retell\", error=\"insufficient_scope\", scope=\"{}\"",
                role.as_str()
            ),
            _ => return None,
        };
        Some(HeaderValue::try_from(text).expect("it is visible ASCII"))
    }

    /// The parameter that is wrong.
    fn parameter(&self) -> Option<&str> {
        match self {
            Self::Query(
                QueryError::NotServed { parameter, .. } | QueryError::BadValue { parameter, .. },
            ) => Some(parameter),
            Self::Query(QueryError::BadCursor) => Some("cursor"),
            _ => None,
        }
    }

    /// The indexes that there are, where none serves.
    fn indexes(&self) -> Option<&[Vec<&'static str>]> {
        match self {
            Self::Query(QueryError::NotServed { indexes, .. }) => Some(indexes),
            Self::Query(QueryError::NotListed(_)) => Some(&[]),
            _ => None,
        }
    }

    /// The version that an aggregate has instead of the expected one.
    const fn current_version(&self) -> Option<Version> {
        match self {
            Self::Command(Failure::VersionDiffers { current, .. }) => Some(current.version),
            _ => None,
        }
    }

    /// What the aggregate was when this was decided, if that is known.
    pub(super) const fn decided_on(&self) -> Option<DecidedOn> {
        match self {
            Self::Refused { on, .. }
            | Self::Command(Failure::VersionDiffers { current: on, .. }) => Some(*on),
            _ => None,
        }
    }
}

impl IntoResponse for Problem {
    /// A response without its document: that has the request's id, which only the frame knows.
    fn into_response(self) -> Response {
        let mut response = self.answer().status.into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// The answer where there is no route.
pub(super) async fn no_route(uri: Uri) -> Problem {
    Problem::NoRoute(uri.path().chars().take(200).collect())
}

/// The answer where there is a route, but not for this method.
pub(super) async fn method_not_allowed(method: Method) -> Problem {
    Problem::MethodNotAllowed(method)
}

fn role_name(role: Role, of: Option<&str>) -> String {
    let of = of.map(|of| format!(", or {}:{of}", role.as_str())).unwrap_or_default();
    format!("{}{of}", role.as_str())
}

fn in_public(failure: &Failure) -> String {
    match failure {
        Failure::LogUnavailable(_) => "the log does not answer; nothing was done".to_owned(),
        Failure::StateUnavailable(_) => {
            "the view store, which has the aggregate's state, does not answer; nothing was done"
                .to_owned()
        }
        Failure::HistoryUnreadable { target, .. } => {
            format!("the history of {target} cannot be read; nothing was done")
        }
        Failure::Bug(_) => {
            "the aggregate failed, nothing was done; the log has the cause under the request's id"
                .to_owned()
        }
        Failure::OutcomeUnknown => {
            "the command may have been done, or may still be; to be sure send it again with its \
             Retell-Command-Id as Idempotency-Key"
                .to_owned()
        }
        Failure::UnknownAggregate(_)
        | Failure::BadId(_)
        | Failure::BadCommand(_)
        | Failure::VersionDiffers { .. }
        | Failure::KeyReused
        | Failure::InFlight
        | Failure::SearchTimeout
        | Failure::NoOutcome
        | Failure::EventsTooLarge { .. }
        | Failure::OutOfTurn
        | Failure::QueueFull { .. }
        | Failure::CacheFull { .. }
        | Failure::KeysFull { .. }
        | Failure::NoOwner { .. }
        | Failure::DecideTimeout(_)
        | Failure::ShuttingDown => failure.to_string(),
    }
}

fn query_in_public(error: &QueryError) -> String {
    match error {
        QueryError::UnknownProjection(name) => unknown_projection(name),
        QueryError::NotFound { .. } => "there is no view under this key; to read what a command \
             wrote, send the Retell-Position of its answer with the query"
            .to_owned(),
        QueryError::LogUnavailable(_) => LOG_SILENT.to_owned(),
        QueryError::Unreadable { what, .. } => format!("the history of {what} cannot be read"),
        QueryError::Store(error) => store_in_public(error).to_owned(),
        QueryError::NotListed(_)
        | QueryError::NotServed { .. }
        | QueryError::BadValue { .. }
        | QueryError::BadCursor
        | QueryError::Behind(_)
        | QueryError::ReadersBusy(_)
        | QueryError::StreamsFull(_)
        | QueryError::PositionUnknown { .. }
        | QueryError::PartitionUnknown { .. } => error.to_string(),
    }
}

const fn store_in_public(error: &StoreError) -> &'static str {
    match error {
        StoreError::Unavailable(_) => "the view store does not answer",
        StoreError::Full(_) => "the view store has no room",
        StoreError::Settings(_) => "the view store's settings are wrong",
        StoreError::Torn { .. } => "the views are being rebuilt",
        StoreError::Invalid(_) => FAILED,
    }
}

fn mend_in_public(error: &MendError) -> String {
    match error {
        MendError::Log(_) => LOG_SILENT.to_owned(),
        MendError::Store(error) => store_in_public(error).to_owned(),
        MendError::Unknown(_)
        | MendError::NeedsReplay(_)
        | MendError::StillParked { .. }
        | MendError::NotFolded
        | MendError::Busy => error.to_string(),
    }
}

fn replay_in_public(error: &ReplayError) -> String {
    match error {
        ReplayError::UnknownProjection(name) => unknown_projection(name),
        ReplayError::Running(_) => format!("{error} already; the header Location says where"),
        ReplayError::NotWaiting(_) => error.to_string(),
    }
}

fn verification_in_public(error: &VerificationError) -> String {
    match error {
        VerificationError::UnknownProjection(name) => unknown_projection(name),
        VerificationError::Running(_) => format!("{error} already; the header Location says where"),
    }
}

fn operation_in_public(error: &OperationError) -> String {
    match error {
        OperationError::UnknownProjection(name) => unknown_projection(name),
        OperationError::Store(error) => store_in_public(error).to_owned(),
        OperationError::NothingBefore | OperationError::Behind(_) | OperationError::Busy => {
            error.to_string()
        }
    }
}

fn unknown_projection(name: &str) -> String {
    format!("there is no projection `{name}`; GET /projections lists them")
}
