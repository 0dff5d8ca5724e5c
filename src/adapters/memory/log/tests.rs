//! The laws of the log, on the log in memory, and what only it promises.

use std::time::Duration;

use futures_util::FutureExt;

use super::*;
use crate::adapters::memory::ManualClock;
use crate::log::{Chain, Term};

const P0: Partition = Partition(0);
const CLAIM: Stamp = Stamp::Claim { term: Term(1) };

fn log() -> (MemoryLog, ManualClock) {
    let clock = ManualClock::new(Time::from_millis(1_000));
    let partitions = Partitions::new(2).expect("2");
    (MemoryLog::new(partitions, Arc::new(clock.clone())), clock)
}

fn record(value: &[u8]) -> NewRecord<'_> {
    let stamp = Stamp::Commit { term: Term(1), chain: Chain(0) };
    NewRecord { key: Some(b"account/ann"), stamp, value }
}

async fn appender(log: &MemoryLog) -> Box<dyn Appender> {
    log.appender(P0).await.expect("an appender")
}

async fn reports(appender: &mut Box<dyn Appender>) -> Vec<Report> {
    let mut reports = Vec::new();
    appender.settled(&mut reports).await;
    reports
}

fn offsets(chunk: &Chunk) -> Vec<u64> {
    chunk.records.iter().map(|record| record.offset.0).collect()
}

#[tokio::test]
async fn what_is_appended_is_read_back_with_its_time() {
    let (log, clock) = log();
    let mut appender = appender(&log).await;
    appender.append(NewRecord { key: None, stamp: CLAIM, value: b"claim" }).expect("taken");
    clock.advance(Duration::from_millis(7));
    appender.append(record(b"{}")).expect("taken");
    let chunk = log.reader(P0, Offset(0)).await.expect("a reader").next(9, 999).await;
    let chunk = chunk.expect("a chunk");
    assert!(chunk.at_end);
    let (claim, commit) = (&chunk.records[0], &chunk.records[1]);
    assert_eq!((claim.key.clone(), claim.stamp, &claim.value[..]), (None, CLAIM, &b"claim"[..]));
    assert_eq!(commit.key.as_deref(), Some(&b"account/ann"[..]));
    assert_eq!((claim.time.millis(), commit.time.millis()), (1_000, 1_007));
}

#[tokio::test]
async fn two_appenders_get_reports_of_their_own_offsets() {
    let (log, clock) = log();
    let (mut one, mut two) = (appender(&log).await, appender(&log).await);
    for by_one in [true, false, true, true] {
        let appender = if by_one { &mut one } else { &mut two };
        appender.append(record(b"{}")).expect("taken");
    }
    let landed = |first, count, offset| Report::Landed {
        first: SendNumber(first),
        count,
        offset: Offset(offset),
        time: clock.now(),
    };
    assert_eq!(reports(&mut one).await, [landed(0, 1, 0), landed(1, 2, 2)]);
    assert_eq!(reports(&mut two).await, [landed(0, 1, 1)]);
}

#[tokio::test]
async fn a_full_appender_takes_records_again_when_reports_were_taken() {
    let log = log().0.with_in_flight_len_max(2).with_record_len_max(20);
    let mut appender = appender(&log).await;
    let long = appender.append(record(&[b'x'; 10]));
    assert_eq!(long, Err(AppendError::TooLarge { len: 21, max: 20 }));
    assert_eq!(appender.append(record(b"0")), Ok(SendNumber(0)));
    assert_eq!(appender.append(record(b"1")), Ok(SendNumber(1)));
    assert_eq!(appender.append(record(b"2")), Err(AppendError::Full));
    assert_eq!(reports(&mut appender).await.len(), 1);
    assert_eq!(appender.append(record(b"2")), Ok(SendNumber(2)));
}

#[tokio::test]
async fn a_reader_passes_holes_and_says_the_end_once() {
    let (log, _) = log();
    let mut appender = appender(&log).await;
    log.leave_hole(P0);
    appender.append(record(b"1")).expect("taken");
    log.leave_hole(P0);
    appender.append(record(b"3")).expect("taken");
    log.leave_hole(P0);
    assert_eq!(log.end(P0).await.expect("an end"), Offset(5));

    let mut reader = log.reader(P0, Offset(0)).await.expect("a reader");
    let first = reader.next(1, 999).await.expect("a chunk");
    assert_eq!((offsets(&first), first.at_end), (vec![1], false));
    let second = reader.next(1, 999).await.expect("a chunk");
    assert_eq!((offsets(&second), second.at_end), (vec![3], true));
    assert!(reader.next(1, 999).now_or_never().is_none(), "it waits at the end");
    let mut at_hole = log.reader(P0, Offset(4)).await.expect("a reader");
    let end = at_hole.next(1, 999).await.expect("a chunk");
    assert_eq!((offsets(&end), end.at_end), (vec![], true));
}

#[tokio::test]
async fn a_waiting_reader_is_woken_by_an_append_and_by_a_hole() {
    let (log, _) = log();
    let mut appender = appender(&log).await;
    let mut reader = log.reader(P0, Offset(0)).await.expect("a reader");
    assert!(reader.next(9, 999).await.expect("a chunk").at_end);
    let (chunk, ()) = tokio::join!(reader.next(9, 999), async { log.leave_hole(P0) });
    assert_eq!(offsets(&chunk.expect("a chunk")), [0_u64; 0]);
    let (chunk, sent) = tokio::join!(reader.next(9, 999), async { appender.append(record(b"1")) });
    sent.expect("taken");
    assert_eq!(offsets(&chunk.expect("a chunk")), [1]);
}

#[tokio::test]
async fn a_chunk_keeps_its_limits_but_holds_a_record() {
    let (log, _) = log();
    let mut appender = appender(&log).await;
    for _ in 0..4 {
        appender.append(record(&[b'x'; 100])).expect("taken");
    }
    let mut reader = log.reader(P0, Offset(0)).await.expect("a reader");
    assert_eq!(offsets(&reader.next(9, 250).await.expect("a chunk")), [0, 1]);
    assert_eq!(offsets(&reader.next(9, 1).await.expect("a chunk")), [2]);
    assert_eq!(offsets(&reader.next(0, 999).await.expect("a chunk")), [3]);
}

#[tokio::test]
async fn times_never_go_back_so_that_an_offset_is_found_by_time() {
    let (log, clock) = log();
    let mut appender = appender(&log).await;
    for millis in [10, 5, 20] {
        clock.set(Time::from_millis(millis));
        appender.append(record(b"{}")).expect("taken");
    }
    let at = async |millis| log.offset_at(P0, Time::from_millis(millis)).await.expect("an offset");
    assert_eq!((at(1).await, at(10).await), (Offset(0), Offset(0)));
    assert_eq!((at(11).await, at(21).await), (Offset(2), Offset(3)));
}

#[tokio::test]
async fn a_foreign_record_has_no_headers_for_its_reader() {
    let (log, _) = log();
    let stamp = Stamp::Foreign(crate::log::Flaw::Doubled("term"));
    let garbage = NewRecord { key: None, stamp, value: b"garbage" };
    appender(&log).await.append(garbage).expect("taken");
    let mut reader = log.reader(P0, Offset(0)).await.expect("a reader");
    let chunk = reader.next(9, 999).await.expect("a chunk");
    let missing = Stamp::Foreign(crate::log::Flaw::Missing("kind"));
    assert_eq!(chunk.records[0].stamp, missing);
}

#[tokio::test]
async fn what_is_not_in_the_log_is_out_of_range() {
    let (log, _) = log();
    assert!(matches!(log.reader(P0, Offset(1)).await, Err(LogError::OutOfRange { .. })));
    assert!(matches!(log.appender(Partition(2)).await, Err(LogError::OutOfRange { .. })));
    assert!(matches!(log.end(Partition(2)).await, Err(LogError::OutOfRange { .. })));
}
