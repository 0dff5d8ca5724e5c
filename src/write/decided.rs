//! What a writer is asked beside deciding a command: to append events that its sender has decided,
//! to show an aggregate's state, or to find an outcome. All go the way of a command, so that the
//! same is proved.

use std::sync::{Arc, Mutex, PoisonError};

use crate::contract::{Aggregate, EventOf};

use super::kind::State;

/// Events that the sender has decided, on a version that it names.
pub(super) struct Decided<A: Aggregate>(pub(super) Arc<Vec<EventOf<A>>>);

/// Asks for the first outcome of a command.
pub(super) struct Recall;

/// Asks for a state. What it holds when the answer comes is what was proved.
#[derive(Clone, Default)]
pub(super) struct Look(Arc<Mutex<Option<State>>>);

impl Look {
    pub(super) fn show(&self, state: State) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
    }

    pub(super) fn seen(&self) -> Option<State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
