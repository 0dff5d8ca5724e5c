//! What `retell send` says: a bar while it runs, each line that failed, and a summary.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use indicatif::{HumanCount, ProgressBar};
use serde::Serialize;

use crate::cli::{bar, say};

use super::delivery::{Delivered, Failed};
use super::input::BadLine;

/// What became of all lines.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub(super) struct Summary {
    /// Commands that were done.
    pub(super) done: u64,
    /// Lines that failed.
    pub(super) failed: u64,
    /// How often a line was sent again.
    pub(super) retries: u64,
    /// Whether it was broken off.
    pub(super) interrupted: bool,
    /// Lines that were read and not sent, because it was broken off.
    pub(super) unsent: usize,
}

/// Says what becomes of the lines.
pub(super) struct Report {
    bar: ProgressBar,
    bytes: Arc<AtomicU64>,
    json: bool,
    begun: Instant,
}

#[derive(Serialize)]
struct FailedLine<'a> {
    line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    aggregate: Option<&'a str>,
    #[serde(flatten)]
    failed: &'a Failed,
}

#[derive(Serialize)]
struct SummaryLine<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    seconds: f64,
}

impl Summary {
    pub(super) fn count(&mut self, delivered: &Delivered) {
        self.retries += u64::from(delivered.retries);
        match delivered.outcome {
            Ok(()) => self.done += 1,
            Err(_) => self.failed += 1,
        }
    }

    /// Whether every line was done.
    pub(super) const fn is_complete(&self) -> bool {
        self.failed == 0 && !self.interrupted
    }
}

impl Report {
    pub(super) fn new(len: Option<u64>, bytes: Arc<AtomicU64>, json: bool) -> Self {
        Self { bar: bar::of_input(len), bytes, json, begun: Instant::now() }
    }

    pub(super) fn bad_line(&self, bad: &BadLine) {
        let detail = bad.detail.clone();
        let failed = Failed { status: None, code: "bad_line".to_owned(), detail };
        self.failed(bad.number, None, &failed);
    }

    pub(super) fn delivered(&self, delivered: &Delivered, summary: &Summary) {
        if let Err(failed) = &delivered.outcome {
            self.failed(delivered.line.number, Some(&delivered.line.aggregate), failed);
        }
        self.bar.set_position(self.bytes.load(Ordering::Relaxed));
        if !self.bar.is_hidden() {
            let count = summary.done + summary.failed;
            let rate = HumanCount(self.rate(count));
            self.bar.set_message(format!("{} commands, {rate}/s", HumanCount(count)));
        }
    }

    pub(super) fn finish(&self, summary: &Summary) -> anyhow::Result<()> {
        self.bar.finish_and_clear();
        let seconds = self.begun.elapsed().as_secs_f64();
        if self.json {
            return say(&serde_json::to_string(&SummaryLine { summary, seconds })?);
        }
        let Summary { done, failed, retries, interrupted, unsent } = summary;
        let rate = HumanCount(self.rate(*done));
        let (done, failed, retries) =
            (HumanCount(*done), HumanCount(*failed), HumanCount(*retries));
        say(&format!(
            "{done} done, {failed} failed, {retries} sent again, {seconds:.1} s, {rate}/s"
        ))?;
        if *interrupted {
            say(&format!("broken off; {unsent} lines were read and not sent, the rest not read"))?;
        }
        Ok(())
    }

    fn failed(&self, line: u64, aggregate: Option<&str>, failed: &Failed) {
        let text = if self.json {
            let line = FailedLine { line, aggregate, failed };
            serde_json::to_string(&line).expect("a line has string keys only")
        } else {
            let status = failed.status.map_or(String::new(), |status| format!("{status} "));
            let aggregate = aggregate.map_or(String::new(), |aggregate| format!("{aggregate}: "));
            format!("line {line}: {aggregate}{status}{}: {}", failed.code, failed.detail)
        };
        self.bar.suspend(|| eprintln!("{text}"));
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a rate for people"
    )]
    fn rate(&self, count: u64) -> u64 {
        (count as f64 / self.begun.elapsed().as_secs_f64().max(0.001)) as u64
    }
}
