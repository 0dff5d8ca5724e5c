//! What a writer or a reader of a log does, as verbs.

use std::time::Duration;

use retell::log::{Chain, Checkpoint, LogId, Stamp, Term};
use retell::ports::{
    AppendError, Appender, EventLog, LogReader, LogRecord, NewRecord, Report, SendNumber,
};
use retell::{Offset, Partition, Time};

/// Far longer than anything takes; whoever waits so long waits in vain.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The partition that a test uses when it needs only one.
pub(crate) const P0: Partition = Partition(0);
/// Another one.
pub(crate) const P1: Partition = Partition(1);

/// The stamp of a commit.
pub(crate) const fn commit(chain: u64) -> Stamp {
    Stamp::Commit { term: Term(1), chain: Chain(chain) }
}

/// A checkpoint of some log before this offset.
pub(crate) fn checkpoint(next: u64) -> Checkpoint {
    Checkpoint {
        log: LogId::of_first_claim(b"a claim"),
        next: Offset(next),
        term: Term(3),
        chain: Chain(17),
        time: Time::from_millis(1_767_225_600_000),
        commit: None,
    }
}

/// A commit of an aggregate with this value.
pub(crate) fn record(value: &str) -> NewRecord<'_> {
    NewRecord { key: Some(b"account/ann"), stamp: commit(0), value: value.as_bytes() }
}

/// A chunk is as large as a projector's.
pub(crate) const RECORDS_MAX: usize = 2_000;
/// In bytes.
pub(crate) const BYTES_MAX: usize = 4_000_000;

/// Gives up when a test would hang.
pub(crate) async fn in_time<T>(what: &str, wait: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, wait).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// Appends; when the appender is full, it waits for reports.
pub(crate) async fn append(
    appender: &mut dyn Appender,
    record: NewRecord<'_>,
    reports: &mut Vec<Report>,
) -> SendNumber {
    loop {
        match appender.append(record) {
            Ok(send) => return send,
            Err(AppendError::Full) => in_time("room", appender.settled(reports)).await,
            Err(error) => panic!("the record was not taken: {error}"),
        }
    }
}

/// An appender. Brokers that are just coming back may not know the partition yet: as a writer does,
/// this tries again.
pub(crate) async fn an_appender(log: &dyn EventLog, partition: Partition) -> Box<dyn Appender> {
    let opening = async {
        loop {
            match log.appender(partition).await {
                Ok(appender) => return appender,
                Err(error) => assert!(error.is_retryable(), "{error}"),
            }
        }
    };
    in_time("an appender", opening).await
}

/// Appends one number after the other until one lands, with another appender when this one has
/// failed for good; that number and its offset.
pub(crate) async fn append_at_last(
    log: &dyn EventLog,
    partition: Partition,
    appender: &mut Box<dyn Appender>,
    from: u64,
) -> (String, Offset) {
    let mut numbers = (from..).map(|number| number.to_string());
    let landing = async {
        loop {
            let number = numbers.next().expect("enough");
            if let Err(error) = appender.append(record(&number)) {
                assert!(matches!(error, AppendError::Dead), "{error}");
                *appender = an_appender(log, partition).await;
                continue;
            }
            let mut reports = Vec::new();
            appender.settled(&mut reports).await;
            if let [Report::Landed { offset, .. }] = reports[..] {
                return (number, offset);
            }
        }
    };
    in_time("a record to land", landing).await
}

/// Waits until so many sends are reported.
pub(crate) async fn settle(appender: &mut dyn Appender, reports: &mut Vec<Report>, sends: usize) {
    while outcomes(reports).len() < sends {
        in_time("reports", appender.settled(reports)).await;
    }
}

/// Appends one record and waits until it has landed.
pub(crate) async fn append_one(appender: &mut dyn Appender, record: NewRecord<'_>) -> Offset {
    let mut reports = Vec::new();
    let send = append(appender, record, &mut reports).await;
    while reports.is_empty() {
        in_time("a report", appender.settled(&mut reports)).await;
    }
    match reports[..] {
        [Report::Landed { first, count: 1, offset, .. }] if first == send => offset,
        _ => panic!("{send:?} has not landed: {reports:?}"),
    }
}

/// Every send with its offset, if it has landed at a known one.
pub(crate) fn outcomes(reports: &[Report]) -> Vec<(SendNumber, Option<Offset>)> {
    let mut outcomes = Vec::new();
    for report in reports {
        match *report {
            Report::Landed { first, count, offset, .. } => {
                let each = |at| (SendNumber(first.0 + at), Some(offset.plus(at)));
                outcomes.extend((0..count).map(each));
            }
            Report::Odd { send } | Report::Failed { send } => outcomes.push((send, None)),
        }
    }
    outcomes
}

/// Reads until the end is reached.
pub(crate) async fn read_to_end(reader: &mut dyn LogReader) -> Vec<LogRecord> {
    let mut records = Vec::new();
    loop {
        let chunk = in_time("a chunk", reader.next(RECORDS_MAX, BYTES_MAX)).await;
        let chunk = chunk.expect("the log can be read");
        records.extend(chunk.records);
        if chunk.at_end {
            return records;
        }
    }
}

/// Reads until there are at least so many.
pub(crate) async fn read_records(reader: &mut dyn LogReader, count: usize) -> Vec<LogRecord> {
    let mut records = Vec::new();
    while records.len() < count {
        let chunk = in_time("records", reader.next(RECORDS_MAX, BYTES_MAX)).await;
        records.extend(chunk.expect("the log can be read").records);
    }
    records
}

/// The values, as text.
pub(crate) fn values(records: &[LogRecord]) -> Vec<&str> {
    records.iter().map(|record| std::str::from_utf8(&record.value).expect("text")).collect()
}
