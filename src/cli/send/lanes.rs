//! Which lines may go now: commands of one aggregate one after the other, in the file's order.

use std::collections::{HashMap, VecDeque};

use super::input::Line;

/// The aggregates that have a command under way, and the lines that wait for each.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    busy: HashMap<String, VecDeque<Line>>,
    waiting: usize,
    waiting_bytes: usize,
}

impl Lanes {
    /// The line, if it may go now; else it waits for those before it.
    pub(super) fn admit(&mut self, line: Line) -> Option<Line> {
        match self.busy.get_mut(&line.aggregate) {
            Some(lane) => {
                self.waiting += 1;
                self.waiting_bytes += line.command.len();
                lane.push_back(line);
                None
            }
            None => {
                self.busy.insert(line.aggregate.clone(), VecDeque::new());
                Some(line)
            }
        }
    }

    /// Notes that the aggregate's command is over, and gives the next that may go.
    pub(super) fn done(&mut self, aggregate: &str) -> Option<Line> {
        let lane = self.busy.get_mut(aggregate)?;
        match lane.pop_front() {
            Some(next) => {
                self.waiting -= 1;
                self.waiting_bytes -= next.command.len();
                Some(next)
            }
            None => {
                self.busy.remove(aggregate);
                None
            }
        }
    }

    /// Lines that wait.
    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Bytes of the lines that wait.
    pub(super) const fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Forgets the lines that wait, and says how many they were.
    pub(super) fn clear(&mut self) -> usize {
        self.busy.values_mut().for_each(VecDeque::clear);
        self.waiting_bytes = 0;
        std::mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u64, aggregate: &str) -> Line {
        Line {
            number,
            aggregate: aggregate.to_owned(),
            route: String::new(),
            command: "{}".into(),
            key: None,
            expected_version: None,
        }
    }

    #[test]
    fn lines_of_one_aggregate_go_one_after_the_other() {
        let mut lanes = Lanes::default();
        let number = |line: Option<Line>| line.map(|line| line.number);
        assert_eq!(number(lanes.admit(line(1, "a/x"))), Some(1));
        assert_eq!(number(lanes.admit(line(2, "a/x"))), None);
        assert_eq!(number(lanes.admit(line(3, "a/y"))), Some(3));
        assert_eq!(number(lanes.admit(line(4, "a/x"))), None);
        assert_eq!((lanes.waiting(), lanes.waiting_bytes()), (2, 4));
        assert_eq!(number(lanes.done("a/x")), Some(2));
        assert_eq!(number(lanes.done("a/y")), None);
        assert_eq!(number(lanes.done("a/x")), Some(4));
        assert_eq!(number(lanes.done("a/x")), None);
        assert_eq!((lanes.waiting(), lanes.waiting_bytes()), (0, 0));
        assert!(lanes.busy.is_empty(), "an idle aggregate takes no memory");
        assert_eq!(number(lanes.admit(line(5, "a/x"))), Some(5));
    }
}
