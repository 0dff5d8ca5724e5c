//! The text form of Prometheus: each family with what it means, then its samples.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use crate::measure::Distribution;

use super::families::{self, Family};

/// The labels of a sample.
pub(super) type Labels<'a> = &'a [(&'static str, &'a str)];

/// Samples, by family.
#[derive(Default)]
pub(super) struct Exposition(BTreeMap<&'static str, String>);

impl Exposition {
    /// One sample.
    pub(super) fn put(&mut self, name: &'static str, labels: Labels<'_>, value: impl Display) {
        self.sample(name, "", labels, None, value);
    }

    /// The samples of a histogram whose values were counted in a unit of which `scale` make the
    /// family's.
    pub(super) fn distribution(
        &mut self,
        name: &'static str,
        labels: Labels<'_>,
        read: &Distribution,
        scale: f64,
    ) {
        let mut so_far = 0;
        for (bound, count) in read.bounds.iter().zip(&read.counts) {
            so_far += count;
            let bound = (*bound as f64 / scale).to_string();
            self.sample(name, "_bucket", labels, Some(&bound), so_far);
        }
        self.sample(name, "_bucket", labels, Some("+Inf"), read.count());
        self.sample(name, "_sum", labels, None, read.sum as f64 / scale);
        self.sample(name, "_count", labels, None, read.count());
    }

    /// Every family, those without a sample too.
    pub(super) fn render(self) -> String {
        let mut text = String::new();
        for Family { name, kind, help, .. } in families::all() {
            let samples = self.0.get(name).map_or("", String::as_str);
            text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{samples}"));
        }
        text
    }

    fn sample(
        &mut self,
        name: &'static str,
        suffix: &str,
        labels: Labels<'_>,
        bound: Option<&str>,
        value: impl Display,
    ) {
        debug_assert!(
            families::all().any(|family| family.has(name, labels)),
            "{name} with {labels:?} is in the list"
        );
        let text = self.0.entry(name).or_default();
        let bound = bound.map(|bound| ("le", bound));
        let mut labels = labels.iter().copied().chain(bound).peekable();
        text.push_str(name);
        text.push_str(suffix);
        if labels.peek().is_some() {
            let mut before = '{';
            for (label, value) in labels {
                text.push(before);
                text.push_str(&format!("{label}=\"{}\"", escaped(value)));
                before = ',';
            }
            text.push('}');
        }
        writeln!(text, " {value}").expect("a text takes everything");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use crate::measure::Histogram;

    use super::*;

    #[test]
    fn a_sample_has_its_labels_and_a_family_says_what_it_is() {
        let mut all = Exposition::default();
        all.put("retell_info", &[("version", "1"), ("node", "a \"b\"\\\n")], 1);
        let text = all.render();
        let wanted = "# TYPE retell_info gauge\n\
                      retell_info{version=\"1\",node=\"a \\\"b\\\"\\\\\\n\"} 1\n";
        assert!(text.contains(wanted), "{text}");
        assert!(text.contains("# TYPE retell_ready gauge\n#"), "without a sample: {text}");
    }

    #[test]
    fn the_buckets_of_a_histogram_add_up() {
        let durations = Histogram::of_durations();
        for millis in [1, 3, 20_000] {
            durations.duration(std::time::Duration::from_millis(millis));
        }
        let mut all = Exposition::default();
        all.distribution("retell_append_seconds", &[], &durations.read(), 1e6);
        let text = all.render();
        for line in [
            "retell_append_seconds_bucket{le=\"0.0005\"} 0\n",
            "retell_append_seconds_bucket{le=\"0.001\"} 1\n",
            "retell_append_seconds_bucket{le=\"10\"} 2\n",
            "retell_append_seconds_bucket{le=\"+Inf\"} 3\n",
            "retell_append_seconds_sum 20.004\n",
            "retell_append_seconds_count 3\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }
}
