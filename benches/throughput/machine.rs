//! What a report must say about where its figures are from.

use std::fs;
use std::process::Command;

use retell::adapters::SystemClock;
use retell::ports::Clock;
use serde::Serialize;

/// `2026-11-22`
const DATE_LEN: usize = 10;

/// The machine and the versions of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) date: String,
    pub(crate) processor: String,
    pub(crate) processors: usize,
    pub(crate) memory_gib: u64,
    pub(crate) kernel: String,
    pub(crate) retell: String,
    pub(crate) rust: String,
    pub(crate) kafka: String,
    pub(crate) java: String,
    pub(crate) redis: String,
    pub(crate) librdkafka: String,
}

impl Machine {
    pub(crate) fn look(redis: &str) -> anyhow::Result<Self> {
        let commit = output("git", &["rev-parse", "--short", "HEAD"]);
        Ok(Self {
            date: SystemClock.now().to_string()[..DATE_LEN].to_owned(),
            processor: field("/proc/cpuinfo", "model name"),
            processors: crate::cpu::processors(),
            memory_gib: field("/proc/meminfo", "MemTotal")
                .trim_end_matches(" kB")
                .parse::<u64>()
                .unwrap_or_default()
                .div_ceil(1 << 20),
            kernel: output("uname", &["-sr"]),
            retell: format!("{} ({commit})", env!("CARGO_PKG_VERSION")),
            rust: output("rustc", &["--version"]),
            kafka: kafka(),
            java: output("java", &["--version"]),
            redis: redis_version(redis)?,
            librdkafka: rdkafka::util::get_rdkafka_version().1,
        })
    }
}

/// The version that `make bench` starts.
fn kafka() -> String {
    let script = fs::read_to_string("dev/kafka").unwrap_or_default();
    let version = script.lines().find_map(|line| line.strip_prefix("version="));
    version.and_then(|rest| rest.split_whitespace().next()).unwrap_or("unknown").to_owned()
}

fn redis_version(url: &str) -> anyhow::Result<String> {
    let mut connection = redis::Client::open(url)?.get_connection()?;
    let info: String = redis::cmd("INFO").arg("server").query(&mut connection)?;
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
    Ok(version.unwrap_or("unknown").trim().to_owned())
}

/// The first line that a command prints.
fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.unwrap_or_default();
    text.lines().next().unwrap_or("unknown").trim().to_owned()
}

/// The first value of a field in a file of `/proc`.
fn field(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let value = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    });
    value.unwrap_or_else(|| "unknown".to_owned())
}
