//! The `retell` command as a process.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the command to its end; `input` is its standard input.
pub(crate) async fn retell(arguments: &[&str], input: &str) -> Ended {
    let mut command = command(arguments);
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
