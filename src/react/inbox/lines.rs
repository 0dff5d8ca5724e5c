//! Who waits for whom: of the commands for an aggregate one is under way, and the others stand in
//! line behind it. So none is done before one that came before it, also when that one has to be
//! sent again.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::sync::{Mutex, MutexGuard};

use tokio::sync::oneshot;

use super::wanted::{Settled, Wanted};

/// The commands that stand in line, by aggregate; an aggregate without a command has no line.
#[derive(Default)]
pub(super) struct Lines(Mutex<HashMap<String, VecDeque<Standing>>>);

/// A command, and who is told what became of it.
pub(super) struct Standing {
    pub(super) wanted: Box<Wanted>,
    pub(super) settled: oneshot::Sender<Settled>,
}

impl Lines {
    /// Takes the next command, and gives it back when nobody is before it.
    pub(super) fn stand(&self, last: Standing) -> Option<Standing> {
        match self.locked().entry(last.wanted.aggregate.clone()) {
            Entry::Vacant(place) => {
                place.insert(VecDeque::new());
                Some(last)
            }
            Entry::Occupied(mut line) => {
                line.get_mut().push_back(last);
                None
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
