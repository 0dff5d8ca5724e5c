//! Who spent how much processor time, by Linux' `/proc`; elsewhere everything is zero.

use std::fs;
use std::time::Duration;

/// A tick of `/proc`: `USER_HZ` is 100 on every architecture that matters.
const TICK: Duration = Duration::from_millis(10);
/// A listening socket, in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// Processor time spent so far, or between two looks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    pub(crate) server: Duration,
    pub(crate) client: Duration,
    pub(crate) kafka: Duration,
    pub(crate) redis: Duration,
    pub(crate) machine: Duration,
}

impl Cpu {
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            server: self.server.saturating_sub(before.server),
            client: self.client.saturating_sub(before.client),
            kafka: self.kafka.saturating_sub(before.kafka),
            redis: self.redis.saturating_sub(before.redis),
            machine: self.machine.saturating_sub(before.machine),
        }
    }

    /// All but the client.
    pub(crate) fn of_servers(&self) -> Duration {
        self.server + self.kafka + self.redis
    }

    /// The part of the machine that somebody else had.
    pub(crate) fn others_share(&self, elapsed: Duration) -> f64 {
        let ours = self.server + self.client + self.kafka + self.redis;
        let others = self.machine.saturating_sub(ours);
        others.as_secs_f64() / elapsed.as_secs_f64() / processors() as f64
    }
}

pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What a process has spent, all its threads together.
pub(crate) fn of_process(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // After the name, which may hold anything: state is field 3, utime and stime are 14 and 15.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = after_name.split_whitespace();
    TICK * fields.skip(11).take(2).map(number).sum::<u32>()
}

/// What the whole machine has spent, interrupts and stolen time too.
pub(crate) fn of_machine() -> Duration {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields: Vec<u32> =
        stat.lines().next().unwrap_or_default().split_whitespace().skip(1).map(number).collect();
    // user nice system idle iowait irq softirq steal
    let busy = [0, 1, 2, 5, 6, 7].iter().filter_map(|&at| fields.get(at)).sum::<u32>();
    TICK * busy
}

/// The process that listens on a port of this machine.
pub(crate) fn listening_on(port: u16) -> Option<u32> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| {
        let table = fs::read_to_string(table).ok()?;
        table.lines().find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (_, hex) = fields.get(1)?.rsplit_once(':')?;
            let listens = fields.get(3) == Some(&LISTEN) && hex == format!("{port:04X}");
            listens.then(|| fields.get(9).map(|inode| format!("socket:[{inode}]"))).flatten()
        })
    })?;
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| {
        let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        let mut links = files.flatten().filter_map(|file| fs::read_link(file.path()).ok());
        links.any(|link| link.to_str() == Some(&inode))
    })
}

fn number(text: &str) -> u32 {
    text.parse().unwrap_or(0)
}

/// The most memory that a process has had, in MiB.
pub(crate) fn memory_max_mib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1_024
}
