//! Who waits for whom: of the commands for an aggregate one is under way, and the others stand in
//! line behind it. So none is done before one that came before it, also when that one has to be
//! sent again.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::sync::{Mutex, MutexGuard};

use tokio::sync::oneshot;

use super::wanted::{Begun, Wanted};

/// The commands that stand in line, by aggregate; an aggregate without a command has no line.
#[derive(Default)]
pub(super) struct Lines(Mutex<HashMap<String, VecDeque<Standing>>>);

/// A command that stands in line, and who is told once it was sent.
pub(super) struct Standing {
    pub(super) wanted: Box<Wanted>,
    pub(super) begun: oneshot::Sender<Begun>,
}

/// Whether it is a command's turn.
pub(super) enum Turn {
    Now(Box<Wanted>),
    Later(oneshot::Receiver<Begun>),
}

impl Lines {
    /// Takes the next command; it is its turn when nobody is before it.
    pub(super) fn stand(&self, wanted: Box<Wanted>) -> Turn {
        match self.locked().entry(wanted.aggregate()) {
            Entry::Vacant(place) => {
                place.insert(VecDeque::new());
                Turn::Now(wanted)
            }
            Entry::Occupied(mut line) => {
                let (begun, later) = oneshot::channel();
                line.get_mut().push_back(Standing { wanted, begun });
                Turn::Later(later)
            }
        }
    }

    /// Whose turn it is, now that the one before has its outcome.
    pub(super) fn next(&self, aggregate: &str) -> Option<Standing> {
        let mut lines = self.locked();
        let next = lines.get_mut(aggregate)?.pop_front();
        if next.is_none() {
            lines.remove(aggregate);
        }
        next
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<String, VecDeque<Standing>>> {
        self.0.lock().expect("nothing panics while it is held")
    }
}
