//! The laws of the log, on the log on disk, through reopening and kill -9.

use std::io::{BufRead, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use futures_util::FutureExt;

use super::tail::Limit;
use super::*;
use crate::adapters::memory::ManualClock;
use crate::log::{Chain, Stamp, Term};
use crate::ports::{AppendError, Chunk, LogRecord, NewRecord, Report, SendNumber};

const P0: Partition = Partition(0);
const P1: Partition = Partition(1);

struct Rig {
    dir: tempfile::TempDir,
    clock: ManualClock,
    limits: Limits,
}

impl Rig {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let clock = ManualClock::new(Time::from_millis(1_000));
        Self { dir, clock, limits: Limits::new(1_000_000) }
    }

    fn open(&self) -> EmbeddedLog {
        self.try_open(2).expect("an open log")
    }

    fn try_open(&self, partitions: u32) -> Result<EmbeddedLog, LogError> {
        let partitions = Partitions::new(partitions).expect("at least 1");
        let clock = Arc::new(self.clock.clone());
        EmbeddedLog::open_within(self.dir.path(), partitions, self.limits, clock)
    }
}

/// The record number `n` of a partition; two are never equal.
fn record(n: u64) -> (String, Stamp, String) {
    let stamp = match n % 3 {
        0 => Stamp::Claim { term: Term(n) },
        _ => Stamp::Commit { term: Term(1), chain: Chain(n) },
    };
    let padding = "x".repeat(usize::try_from(n % 7).expect("small") * 100);
    (format!("account/a{n}"), stamp, format!("value {n} {padding}"))
}

fn append(appender: &mut dyn Appender, n: u64) -> Result<SendNumber, AppendError> {
    let (key, stamp, value) = record(n);
    let key = (!n.is_multiple_of(3)).then_some(key.as_bytes());
    appender.append(NewRecord { key, stamp, value: value.as_bytes() })
}

fn assert_is(read: &LogRecord, n: u64) {
    let (key, stamp, value) = record(n);
    let key = (!n.is_multiple_of(3)).then_some(key.as_bytes());
    assert_eq!((read.key.as_deref(), read.stamp), (key, stamp), "record {n}");
    assert_eq!(read.value, value.as_bytes(), "record {n}");
}

/// Appends these records and waits until all have landed.
async fn land(log: &EmbeddedLog, partition: Partition, numbers: std::ops::Range<u64>) {
    let mut appender = log.appender(partition).await.expect("an appender");
    let count = numbers.end - numbers.start;
    for n in numbers {
        append(&mut *appender, n).expect("taken");
    }
    let mut landed = 0;
    while landed < count {
        let mut reports = Vec::new();
        appender.settled(&mut reports).await;
        for report in reports {
            assert_eq!(report.first().0, landed, "in order");
            landed += landed_len(&report);
        }
    }
}

fn landed_len(report: &Report) -> u64 {
    let Report::Landed { count, .. } = report else { unreachable!("{report:?}") };
    *count
}

async fn read_all(log: &EmbeddedLog, partition: Partition, records_max: usize) -> Vec<LogRecord> {
    let mut reader = log.reader(partition, Offset(0)).await.expect("a reader");
    let mut records = Vec::new();
    loop {
        let Chunk { records: more, at_end } =
            reader.next(records_max, 1_000_000).await.expect("a chunk");
        records.extend(more);
        if at_end {
            assert!(reader.next(1, 1).now_or_never().is_none(), "it says the end once");
            return records;
        }
    }
}

#[tokio::test]
async fn what_has_landed_is_there_when_the_log_is_opened_again() {
    let rig = Rig::new();
    let log = rig.open();
    land(&log, P0, 0..10).await;
    land(&log, P1, 0..3).await;
    drop(log);
    rig.clock.set(Time::from_millis(5)); // the machine's clock was set back
    let log = rig.open();
    assert_eq!(log.end(P0).await.expect("an end"), Offset(10));
    land(&log, P0, 10..12).await;
    for (partition, count) in [(P0, 12), (P1, 3)] {
        let records = read_all(&log, partition, 5).await;
        assert_eq!(records.len(), count);
        for (n, record) in (0..).zip(&records) {
            assert_is(record, n);
            assert_eq!((record.offset, record.time.millis()), (Offset(n), 1_000));
        }
    }
}

#[tokio::test]
async fn memory_and_disk_give_a_reader_the_same() {
    let mut rig = Rig::new();
    rig.limits.tail_bytes_max = 2_000;
    let log = rig.open();
    land(&log, P0, 0..50).await;
    let first_in_memory = match log.0.tails[0].look(Offset(0), Limit::new(1, 1)) {
        tail::Look::Stored { end } => end,
        tail::Look::Recent(_) => Offset(0),
    };
    assert_eq!(first_in_memory, Offset(50), "the first record is on disk only");
    for records_max in [1, 7, 50] {
        let records = read_all(&log, P0, records_max).await;
        assert_eq!(records.len(), 50);
        (0..).zip(&records).for_each(|(n, record)| assert_is(record, n));
    }
}

#[tokio::test]
async fn a_chunk_from_disk_keeps_its_limits_but_holds_a_record() {
    let mut rig = Rig::new();
    rig.limits.tail_bytes_max = 0;
    let log = rig.open();
    land(&log, P0, 0..20).await;
    let mut reader = log.reader(P0, Offset(13)).await.expect("a reader");
    let chunk = reader.next(9, 1).await.expect("a chunk");
    assert_eq!((chunk.records.len(), chunk.at_end), (1, false));
    let chunk = reader.next(2, 1_000_000).await.expect("a chunk");
    assert_eq!((chunk.records.len(), chunk.at_end), (2, false));
    let chunk = reader.next(9, 1_000_000).await.expect("a chunk");
    assert_eq!((chunk.records[0].offset, chunk.at_end), (Offset(16), true));
}

#[tokio::test]
async fn a_waiting_reader_is_woken_when_a_record_has_landed() {
    let rig = Rig::new();
    let log = rig.open();
    let mut reader = log.reader(P0, Offset(0)).await.expect("a reader");
    assert!(reader.next(9, 999).await.expect("a chunk").at_end);
    let (chunk, ()) = tokio::join!(reader.next(9, 999), land(&log, P0, 0..1));
    assert_is(&chunk.expect("a chunk").records[0], 0);
}

#[tokio::test]
async fn two_appenders_of_one_partition_are_told_their_own_offsets() {
    let rig = Rig::new();
    let log = rig.open();
    let open = async || log.appender(P0).await.expect("an appender");
    let mut appenders = [open().await, open().await];
    for n in 0..20 {
        let appender = &mut appenders[usize::from(n % 2 == 1)];
        append(&mut **appender, n).expect("taken");
    }
    for (first, appender) in (0..).zip(&mut appenders) {
        let mut reports = Vec::new();
        while reports.iter().map(landed_len).sum::<u64>() < 10 {
            appender.settled(&mut reports).await;
        }
        let place = |report: &Report| match *report {
            Report::Landed { first, count, offset, .. } => (first, count, offset),
            ref other => panic!("{other:?}"),
        };
        let landed = |n| (SendNumber(n), 1, Offset(2 * n + first));
        assert_eq!(
            reports.iter().map(place).collect::<Vec<_>>(),
            (0..10).map(landed).collect::<Vec<_>>()
        );
    }
    (0..).zip(&read_all(&log, P0, 9).await).for_each(|(n, record)| assert_is(record, n));
}

#[tokio::test]
async fn an_offset_is_found_by_time() {
    let rig = Rig::new();
    let log = rig.open();
    for n in 0..20 {
        land(&log, P0, n..n + 1).await;
        rig.clock.advance(Duration::from_millis(10));
    }
    let at = async |millis| log.offset_at(P0, Time::from_millis(millis)).await.expect("an offset");
    assert_eq!((at(0).await, at(1_000).await), (Offset(0), Offset(0)));
    assert_eq!((at(1_001).await, at(1_010).await), (Offset(1), Offset(1)));
    assert_eq!((at(1_190).await, at(1_191).await), (Offset(19), Offset(20)));
    assert_eq!(log.offset_at(P1, Time::default()).await.expect("an offset"), Offset(0));
}

#[tokio::test]
async fn records_too_large_or_too_many_bytes_are_refused() {
    let mut rig = Rig::new();
    rig.limits = Limits { record_len_max: 100, in_flight_bytes_max: 150, ..rig.limits };
    let log = rig.open();
    let mut appender = log.appender(P0).await.expect("an appender");
    let stamp = Stamp::Claim { term: Term(1) };
    let too_long = appender.append(NewRecord { key: Some(b"k"), stamp, value: &[b'x'; 100] });
    assert_eq!(too_long, Err(AppendError::TooLarge { len: 101, max: 100 }));
    let long = NewRecord { key: None, stamp, value: &[b'x'; 100] };
    let mut refused = 0;
    let mut taken = 0;
    while taken < 5 {
        match appender.append(long) {
            Ok(_) => taken += 1,
            Err(error) => {
                assert_eq!(error, AppendError::Full);
                refused += 1;
                appender.settled(&mut Vec::new()).await;
            }
        }
    }
    assert!(refused >= 1, "two of them do not fit");
}

#[tokio::test]
async fn another_number_of_partitions_is_refused_with_both_numbers() {
    let rig = Rig::new();
    drop(rig.open());
    let error = rig.try_open(3).err().expect("refused");
    assert!(matches!(&error, LogError::Settings(_)) && !error.is_retryable());
    let text = error.to_string();
    assert!(text.contains("has 2 partitions") && text.contains("is 3"), "{text}");
}

#[tokio::test]
async fn a_folder_that_is_open_elsewhere_is_refused_until_it_is_closed() {
    let rig = Rig::new();
    let log = rig.open();
    let error = rig.try_open(2).err().expect("refused");
    assert!(error.is_retryable() && error.to_string().contains("locked by another process"));
    drop(log);
    rig.open();
}

#[tokio::test]
async fn what_is_not_in_the_log_is_out_of_range() {
    let rig = Rig::new();
    let log = rig.open();
    let out = |error| matches!(error, Some(LogError::OutOfRange { .. }));
    assert!(out(log.reader(P0, Offset(1)).await.err()));
    assert!(out(log.appender(Partition(2)).await.err()));
    assert!(out(log.end(Partition(2)).await.err()));
}

#[tokio::test]
async fn a_record_that_is_missing_on_disk_is_damage_and_no_hole() {
    let mut rig = Rig::new();
    rig.limits.tail_bytes_max = 0;
    let log = rig.open();
    land(&log, P0, 0..3).await;
    log.0.store.remove(P0, Offset(1));
    let mut reader = log.reader(P0, Offset(0)).await.expect("a reader");
    let error = reader.next(9, 999_999).await.expect_err("damaged");
    assert!(error.to_string().contains("record 0@1 is missing"), "{error}");
}

/// Names the folder of a child that is to be killed.
const CHILD_DIR: &str = "RETELL_TEST_EMBEDDED_LOG_DIR";
const CHILD: &str = "adapters::embedded::log::tests::child_that_appends_until_it_is_killed";

/// Law 1 through kill -9, five times on one folder: what was reported landed is there, at its
/// offset, and no offset is given twice.
#[test]
fn what_has_landed_is_there_after_kill_9() {
    let rig = Rig::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut landed = [0_u64; 2];
    for round in 1..=5 {
        let mut child = Command::new(std::env::current_exe().expect("this test binary"))
            .args([CHILD, "--exact", "--ignored", "--nocapture"])
            .env(CHILD_DIR, rig.dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let reports = output.lines().map_while(Result::ok).filter_map(|line| {
            let (partition, end) = line.strip_prefix("landed ")?.split_once(' ')?;
            Some((partition.parse::<usize>().ok()?, end.parse::<u64>().ok()?))
        });
        // Every round ends at another moment of a batch.
        for (partition, end) in reports.take(40 * round) {
            assert!(end > landed[partition], "offsets go on after those before the kill");
            landed[partition] = end;
        }
        child.kill().expect("killed");
        child.wait().expect("ended");

        let log = rig.open();
        for (partition, &landed) in [P0, P1].into_iter().zip(&landed) {
            let records = runtime.block_on(read_all(&log, partition, 1_000));
            assert!(records.len() as u64 >= landed, "{} of {landed}", records.len());
            (0..).zip(&records).for_each(|(n, record)| assert_is(record, n));
        }
    }
}

#[test]
#[ignore = "the child of what_has_landed_is_there_after_kill_9"]
fn child_that_appends_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let partitions = Partitions::new(2).expect("2");
    let clock = Arc::new(crate::adapters::SystemClock);
    let log = EmbeddedLog::open(Path::new(&dir), partitions, 1_000_000, clock).expect("a log");
    let run = async |partition| {
        let mut appender = log.appender(partition).await.expect("an appender");
        let mut next = log.end(partition).await.expect("an end").0;
        loop {
            for _ in 0..100 {
                if append(&mut *appender, next).is_ok() {
                    next += 1;
                }
            }
            let mut reports = Vec::new();
            appender.settled(&mut reports).await;
            for report in reports {
                let Report::Landed { count, offset, .. } = report else { return };
                let mut output = std::io::stdout().lock();
                writeln!(output, "landed {partition} {}", offset.plus(count).0).expect("a pipe");
            }
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async { tokio::join!(run(P0), run(P1)) });
}
