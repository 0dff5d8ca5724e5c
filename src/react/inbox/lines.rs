//! Who waits for whom: while commands for an aggregate are under way, others stand in line behind
//! them. So none is done before one that came before it, also when that one has to be sent again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use tokio::sync::oneshot;

use super::wanted::{Settled, Wanted};

/// The commands that stand in line, by aggregate; an aggregate without a command has no line.
#[derive(Default)]
pub(super) struct Lines(Mutex<HashMap<String, Vec<Standing>>>);

/// A command, and who is told what became of it.
pub(super) struct Standing {
    pub(super) wanted: Box<Wanted>,
    pub(super) settled: oneshot::Sender<Settled>,
}

impl Lines {
    /// Takes the next command, and gives it back when nobody is before it.
    pub(super) fn stand(&self, last: Standing) -> Option<Standing> {
        let mut lines = self.locked();
        match lines.get_mut(&last.wanted.aggregate) {
            Some(line) => {
                line.push(last);
                None
            }
            None => {
                lines.insert(last.wanted.aggregate.clone(), Vec::new());
                Some(last)
            }
        }
    }

    /// Those who stand in line, now that all before them have their outcome; if there are none,
    /// the line is gone.
    pub(super) fn take(&self, aggregate: &str) -> Vec<Standing> {
        let mut lines = self.locked();
        let line = lines.get_mut(aggregate).map(std::mem::take).unwrap_or_default();
        if line.is_empty() {
            lines.remove(aggregate);
        }
        line
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<String, Vec<Standing>>> {
        self.0.lock().expect("nothing panics while it is held")
    }
}
