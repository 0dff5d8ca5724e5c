//! What the process says about itself: log lines on standard error, never on standard output,
//! which belongs to what a command prints.

mod otlp;

use std::io::{self, IsTerminal};

use tracing::subscriber::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

pub use otlp::Collector;

/// How log lines look.
///
/// ```
/// use retell::telemetry::{self, Lines};
///
/// telemetry::start("warn,retell=info", Lines::Json)?;
/// tracing::info!(lights = 3, "as one line of JSON");
/// assert!(telemetry::start("info", Lines::Text).is_err(), "it has begun");
/// # Ok::<(), telemetry::TelemetryError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lines {
    /// For people.
    Text,
    /// For machines: one JSON object each.
    Json,
}

/// Why nothing is logged.
///
/// ```
/// use retell::telemetry::{self, Lines, TelemetryError};
///
/// let error = telemetry::start("retell=loud", Lines::Text).expect_err("no such level");
/// assert!(matches!(error, TelemetryError::Filter(_)));
/// assert!(error.to_string().starts_with("the log filter: "));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// The filter is none.
    #[error("the log filter: {0}")]
    Filter(#[from] ParseError),
    /// Somebody logs already.
    #[error("cannot start logging: {0}")]
    Started(#[from] TryInitError),
}

/// Starts to log, for the whole process, what `filter` lets through (in the syntax of
/// `EnvFilter`). Log lines of libraries that use `log` come too.
///
/// # Errors
/// The filter is none, or somebody has started before.
pub fn start(filter: &str, lines: Lines) -> Result<(), TelemetryError> {
    let is_terminal = io::stderr().is_terminal();
    subscriber(filter, lines, is_terminal, io::stderr)?.try_init()?;
    Ok(())
}

fn subscriber<W>(
    filter: &str,
    lines: Lines,
    is_terminal: bool,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(filter)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    // On a terminal there are colours unless NO_COLOR asks for none, which the library looks up.
    let builder = if is_terminal { builder } else { builder.with_ansi(false) };
    Ok(match lines {
        Lines::Text => Box::new(builder.finish()),
        Lines::Json => Box::new(builder.json().flatten_event(true).finish()),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str, lines: Lines) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let writer = move || writer.clone();
        let subscriber = subscriber(filter, lines, false, writer).expect("a subscriber");
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(records = 3, "all is well");
            tracing::debug!("too much");
        });
        let bytes = buffer.0.lock().expect("no panic").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn the_filter_decides_what_is_logged() {
        assert!(logged("info", Lines::Text).trim().ends_with("all is well records=3"));
        assert_eq!(logged("warn", Lines::Text), "");
        assert_eq!(logged("retell=debug", Lines::Text).lines().count(), 2);
    }

    #[test]
    fn a_json_line_is_one_flat_object() {
        let line = logged("info", Lines::Json);
        let json: serde_json::Value = serde_json::from_str(&line).expect("one object");
        assert_eq!((&json["message"], &json["records"]), (&"all is well".into(), &3.into()));
    }
}
