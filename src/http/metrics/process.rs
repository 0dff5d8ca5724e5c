//! The numbers of the process, as Linux has them; elsewhere only when it began.

use std::fs;

use super::super::Door;
use super::exposition::Exposition;
use super::families::{Family, counter, gauge};

pub(super) const FAMILIES: &[Family] = &[
    gauge("process_start_time_seconds", &[], "When the process began to serve, since 1970."),
    counter("process_cpu_seconds_total", &[], "Processor time that the process has used."),
    gauge("process_resident_memory_bytes", &[], "Memory that the process occupies."),
    gauge("process_threads", &[], "Threads of the process."),
    gauge("process_open_fds", &[], "Files and sockets that the process has open."),
    gauge("process_max_fds", &[], "The most that it may have open."),
];

/// Ticks of the clock in a second, of which Linux tells processor time: the same on every machine
/// that there is.
const TICKS: f64 = 100.0;

pub(super) fn put(door: &Door, all: &mut Exposition) {
    let started = door.node.started_at.millis() as f64 / 1e3;
    all.put("process_start_time_seconds", &[], started);
    // These files are memory of the kernel: reading them waits for nothing.
    if let Ok(stat) = fs::read_to_string("/proc/self/stat")
        && let Some(ticks) = processor_ticks(&stat)
    {
        all.put("process_cpu_seconds_total", &[], ticks as f64 / TICKS);
    }
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        if let Some(kib) = number_of(&status, "VmRSS:") {
            all.put("process_resident_memory_bytes", &[], kib * 1_024);
        }
        if let Some(threads) = number_of(&status, "Threads:") {
            all.put("process_threads", &[], threads);
        }
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        all.put("process_open_fds", &[], open.count());
    }
    if let Ok(limits) = fs::read_to_string("/proc/self/limits")
        && let Some(max) = number_of(&limits, "Max open files")
    {
        all.put("process_max_fds", &[], max);
    }
}

/// User and system time. The name before them may hold anything, and ends with a parenthesis.
fn processor_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

/// The first number in the line that begins so.
fn number_of(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().find_map(|word| word.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_says_is_read() {
        let stat = "7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20";
        assert_eq!(processor_ticks(stat), Some(300));
        assert_eq!(number_of("Name:\tx\nVmRSS:\t  1234 kB\n", "VmRSS:"), Some(1_234));
        let limits = "Max open files            1024                 4096                 files\n";
        assert_eq!(number_of(limits, "Max open files"), Some(1_024));
        assert_eq!(number_of("", "VmRSS:"), None);
    }
}
