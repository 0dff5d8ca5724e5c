//! The order and the bounds of sending, over a transport that only remembers.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::sync::mpsc;

use super::delivery::{Attempt, Failed};
use super::input::{BadLine, Line};
use super::*;

/// Answers after a while that differs from line to line, and remembers.
#[derive(Default)]
struct Fake {
    begun: RefCell<Vec<u64>>,
    under_way: RefCell<HashMap<String, u32>>,
    most_at_once: Cell<usize>,
    /// Attempts of a line that are turned away before one is taken.
    turn_away: HashMap<u64, u32>,
    refuse: Vec<u64>,
    attempts: RefCell<HashMap<u64, u32>>,
}

impl Transport for Fake {
    async fn attempt(&self, line: &Line) -> Attempt {
        self.begin(line);
        tokio::time::sleep(Duration::from_millis(1 + line.number * 7 % 13)).await;
        *self.under_way.borrow_mut().get_mut(&line.aggregate).expect("begun") -= 1;
        let failed = Failed { status: Some(503), code: "x".into(), detail: String::new() };
        let attempts = self.attempts.borrow()[&line.number];
        if self.refuse.contains(&line.number) {
            Attempt::Failed(failed)
        } else if attempts <= self.turn_away.get(&line.number).copied().unwrap_or(0) {
            Attempt::Again(Duration::from_secs(1), failed)
        } else {
            Attempt::Done
        }
    }
}

impl Fake {
    fn begin(&self, line: &Line) {
        self.begun.borrow_mut().push(line.number);
        *self.attempts.borrow_mut().entry(line.number).or_default() += 1;
        let mut under_way = self.under_way.borrow_mut();
        let mine = under_way.entry(line.aggregate.clone()).or_default();
        *mine += 1;
        assert_eq!(*mine, 1, "two commands of {} at once", line.aggregate);
        let all = under_way.values().sum::<u32>() as usize;
        self.most_at_once.set(self.most_at_once.get().max(all));
    }

    fn begun_of(&self, lines: &[(u64, &str)], aggregate: &str) -> Vec<u64> {
        let mine = |number: &u64| lines.contains(&(*number, aggregate));
        self.begun.borrow().iter().copied().filter(mine).collect()
    }
}

fn report() -> Report {
    Report::new(None, Arc::new(AtomicU64::new(0)), true)
}

/// The sender stays open until it is dropped.
fn lines(all: Vec<Result<Line, BadLine>>) -> (Lines, mpsc::Sender<Result<Line, BadLine>>) {
    let (sender, lines) = mpsc::channel(all.len().max(1));
    all.into_iter().for_each(|line| sender.try_send(line).expect("room"));
    (Lines { lines, bytes: Arc::default() }, sender)
}

fn line(number: u64, aggregate: &str) -> Result<Line, BadLine> {
    let (aggregate, command) = (aggregate.to_owned(), "{}".into());
    let route = String::new();
    Ok(Line { number, aggregate, route, command, key: None, expected_version: None })
}

async fn send_all(fake: &Fake, all: Vec<Result<Line, BadLine>>, in_flight: usize) -> Summary {
    let (lines, _) = lines(all);
    send(fake, lines, in_flight, &mut report(), std::future::pending()).await
}

#[tokio::test(start_paused = true)]
async fn commands_of_one_aggregate_keep_their_order_and_others_overlap() {
    let numbered: Vec<(u64, &str)> =
        (1..=200).zip(["a/x", "a/y", "a/z", "a/x"].into_iter().cycle()).collect();
    let fake = Fake { turn_away: [(5, 3), (9, 1)].into(), refuse: vec![13], ..Fake::default() };
    let summary = send_all(&fake, numbered.iter().map(|&(n, a)| line(n, a)).collect(), 8).await;
    for aggregate in ["a/x", "a/y", "a/z"] {
        let begun = fake.begun_of(&numbered, aggregate);
        assert!(begun.is_sorted(), "{aggregate}: {begun:?}");
    }
    assert_eq!(fake.most_at_once.get(), 3, "one for each aggregate");
    assert_eq!((summary.done, summary.failed, summary.retries), (199, 1, 4));
    assert!(!summary.is_complete());
}

#[tokio::test(start_paused = true)]
async fn no_more_than_asked_are_in_flight() {
    let fake = Fake::default();
    let all = (1..=300).map(|number| line(number, &format!("a/{number}"))).collect();
    let summary = send_all(&fake, all, 16).await;
    assert_eq!(fake.most_at_once.get(), 16);
    assert_eq!(summary, Summary { done: 300, ..Summary::default() });
    assert!(summary.is_complete());
}

#[tokio::test(start_paused = true)]
async fn a_line_that_cannot_be_sent_does_not_stop_the_others() {
    let bad = BadLine { number: 2, detail: "no JSON".to_owned() };
    let fake = Fake::default();
    let summary = send_all(&fake, vec![line(1, "a/x"), Err(bad), line(3, "a/x")], 4).await;
    assert_eq!((summary.done, summary.failed), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_stays_busy_is_given_up() {
    let fake = Fake { turn_away: [(1, u32::MAX)].into(), ..Fake::default() };
    let summary = send_all(&fake, vec![line(1, "a/x"), line(2, "a/x")], 4).await;
    assert_eq!((summary.done, summary.failed, summary.retries), (1, 1, 10));
}

#[tokio::test(start_paused = true)]
async fn an_interruption_lets_what_is_under_way_end() {
    let fake = Fake::default();
    let all = vec![line(1, "a/x"), line(2, "a/x"), line(3, "a/y"), line(4, "a/x")];
    let (lines, open) = lines(all);
    let soon = tokio::time::sleep(Duration::from_millis(2));
    let summary = send(&fake, lines, 4, &mut report(), soon).await;
    assert_eq!((summary.done, summary.unsent, summary.interrupted), (2, 2, true));
    assert!(!summary.is_complete());
    drop(open);
}
