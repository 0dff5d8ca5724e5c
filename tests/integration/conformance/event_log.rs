//! The laws of the EventLog port. Each is one function; every adapter runs all of them.
//!
//! An adapter is plugged in by one line below and a function that opens an empty log of two
//! partitions.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use retell::adapters::SystemClock;
use retell::adapters::embedded::EmbeddedLog;
use retell::adapters::memory::MemoryLog;
use retell::log::{Chain, Flaw, Stamp, Term};
use retell::ports::{
    AppendError, Appender, EventLog, LogError, LogRecord, NewRecord, Report, SendNumber,
};
use retell::{Offset, Time};
use tempfile::TempDir;

use crate::support::log::{
    BYTES_MAX, P0, P1, RECORDS_MAX, append, append_one, commit, in_time, outcomes, read_records,
    read_to_end, record, settle, values,
};
use crate::support::writers::partitions;
use crate::support::{kafka as broker, log_config};

/// The tests of one adapter: `kafka::law_1_…`.
macro_rules! every_law {
    ($adapter:ident) => {
        each!($adapter:
            law_1_what_landed_is_at_its_offset_for_every_reader,
            law_1_every_append_is_reported_once,
            law_2_records_of_one_appender_land_in_the_order_they_were_appended,
            law_3_offsets_increase,
            law_4_a_reader_gets_every_record_from_its_start_exactly_once,
            law_4_the_end_is_said_once_and_then_the_reader_waits,
            law_4_giving_up_on_next_loses_no_record,
            law_4_a_chunk_keeps_to_its_limits,
            law_4_a_reader_from_outside_the_log_is_refused,
            law_5_partitions_do_not_wait_for_each_other,
            law_6_a_full_appender_refuses_and_takes_records_again_after_reports,
            law_7_what_is_appended_is_read_back_byte_for_byte,
            a_record_that_is_too_long_is_refused_and_the_next_one_taken,
            the_end_of_each_partition_is_its_own,
            an_offset_is_found_by_its_time,
        );
    };
}

/// One test for each law.
macro_rules! each {
    ($adapter:ident: $($law:ident,)+) => {
        mod $adapter {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $law() {
                    super::$law(super::open::$adapter().await).await;
                }
            )+
        }
    };
}

every_law!(memory);
every_law!(embedded);
every_law!(kafka);

/// An empty log of two partitions, and what must live as long.
struct Opened {
    log: Arc<dyn EventLog>,
    _folder: Option<TempDir>,
}

mod open {
    use super::*;

    pub(super) async fn memory() -> Opened {
        let log = MemoryLog::new(partitions(2), Arc::new(SystemClock));
        Opened { log: Arc::new(log), _folder: None }
    }

    pub(super) async fn embedded() -> Opened {
        let folder = TempDir::with_prefix("retell-log-").expect("a folder");
        let clock = Arc::new(SystemClock);
        let record_len_max = log_config(2).record_bytes_max;
        let log = EmbeddedLog::open(folder.path(), partitions(2), record_len_max, clock);
        Opened { log: Arc::new(log.expect("a log")), _folder: Some(folder) }
    }

    pub(super) async fn kafka() -> Opened {
        let log = broker::new_log(&broker::shared_brokers(), &log_config(2)).await;
        Opened { log: Arc::new(log), _folder: None }
    }
}

async fn law_1_what_landed_is_at_its_offset_for_every_reader(opened: Opened) {
    let log = &opened.log;
    let mut early = log.reader(P0, Offset(0)).await.expect("a reader");
    let mut appender = log.appender(P0).await.expect("an appender");
    let mut reports = Vec::new();
    for i in 0..500 {
        append(&mut *appender, record(&i.to_string()), &mut reports).await;
    }
    settle(&mut *appender, &mut reports, 500).await;
    drop(appender);
    let mut late = log.reader(P0, Offset(0)).await.expect("a reader");
    let late = read_to_end(&mut *late).await;
    assert_eq!(read_records(&mut *early, 500).await, late);
    for (send, offset) in outcomes(&reports) {
        let offset = offset.expect("nothing disturbs the log");
        let found = late.iter().find(|record| record.offset == offset).expect("it has landed");
        assert_eq!(found.value, send.0.to_string());
    }
}

async fn law_1_every_append_is_reported_once(opened: Opened) {
    let mut appender = opened.log.appender(P0).await.expect("an appender");
    let mut reports = Vec::new();
    for i in 0..300 {
        let send = append(&mut *appender, record("x"), &mut reports).await;
        assert_eq!(send, SendNumber(i));
        // A waiter that gives up loses no report.
        let _ = appender.settled(&mut reports).now_or_never();
    }
    settle(&mut *appender, &mut reports, 300).await;
    let mut sends: Vec<_> = outcomes(&reports).into_iter().map(|(send, _)| send.0).collect();
    sends.sort_unstable();
    assert_eq!(sends, (0..300).collect::<Vec<_>>());
    assert!(appender.settled(&mut reports).now_or_never().is_none(), "nothing is in flight");
}

async fn law_2_records_of_one_appender_land_in_the_order_they_were_appended(opened: Opened) {
    let log = &opened.log;
    let mut appenders = [
        log.appender(P0).await.expect("an appender"),
        log.appender(P0).await.expect("another appender"),
    ];
    let mut reports = [Vec::new(), Vec::new()];
    for i in 0..400 {
        for (name, appender) in appenders.iter_mut().enumerate() {
            append(&mut **appender, record(&format!("{name} {i}")), &mut reports[name]).await;
        }
    }
    for (appender, reports) in appenders.iter_mut().zip(&mut reports) {
        settle(&mut **appender, reports, 400).await;
    }
    let records = read_to_end(&mut *log.reader(P0, Offset(0)).await.expect("a reader")).await;
    for (name, reports) in reports.iter().enumerate() {
        let own = |record: &LogRecord| {
            let number =
                std::str::from_utf8(&record.value).ok()?.strip_prefix(&format!("{name} "))?;
            Some((SendNumber(number.parse().ok()?), Some(record.offset)))
        };
        let landed: Vec<_> = records.iter().filter_map(own).collect();
        assert!(landed.is_sorted() && landed.len() == 400, "{landed:?}");
        let mut reported = outcomes(reports);
        reported.sort_unstable();
        assert_eq!(reported, landed);
    }
}

async fn law_3_offsets_increase(opened: Opened) {
    let log = &opened.log;
    let mut landed = Vec::new();
    for term in 0..3 {
        let mut appender = log.appender(P0).await.expect("an appender");
        for i in 0..5 {
            landed.push(append_one(&mut *appender, record(&format!("{term} {i}"))).await);
        }
    }
    assert!(landed.is_sorted_by(|a, b| a < b), "{landed:?}");
    let end = log.end(P0).await.expect("an end");
    assert!(*landed.last().expect("some") < end);
    let records = read_to_end(&mut *log.reader(P0, Offset(0)).await.expect("a reader")).await;
    assert_eq!(records.iter().map(|record| record.offset).collect::<Vec<_>>(), landed);
    assert!(records.is_sorted_by_key(|record| record.time), "log time does not go back");
}

async fn law_4_a_reader_gets_every_record_from_its_start_exactly_once(opened: Opened) {
    let log = &opened.log;
    let mut appender = log.appender(P0).await.expect("an appender");
    let mut landed = Vec::new();
    for i in 0..50 {
        landed.push(append_one(&mut *appender, record(&i.to_string())).await);
    }
    for from in [0, 1, 17, 49] {
        let mut reader = log.reader(P0, landed[from]).await.expect("a reader");
        let records = read_to_end(&mut *reader).await;
        let offsets: Vec<_> = records.iter().map(|record| record.offset).collect();
        assert_eq!(offsets, landed[from..]);
    }
}

async fn law_4_the_end_is_said_once_and_then_the_reader_waits(opened: Opened) {
    let log = &opened.log;
    let mut appender = log.appender(P0).await.expect("an appender");
    let mut reader = log.reader(P0, Offset(0)).await.expect("a reader");
    let empty = in_time("the end", reader.next(RECORDS_MAX, BYTES_MAX)).await.expect("a chunk");
    assert!(empty.records.is_empty() && empty.at_end);
    let waits =
        tokio::time::timeout(Duration::from_millis(300), reader.next(RECORDS_MAX, BYTES_MAX));
    assert!(waits.await.is_err(), "it waits for records");
    let offset = append_one(&mut *appender, record("first")).await;
    let records = read_to_end(&mut *reader).await;
    assert_eq!(records.iter().map(|record| record.offset).collect::<Vec<_>>(), [offset]);
    let end = log.end(P0).await.expect("an end");
    let mut at_end = log.reader(P0, end).await.expect("a reader from the end on");
    assert_eq!(read_to_end(&mut *at_end).await, []);
}

async fn law_4_giving_up_on_next_loses_no_record(opened: Opened) {
    let log = &opened.log;
    let mut appender = log.appender(P0).await.expect("an appender");
    let mut reader = log.reader(P0, Offset(0)).await.expect("a reader");
    let mut reports = Vec::new();
    let mut records = Vec::new();
    for i in 0..500 {
        append(&mut *appender, record(&i.to_string()), &mut reports).await;
        if let Some(chunk) = reader.next(3, BYTES_MAX).now_or_never() {
            records.extend(chunk.expect("a chunk").records);
        }
        appender.flush();
    }
    settle(&mut *appender, &mut reports, 500).await;
    records.extend(read_records(&mut *reader, 500 - records.len()).await);
    let expected: Vec<String> = (0..500).map(|i| i.to_string()).collect();
    assert_eq!(values(&records), expected);
}

async fn law_4_a_chunk_keeps_to_its_limits(opened: Opened) {
    let log = &opened.log;
    let mut appender = log.appender(P0).await.expect("an appender");
    let mut reports = Vec::new();
    let long = "x".repeat(1_000);
    for _ in 0..100 {
        append(&mut *appender, record(&long), &mut reports).await;
    }
    settle(&mut *appender, &mut reports, 100).await;
    for (records_max, bytes_max, most) in [(7, BYTES_MAX, 7), (100, 2_500, 3), (100, 1, 1)] {
        let mut reader = log.reader(P0, Offset(0)).await.expect("a reader");
        let mut read = 0;
        while read < 100 {
            let chunk = in_time("a chunk", reader.next(records_max, bytes_max)).await;
            let got = chunk.expect("a chunk").records.len();
            assert!(got <= most, "{got} records with {records_max} and {bytes_max}");
            read += got;
        }
        assert_eq!(read, 100);
    }
}

async fn law_4_a_reader_from_outside_the_log_is_refused(opened: Opened) {
    let log = &opened.log;
    append_one(&mut *log.appender(P0).await.expect("an appender"), record("x")).await;
    let end = log.end(P0).await.expect("an end");
    let beyond = end.plus(5);
    // Some adapters find out with the first record.
    let error = match log.reader(P0, beyond).await {
        Err(error) => error,
        Ok(mut reader) => {
            let next = in_time("an error", reader.next(RECORDS_MAX, BYTES_MAX)).await;
            next.expect_err("there is no such offset")
        }
    };
    assert!(
        matches!(error, LogError::OutOfRange { partition: P0, offset } if offset == beyond),
        "{error:?}"
    );
    assert!(!error.is_retryable());
}

async fn law_5_partitions_do_not_wait_for_each_other(opened: Opened) {
    let log = &opened.log;
    let mut full = log.appender(P0).await.expect("an appender");
    let mut free = log.appender(P1).await.expect("an appender");
    let mut lazy = log.reader(P0, Offset(0)).await.expect("a reader");
    let mut eager = log.reader(P1, Offset(0)).await.expect("a reader");
    fill(&mut *full);
    full.flush();
    // Nobody reads partition 0 and nobody takes its reports.
    for i in 0..100 {
        append_one(&mut *free, record(&i.to_string())).await;
        assert_eq!(values(&read_records(&mut *eager, 1).await), [i.to_string()]);
    }
    assert!(!read_records(&mut *lazy, 1).await.is_empty());
}

async fn law_6_a_full_appender_refuses_and_takes_records_again_after_reports(opened: Opened) {
    let mut appender = opened.log.appender(P0).await.expect("an appender");
    let taken = fill(&mut *appender);
    assert_eq!(appender.append(record("one more")), Err(AppendError::Full));
    let mut reports = Vec::new();
    in_time("reports", appender.settled(&mut reports)).await;
    assert_eq!(appender.append(record("again")), Ok(SendNumber(taken)));
    settle(&mut *appender, &mut reports, usize::try_from(taken).expect("few") + 1).await;
    assert!(reports.iter().all(|report| matches!(report, Report::Landed { .. })), "{reports:?}");
}

async fn law_7_what_is_appended_is_read_back_byte_for_byte(opened: Opened) {
    let log = &opened.log;
    let mut appender = log.appender(P0).await.expect("an appender");
    let longest = vec![0xa5; log.record_len_max() - 3];
    let all_bytes: Vec<u8> = (0..=255).collect();
    let number = u64::MAX;
    let commit_max = Stamp::Commit { term: Term(number), chain: Chain(number) };
    let foreign = Stamp::Foreign(Flaw::Missing("kind"));
    let records = [
        NewRecord { key: Some(b"account/ann"), stamp: commit(7), value: b"{}" },
        NewRecord { key: None, stamp: Stamp::Claim { term: Term(3) }, value: b"{\"v\":1}" },
        NewRecord { key: Some(b""), stamp: commit_max, value: b"" },
        NewRecord { key: Some(&all_bytes), stamp: foreign, value: &all_bytes },
        NewRecord { key: Some(b"key"), stamp: commit(8), value: &longest },
    ];
    for record in records {
        append_one(&mut *appender, record).await;
    }
    let read = read_to_end(&mut *log.reader(P0, Offset(0)).await.expect("a reader")).await;
    assert_eq!(read.len(), records.len());
    for (read, new) in read.iter().zip(records) {
        assert_eq!(read.key.as_deref(), new.key);
        assert_eq!(read.stamp, new.stamp);
        assert_eq!(read.value, new.value);
    }
}

async fn a_record_that_is_too_long_is_refused_and_the_next_one_taken(opened: Opened) {
    let mut appender = opened.log.appender(P0).await.expect("an appender");
    let max = opened.log.record_len_max();
    let value = vec![b'x'; max];
    let long = NewRecord { key: Some(b"k"), stamp: commit(0), value: &value };
    assert_eq!(appender.append(long), Err(AppendError::TooLarge { len: max + 1, max }));
    assert_eq!(appender.append(record("short")), Ok(SendNumber(0)));
}

async fn the_end_of_each_partition_is_its_own(opened: Opened) {
    let log = &opened.log;
    assert_eq!(log.partitions().count(), 2);
    assert_eq!(log.end(P0).await.expect("an end"), Offset(0));
    let landed = append_one(&mut *log.appender(P1).await.expect("an appender"), record("x")).await;
    assert_eq!(log.end(P1).await.expect("an end"), landed.next());
    assert_eq!(log.end(P0).await.expect("an end"), Offset(0));
    log.check().await.expect("a log that is there is checked");
}

async fn an_offset_is_found_by_its_time(opened: Opened) {
    let log = &opened.log;
    let mut appender = log.appender(P0).await.expect("an appender");
    for i in 0..3 {
        append_one(&mut *appender, record(&i.to_string())).await;
    }
    let records = read_to_end(&mut *log.reader(P0, Offset(0)).await.expect("a reader")).await;
    for record in &records {
        let first = records.iter().find(|other| other.time >= record.time).expect("itself");
        assert_eq!(log.offset_at(P0, record.time).await.expect("an offset"), first.offset);
    }
    let at = |millis| log.offset_at(P0, Time::from_millis(millis));
    assert_eq!(at(0).await.expect("an offset"), records[0].offset);
    assert_eq!(at(-1).await.expect("an offset"), records[0].offset);
    assert_eq!(at(i64::MAX / 4).await.expect("the end"), log.end(P0).await.expect("an end"));
    assert_eq!(log.offset_at(P1, Time::from_millis(0)).await.expect("the end"), Offset(0));
}

/// Appends until there is no room, without taking reports.
fn fill(appender: &mut dyn Appender) -> u64 {
    for taken in 0..10_000_000 {
        match appender.append(record("x")) {
            Ok(send) => assert_eq!(send, SendNumber(taken)),
            Err(AppendError::Full) => return taken,
            Err(error) => panic!("the record was not taken: {error}"),
        }
    }
    panic!("the appender has no bound");
}
