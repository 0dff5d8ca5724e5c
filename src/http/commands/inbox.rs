//! What the answers to the inbox say: the same as those to a batch.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use bytes::Bytes;
use serde::Serialize;

use crate::contract::Position;
use crate::events::{CommandId, Metadata};
use crate::react::inbox::{BadHeader, Outcome, Wording};
use crate::write::CommandError;

use super::super::headers;
use super::super::problem::Problem;
use super::super::request_id::RequestId;
use super::answer::Undone;
use super::line;

/// Speaks to the inbox's clients as the door speaks to its own.
///
/// ```
/// use retell::events::CommandId;
/// use retell::http::InboxWording;
/// use retell::react::inbox::{Outcome, Wording};
/// use retell::write::Failure;
///
/// let (place, command_id) = ("0@7".parse()?, CommandId::from_client("order-7")?);
/// let outcome = Outcome::Undone(Failure::KeyReused.into());
/// let answer = InboxWording.answer(place, &command_id, &outcome);
/// let answer: serde_json::Value = serde_json::from_slice(&answer)?;
/// assert_eq!((&answer["inbox"], &answer["status"]), (&"0@7".into(), &422.into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct InboxWording;

/// Which message an answer is to.
#[derive(Clone, Copy, Serialize)]
struct OfMessage {
    inbox: Position,
}

impl Wording for InboxWording {
    fn metadata(&self, given: &[(String, Bytes)]) -> Result<Metadata, BadHeader> {
        let mut known = HeaderMap::new();
        // A name or a value that HTTP cannot have has no meaning here either.
        for (name, value) in given {
            let name = HeaderName::from_bytes(name.as_bytes());
            let value = HeaderValue::from_maybe_shared(value.clone());
            if let (Ok(name), Ok(value)) = (name, value) {
                known.append(name, value);
            }
        }
        headers::metadata(&known).map_err(|problem| match problem {
            Problem::BadHeader { name, detail } => BadHeader { name, detail },
            other => unreachable!("metadata are headers: {other}"),
        })
    }

    fn answer(&self, place: Position, command_id: &CommandId, outcome: &Outcome) -> Vec<u8> {
        let (of, mut answer) = (OfMessage { inbox: place }, Vec::new());
        let problem = match outcome {
            Outcome::Done(done) => {
                line::write_done(of, done, &mut answer);
                return answer;
            }
            Outcome::Undone(error) => of_command(error),
            Outcome::BadEnvelope(error) => Problem::BadLine(error.clone()).into(),
            Outcome::BadHeader(BadHeader { name, detail }) => {
                Problem::BadHeader { name, detail }.into()
            }
        };
        let request = (&RequestId::of_message(place), &Uri::from_static("/inbox"));
        line::write_problem(of, Some(command_id.as_str()), &problem, request, &mut answer);
        answer
    }
}

/// Each has an id under which it may be sent again.
fn of_command(error: &CommandError) -> Undone {
    match error {
        CommandError::Refused { refusal, on, .. } => {
            Problem::Refused { refusal: refusal.clone(), on: *on }.into()
        }
        CommandError::RefusedBefore { refusal, on } => Undone {
            problem: Problem::Refused { refusal: refusal.clone(), on: *on },
            replayed: true,
        },
        CommandError::Failed(failure) => Problem::Command(failure.clone()).into(),
    }
}
