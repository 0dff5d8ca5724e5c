//! The signal to stop: asked for once, seen by every part.

use std::io;

use tokio::sync::watch;

/// A request to stop that everybody who has a clone can make and see.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Sender<bool>);

impl Default for Shutdown {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Shutdown {
    /// Asks everybody to stop. Asking again changes nothing.
    pub fn request(&self) {
        self.0.send_replace(true);
    }

    /// Whether somebody has asked.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once somebody has asked.
    pub async fn requested(&self) {
        let mut asked = self.0.subscribe();
        // The sender is in `self`, so it cannot be gone.
        drop(asked.wait_for(|&asked| asked).await);
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
