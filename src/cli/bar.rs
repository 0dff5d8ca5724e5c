//! Progress bars: on a terminal only, on standard error, so that output stays clean.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over the bytes of an input; a spinner when it has no known end.
pub(super) fn of_input(len: Option<u64>) -> ProgressBar {
    let template = match len {
        Some(_) => "{wide_bar} {percent:>3}%  {msg}, {eta} left",
        None => "{spinner} {msg}, {elapsed}",
    };
    bar(len, template)
}

/// A bar over the records of a replay or a verification.
pub(super) fn of_records(len: u64) -> ProgressBar {
    bar(Some(len), "{msg} {wide_bar} {human_pos}/{human_len} records  {per_sec}, {eta} left")
}

fn bar(len: Option<u64>, template: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = len.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    bar.set_style(ProgressStyle::with_template(template).expect("the templates above are valid"));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
