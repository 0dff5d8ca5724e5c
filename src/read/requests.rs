//! What is asked of the supervisors, and how it gets to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::operations::OperationError;

/// Requests that may wait for a supervisor.
const REQUESTS_LEN_MAX: usize = 16;

/// What is asked of a projection's supervisor.
#[derive(Debug)]
pub(super) enum Request {
    /// Build a new generation under this replay.
    Replay(Uuid),
    /// Stop building under this replay.
    CancelReplay(Uuid),
    /// Make live what this replay has built, although views differ.
    Flip(Uuid),
    /// Compare the live generation with the log under this verification.
    Verify(Uuid),
    /// Stop this verification.
    CancelVerification(Uuid),
    /// Do this now, and say how it went.
    Operate(Operation, oneshot::Sender<Result<(), OperationError>>),
}

/// What an operator does with a projection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Operation {
    /// Nobody folds it any more.
    Pause,
    /// It is folded again.
    Resume,
    /// The generation before goes live again.
    RollBack,
}

/// The queues to all supervisors, by projection. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Queues(Arc<BTreeMap<&'static str, mpsc::Sender<Request>>>);

impl Queues {
    /// Queues for these projections, and the ends that their supervisors hold, in that order.
    pub(super) fn new(
        names: impl Iterator<Item = &'static str>,
    ) -> (Self, Vec<mpsc::Receiver<Request>>) {
        let (mut queues, mut ends) = (BTreeMap::new(), Vec::new());
        for name in names {
            let (queue, end) = mpsc::channel(REQUESTS_LEN_MAX);
            queues.insert(name, queue);
            ends.push(end);
        }
        (Self(Arc::new(queues)), ends)
    }

    /// The projection of this name, or all; nothing when there is none.
    pub(super) fn names(&self, projection: Option<&str>) -> Vec<&'static str> {
        match projection {
            None => self.0.keys().copied().collect(),
            Some(name) => self.0.get_key_value(name).map(|(&name, _)| name).into_iter().collect(),
        }
    }

    /// Asks without waiting; says whether there was room for it.
    pub(super) fn try_ask(&self, name: &str, request: Request) -> bool {
        self.0.get(name).is_some_and(|queue| queue.try_send(request).is_ok())
    }
}
