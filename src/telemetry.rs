//! What the process says about itself: log lines on standard error, never on standard output,
//! which belongs to what a command prints.

use std::io::{self, IsTerminal};

use tracing::subscriber::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{LogFormat, TelemetryConfig};

/// Why nothing is logged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// The filter is none.
    #[error("telemetry.filter: {0}")]
    Filter(#[from] ParseError),
    /// Somebody logs already.
    #[error("cannot start logging: {0}")]
    Started(#[from] TryInitError),
}

/// Starts to log, for the whole process. Log lines of libraries that use `log` come too.
///
/// # Errors
/// Somebody has started before.
pub fn start(config: &TelemetryConfig) -> Result<(), TelemetryError> {
    let is_terminal = io::stderr().is_terminal();
    subscriber(config, is_terminal, io::stderr)?.try_init()?;
    Ok(())
}

fn subscriber<W>(
    config: &TelemetryConfig,
    is_terminal: bool,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(&config.filter)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    Ok(match config.format {
        LogFormat::Text => Box::new(lines.with_ansi(is_terminal).finish()),
        LogFormat::Json => Box::new(lines.json().flatten_event(true).finish()),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::config::Config;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str, format: LogFormat) -> String {
        let mut config = Config::defaults().telemetry;
        (config.filter, config.format) = (filter.to_owned(), format);
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = subscriber(&config, false, move || writer.clone()).expect("a subscriber");
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(records = 3, "all is well");
            tracing::debug!("too much");
        });
        String::from_utf8(lines.0.lock().expect("no panic").clone()).expect("text")
    }

    #[test]
    fn the_filter_decides_what_is_logged() {
        assert!(logged("info", LogFormat::Text).trim().ends_with("all is well records=3"));
        assert_eq!(logged("warn", LogFormat::Text), "");
        assert_eq!(logged("retell=debug", LogFormat::Text).lines().count(), 2);
    }

    #[test]
    fn a_json_line_is_one_flat_object() {
        let line = logged("info", LogFormat::Json);
        let json: serde_json::Value = serde_json::from_str(&line).expect("one object");
        assert_eq!((&json["message"], &json["records"]), (&"all is well".into(), &3.into()));
    }
}
