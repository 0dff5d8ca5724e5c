//! Spans: what was done for a request, and how long it took, for who follows traces.
//!
//! One in so many requests is traced, and every request whose client traces it; of the others
//! nothing is made. What is done later for the same command (its append, a projection, a policy)
//! belongs to its trace by the `traceparent` of its record. Whoever takes the spans may be slow or
//! gone: then they are lost, and nothing waits.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;

/// Which trace, and which of its spans: the `traceparent` of the W3C, of a trace that is sampled.
///
/// ```
/// use retell::spans::SpanContext;
///
/// let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let context: SpanContext = traceparent.parse().expect("it is sampled");
/// assert_eq!(context.span, 0x00f0_67aa_0ba9_02b7);
/// assert_eq!(context.to_string(), traceparent);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SpanContext {
    /// The trace; never 0.
    pub trace: u128,
    /// The span; never 0.
    pub span: u64,
}

/// A text that is no `traceparent` of a sampled trace.
///
/// ```
/// use retell::spans::{NotSampled, SpanContext};
///
/// // Its client does not trace: the last flag is 0.
/// let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
/// assert_eq!(traceparent.parse::<SpanContext>(), Err(NotSampled));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotSampled;

/// Something that was done. It is told when it is dropped.
///
/// ```
/// use retell::spans;
///
/// let mut taken = spans::start(100, 16); // percent of the requests, and spans that may wait
/// let span = spans::request(None).expect("all are traced").with("http.route", "/health");
/// assert!(taken.try_recv().is_err(), "it has not ended");
/// drop(span);
/// let span = taken.try_recv().expect("it was told when it ended");
/// assert_eq!(span.attributes, [("http.route", "/health".to_owned())]);
/// ```
#[derive(Debug)]
pub struct Span {
    /// What was done: one of a few names.
    pub name: Cow<'static, str>,
    /// Whether it was done for a client outside.
    pub is_request: bool,
    /// Which it is.
    pub context: SpanContext,
    /// The span that it was done for.
    pub parent: Option<u64>,
    /// When it began.
    pub began: SystemTime,
    /// When it ended.
    pub ended: SystemTime,
    /// What else there is to say.
    pub attributes: Vec<(&'static str, String)>,
    /// Whether it failed by our fault.
    pub has_failed: bool,
    /// Whether it was told.
    is_told: bool,
}

/// Who takes the spans of this process.
struct Recorder {
    percent: u32,
    spans: mpsc::Sender<Span>,
}

/// One for the process, as the log lines have one.
static RECORDER: OnceLock<Recorder> = OnceLock::new();

/// Begins to trace, for the whole process: so many percent of the requests that nobody else
/// traces. The spans come here; at most `len_max` wait. Only the first call counts.
#[must_use]
pub fn start(percent: u32, len_max: usize) -> mpsc::Receiver<Span> {
    let (spans, taken) = mpsc::channel(len_max);
    drop(RECORDER.set(Recorder { percent, spans }));
    taken
}

/// Whether anything is traced.
#[must_use]
pub fn are_taken() -> bool {
    RECORDER.get().is_some()
}

/// A request begins; with the `traceparent` that it came with, if it came with one.
#[must_use]
pub fn request(traceparent: Option<&str>) -> Option<Span> {
    let recorder = RECORDER.get()?;
    let Some(text) = traceparent else {
        let is_chosen = rand::random_range(0..100) < recorder.percent;
        return is_chosen.then(|| Span::new("request", SpanContext::random(), None, true));
    };
    let parent: SpanContext = text.parse().ok()?;
    Some(Span::new("request", parent.child(), Some(parent.span), true))
}

/// Something begins that is done for what has this `traceparent`, if that is traced.
#[must_use]
pub fn within(name: &'static str, traceparent: Option<&str>) -> Option<Span> {
    let parent: SpanContext = traceparent.filter(|_| are_taken())?.parse().ok()?;
    Some(Span::new(name, parent.child(), Some(parent.span), false))
}

impl Span {
    fn new(
        name: &'static str,
        context: SpanContext,
        parent: Option<u64>,
        is_request: bool,
    ) -> Self {
        let (name, began, attributes) = (name.into(), now(), Vec::new());
        let (ended, has_failed, is_told) = (began, false, false);
        Self { name, is_request, context, parent, began, ended, attributes, has_failed, is_told }
    }

    /// It began that long ago.
    #[must_use]
    pub fn since(mut self, ago: Duration) -> Self {
        self.began = self.began.checked_sub(ago).unwrap_or(self.began);
        self
    }

    /// Says more of it.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.attributes.push((name, value.to_string()));
        self
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if self.is_told {
            return;
        }
        let Some(recorder) = RECORDER.get() else { return };
        let told = Self {
            name: std::mem::take(&mut self.name),
            attributes: std::mem::take(&mut self.attributes),
            ended: now(),
            is_told: true,
            ..*self
        };
        // Where nobody takes them they are lost: nothing waits for a trace.
        drop(recorder.spans.try_send(told));
    }
}

#[expect(clippy::disallowed_methods, reason = "spans of several machines are of their own clocks")]
fn now() -> SystemTime {
    SystemTime::now()
}

impl SpanContext {
    fn random() -> Self {
        Self { trace: rand::random_range(1..=u128::MAX), span: rand::random_range(1..=u64::MAX) }
    }

    fn child(self) -> Self {
        Self { span: rand::random_range(1..=u64::MAX), ..self }
    }
}

impl fmt::Display for SpanContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-01", self.trace, self.span)
    }
}

impl FromStr for SpanContext {
    type Err = NotSampled;

    /// `00-<trace id: 32 hex>-<parent id: 16 hex>-<flags: 2 hex>`; the lowest flag: sampled.
    fn from_str(text: &str) -> Result<Self, NotSampled> {
        let mut parts = text.split('-').skip(1);
        let mut part = |len| parts.next().filter(|part| part.len() == len).ok_or(NotSampled);
        let (trace, span, flags) = (part(32)?, part(16)?, part(2)?);
        let trace = u128::from_str_radix(trace, 16).map_err(|_| NotSampled)?;
        let span = u64::from_str_radix(span, 16).map_err(|_| NotSampled)?;
        let flags = u8::from_str_radix(flags, 16).map_err(|_| NotSampled)?;
        let is_sampled = flags & 1 == 1 && trace > 0 && span > 0;
        if is_sampled { Ok(Self { trace, span }) } else { Err(NotSampled) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_reads_back_and_one_that_is_not_sampled_is_none() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context: SpanContext = text.parse().expect("a context");
        assert_eq!(context.to_string(), text);
        assert_eq!(context.child().trace, context.trace);
        assert_ne!(context.child().span, context.span);
        for other in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        ] {
            assert_eq!(other.parse::<SpanContext>(), Err(NotSampled), "{other}");
        }
    }

    #[test]
    fn nothing_is_made_where_nobody_takes_it() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(request(Some(text)).is_none() && request(None).is_none());
        assert!(within("append", Some(text)).is_none());
    }
}
