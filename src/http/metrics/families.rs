//! What a family of metrics is. Each part of the numbers lists its own beside where it puts them;
//! `docs/metrics.md` lists them all.

use super::{clients, process, reacting, reading, service, writing};

/// Samples of one name.
pub(super) struct Family {
    pub(super) name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub(super) kind: &'static str,
    /// The labels that each sample has.
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
}

/// Every family, in the order in which they are shown.
pub(super) fn all() -> impl Iterator<Item = &'static Family> {
    let parts = [
        service::FAMILIES,
        writing::FAMILIES,
        reading::FAMILIES,
        reacting::FAMILIES,
        clients::FAMILIES,
        process::FAMILIES,
    ];
    parts.into_iter().flatten()
}

/// A number that only grows while the process runs.
pub(super) const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    Family { name, kind: "counter", labels, help }
}

/// A number that goes up and down.
pub(super) const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    Family { name, kind: "gauge", labels, help }
}

/// How many values there were up to each of some bounds.
pub(super) const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    Family { name, kind: "histogram", labels, help }
}

impl Family {
    /// Whether a sample of this name with these labels belongs to it.
    pub(super) fn has(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.name == name && labels.iter().map(|(label, _)| label).eq(self.labels)
    }
}
