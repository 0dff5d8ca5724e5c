//! How many requests were answered, by what was asked for and by status.
//!
//! Both are of a fixed list, so that what a client sends makes no series of its own.

use std::sync::Arc;

use axum::http::StatusCode;

use crate::measure::Counter;

/// What a request may ask for: the first word of its path.
const KINDS: [&str; 9] = [
    "commands",
    "projections",
    "aggregates",
    "events",
    "traces",
    "schemas",
    "admin",
    "health",
    "metrics",
];

/// The dashboard and the documents, and what is no route.
const OTHER: &str = "other";

/// HTTP's statuses are those below 600.
const FIRST: usize = 100;
const STATUSES: usize = 500;

/// Counts answers. Cheap to clone.
#[derive(Clone)]
pub(super) struct Answers(Arc<[Counter]>);

impl Answers {
    pub(super) fn new() -> Self {
        Self((0..=KINDS.len()).flat_map(|_| 0..STATUSES).map(|_| Counter::default()).collect())
    }

    /// One more answer to who asked for this path, which stands below the base path.
    pub(super) fn count(&self, path: &str, status: StatusCode) {
        let kind = KINDS.iter().position(|kind| Some(*kind) == first_word(path));
        let row = kind.unwrap_or(KINDS.len()) * STATUSES;
        // Beyond them http's type has statuses that nobody answers.
        let status = usize::from(status.as_u16()).min(FIRST + STATUSES - 1);
        self.0[row + status - FIRST].count();
    }

    /// What was counted: what was asked for, the status, and how often.
    pub(super) fn counted(&self) -> impl Iterator<Item = (&'static str, usize, u64)> {
        let counted = self.0.iter().map(Counter::get).enumerate().filter(|(_, count)| *count > 0);
        counted.map(|(at, count)| {
            let kind = KINDS.get(at / STATUSES).copied().unwrap_or(OTHER);
            (kind, at % STATUSES + FIRST, count)
        })
    }
}

/// What a path below the base path asks for, if it is one of the list.
pub(super) fn kind(path: &str) -> Option<&'static str> {
    KINDS.iter().find(|kind| Some(**kind) == first_word(path)).copied()
}

fn first_word(path: &str) -> Option<&str> {
    path.strip_prefix('/')?.split('/').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_what_was_asked_for_and_by_status() {
        let answers = Answers::new();
        for (path, status) in [
            ("/commands/account/metrics", 200),
            ("/commands/account/ann", 422),
            ("/commands", 200),
            ("/metrics", 599),
            ("/", 200),
            ("/no/events", 404),
            ("", 999),
            ("/events", 999),
        ] {
            answers.count(path, StatusCode::from_u16(status).expect("a status"));
        }
        let counted: Vec<_> = answers.counted().collect();
        let expected = [
            ("commands", 200, 2),
            ("commands", 422, 1),
            ("events", 599, 1),
            ("metrics", 599, 1),
            (OTHER, 200, 1),
            (OTHER, 404, 1),
            (OTHER, 599, 1),
        ];
        assert_eq!(counted, expected);
    }
}
