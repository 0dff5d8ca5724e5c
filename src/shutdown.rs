//! The signal to stop: asked for once, seen by every part.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// A request to stop that everybody who has a clone can make and see.
///
/// ```
/// use retell::shutdown::Shutdown;
///
/// # #[tokio::main] async fn main() -> Result<(), tokio::task::JoinError> {
/// let shutdown = Shutdown::default();
/// let part = shutdown.clone();
/// let working = tokio::spawn(async move { part.requested().await });
/// shutdown.request();
/// working.await?;
/// assert!(shutdown.is_requested());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Shutdown(Arc<Request>);

/// A `Notify` wakes in the order in which was waited; a `watch` would in a random one, and a
/// simulated history would not repeat itself.
#[derive(Debug, Default)]
struct Request {
    is_made: AtomicBool,
    made: Notify,
}

impl Shutdown {
    /// Asks everybody to stop. Asking again changes nothing.
    pub fn request(&self) {
        self.0.is_made.store(true, Ordering::SeqCst);
        self.0.made.notify_waiters();
    }

    /// Whether somebody has asked.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.is_made.load(Ordering::SeqCst)
    }

    /// Returns once somebody has asked.
    pub async fn requested(&self) {
        // Made before the look, so that a request between look and wait is not missed.
        let made = self.0.made.notified();
        if !self.is_requested() {
            made.await;
        }
    }
}

/// Asks everybody to stop at SIGTERM or Ctrl-C. A second signal ends the process at once: what
/// was acknowledged is durable, and who sends it does not want to wait for the rest.
///
/// # Errors
/// The operating system refuses; outside a runtime it panics.
#[expect(clippy::disallowed_methods, reason = "the second signal asks to skip the shutdown")]
pub fn request_on_signal(shutdown: &Shutdown) -> io::Result<()> {
    let mut signals = Signals::new()?;
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        let signal = signals.next().await;
        tracing::info!(signal, "stopping");
        shutdown.request();
        let signal = signals.next().await;
        tracing::warn!(signal, "stopping at once");
        std::process::exit(1);
    });
    Ok(())
}

/// The signals to stop. They are caught from the moment in which this is made.
#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let (terminate, interrupt) = (SignalKind::terminate(), SignalKind::interrupt());
        Ok(Self { terminate: signal(terminate)?, interrupt: signal(interrupt)? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "Ctrl-C",
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn new() -> io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) -> &'static str {
        self.0.recv().await;
        "Ctrl-C"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_is_seen_by_all_also_by_who_looks_later() {
        let shutdown = Shutdown::default();
        let waiting = shutdown.clone();
        let waiter = tokio::spawn(async move { waiting.requested().await });
        assert!(!shutdown.is_requested());
        shutdown.request();
        waiter.await.expect("it returns");
        shutdown.clone().requested().await;
        assert!(shutdown.is_requested());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_signal_requests_the_stop() {
        let shutdown = Shutdown::default();
        request_on_signal(&shutdown).expect("caught");
        let process = std::process::id().to_string();
        let mut kill = std::process::Command::new("kill");
        assert!(kill.args(["-s", "TERM", &process]).status().expect("run").success());
        shutdown.requested().await;
    }
}
