//! A process that is measured: the service as it is shipped, or the bare handlers.
//!
//! The bare handlers are this binary in another role. They live until they are stopped, or until
//! the client is gone: then their standard input ends.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use anyhow::Context;

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    child: Child,
    stop: Stop,
}

/// How a server is asked to stop.
enum Stop {
    /// Its standard input ends.
    EndOfInput,
    /// It gets SIGTERM.
    Signal,
}

impl Server {
    /// Starts the bare handlers and waits until they can be used.
    pub(crate) fn floor(args: &[&str]) -> anyhow::Result<Self> {
        let mut floor = Command::new(std::env::current_exe()?);
        Self::start(floor.arg("floor").args(args), Stop::EndOfInput)
    }

    /// Starts the service with these settings and waits until it is ready.
    pub(crate) fn service(settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let mut service = Command::new(env!("CARGO_BIN_EXE_retell"));
        Self::start(service.arg("serve").envs(settings.iter().copied()), Stop::Signal)
    }

    /// The first line that a server prints ends with its address.
    fn start(command: &mut Command, stop: Stop) -> anyhow::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("it was piped")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().rsplit('/').next().unwrap_or_default();
        let address = address.parse().with_context(|| format!("{command:?} did not start"))?;
        Ok(Self { address, child, stop })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop and waits for its end.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        self.ask_to_stop();
        let status = self.child.wait()?;
        anyhow::ensure!(status.success(), "a server ended with {status}");
        Ok(())
    }

    /// Ends it without a word.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn ask_to_stop(&mut self) {
        drop(self.child.stdin.take());
        let is_running = self.child.try_wait().is_ok_and(|ended| ended.is_none());
        if is_running && matches!(self.stop, Stop::Signal) {
            let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing to do for one that was stopped; else a measurement failed.
        self.ask_to_stop();
        let _ = self.child.wait();
    }
}

/// In the bare handlers: returns when the client wants them to stop, or is gone.
pub(crate) async fn no_longer_wanted() {
    let until_end = || std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    let _ = tokio::task::spawn_blocking(until_end).await;
}
