//! The `retell` command as a process.

use std::io::{BufRead, BufReader, Lines, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the command to its end; `input` is its standard input.
pub(crate) async fn retell(arguments: &[&str], input: &str) -> Ended {
    retell_with(arguments, &[], input).await
}

/// Runs the command with these settings in its environment.
pub(crate) async fn retell_with(
    arguments: &[&str],
    settings: &[(&str, &str)],
    input: &str,
) -> Ended {
    let mut command = command(arguments);
    command.envs(settings.iter().copied());
    let input = input.to_owned();
    let run = move || {
        let mut child = command.spawn().expect("the binary is built");
        let mut stdin = child.stdin.take().expect("piped");
        // A command that does not read its input closes it.
        drop(stdin.write_all(input.as_bytes()));
        drop(stdin);
        let output = child.wait_with_output().expect("an end");
        Ended {
            code: output.status.code().expect("no signal"),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    };
    tokio::task::spawn_blocking(run).await.expect("no panic")
}

/// Runs a command that is a client of this service.
pub(crate) async fn client(service: SocketAddr, arguments: &[&str], input: &str) -> Ended {
    let url = format!("http://{service}");
    retell(&[arguments, &["--url", &url]].concat(), input).await
}

/// The command with nothing of this process's own settings.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_retell"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_setting(name)) {
        command.env_remove(name);
    }
    command
}

fn is_setting(name: &std::ffi::OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with("RETELL_"))
}

/// A service as a process, with an embedded log and embedded views in a folder of its own.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
}

impl Served {
    /// Starts it, and reads the line that says that it is ready.
    pub(crate) async fn start(folder: &Path) -> Self {
        let mut command = command(&["serve"]);
        command.env("RETELL_HTTP__LISTEN", "127.0.0.1:0").stderr(Stdio::null());
        command.env("RETELL_LOG__URL", format!("embedded:{}/log", folder.display()));
        command.env("RETELL_VIEWS__URL", format!("embedded:{}/views", folder.display()));
        let start = move || {
            let mut child = command.spawn().expect("the binary is built");
            let output = BufReader::new(child.stdout.take().expect("piped"));
            let mut output = output.lines();
            let ready = output.next().expect("a line").expect("text");
            let address = ready.strip_prefix("retell is ready on http://").expect("the ready line");
            Self { address: address.parse().expect("an address"), child, output }
        };
        tokio::task::spawn_blocking(start).await.expect("no panic")
    }

    /// Sends a signal, and waits for the end: the exit code, and what else was printed.
    pub(crate) async fn end_by(mut self, signal: &str) -> (Option<i32>, Vec<String>) {
        let (id, signal) = (self.child.id().to_string(), signal.to_owned());
        let end = move || {
            let sent = Command::new("kill").args([&signal, &id]).status().expect("kill");
            assert!(sent.success(), "kill {signal} {id}");
            let status = self.child.wait().expect("an end");
            (status.code(), self.output.by_ref().map(|line| line.expect("text")).collect())
        };
        tokio::task::spawn_blocking(end).await.expect("no panic")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // After an end it is none of ours any more, and this does nothing.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
