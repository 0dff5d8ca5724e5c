//! Others who write to the topic: nothing that they write stops a reader.

use retell::Offset;
use retell::log::{Chain, Flaw, Stamp, Term};
use retell::ports::{EventLog, LogRecord};

use crate::support::forge::{Forged, Header, forge};
use crate::support::log::{
    BYTES_MAX, P0, RECORDS_MAX, append_one, in_time, read_records, read_to_end, record, values,
};
use crate::support::stranger::{drop_apart, end_transaction, transaction};
use crate::support::{kafka, log_config};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_hangs_holds_no_reader_back() {
    let brokers = kafka::shared_brokers();
    let log = kafka::new_log(&brokers, &log_config(1)).await;
    let mut appender = log.appender(P0).await.expect("an appender");
    let mut reader = log.reader(P0, Offset(0)).await.expect("a reader");
    append_one(&mut *appender, record("before")).await;
    let hanging = transaction(&brokers, log.name(), "hanging").await;
    let after = append_one(&mut *appender, record("after")).await;
    assert_eq!(log.end(P0).await.expect("an end"), after.next());
    let read = read_records(&mut *reader, 3).await;
    assert_eq!(values(&read), ["before", "hanging", "after"]);
    assert_eq!(read[1].stamp, Stamp::Foreign(Flaw::Missing("kind")));
    let mut late = log.reader(P0, Offset(0)).await.expect("a reader");
    assert_eq!(read_to_end(&mut *late).await, read);
    drop_apart(hanging).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_is_reached_behind_records_that_no_reader_gets() {
    for commit in [true, false] {
        let brokers = kafka::shared_brokers();
        let log = kafka::new_log(&brokers, &log_config(1)).await;
        let mut early = log.reader(P0, Offset(0)).await.expect("a reader");
        assert_eq!(read_to_end(&mut *early).await, []);
        let producer = transaction(&brokers, log.name(), "strange").await;
        end_transaction(producer, commit).await;
        // The record at 0, and the mark that ended the transaction at 1.
        in_time("the mark", async { while log.end(P0).await.expect("an end") < Offset(2) {} })
            .await;
        assert_eq!(values(&read_to_end(&mut *early).await), ["strange"]);
        let mut late = log.reader(P0, Offset(0)).await.expect("a reader");
        assert_eq!(values(&read_to_end(&mut *late).await), ["strange"]);
        let mut from_the_mark = log.reader(P0, Offset(1)).await.expect("a reader");
        assert_eq!(read_to_end(&mut *from_the_mark).await, []);
        let mut appender = log.appender(P0).await.expect("an appender");
        assert_eq!(append_one(&mut *appender, record("own")).await, Offset(2));
        for reader in [&mut early, &mut late, &mut from_the_mark] {
            let own = read_records(&mut **reader, 1).await;
            assert_eq!((values(&own), own[0].offset), (vec!["own"], Offset(2)));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_headers_are_read_as_they_are() {
    let brokers = kafka::shared_brokers();
    let log = kafka::new_log(&brokers, &log_config(1)).await;
    let right: [Header<'_>; 3] =
        [(b"kind", Some(b"commit")), (b"term", Some(b"3")), (b"chain", Some(b"7"))];
    let [kind, term, chain] = right;
    let commit = Stamp::Commit { term: Term(3), chain: Chain(7) };
    let cases: [(&[Header<'_>], Stamp); 9] = [
        (&[], Stamp::Foreign(Flaw::Missing("kind"))),
        (&[kind, term], Stamp::Foreign(Flaw::Missing("chain"))),
        (&[kind, term, chain, chain], Stamp::Foreign(Flaw::Doubled("chain"))),
        (&[kind, term, (b"chain", None)], Stamp::Foreign(Flaw::Malformed("chain"))),
        (&[kind, term, (b"chain", Some(b"07"))], Stamp::Foreign(Flaw::Malformed("chain"))),
        (&[kind, term, (b"chain", Some(b"\xff"))], Stamp::Foreign(Flaw::Malformed("chain"))),
        // Other headers say nothing, whatever their names are.
        (&[chain, (b"\xff\xfe", Some(b"x")), term, (b"", None), kind], commit),
        (&[(b"Kind", Some(b"claim")), kind, term, chain], commit),
        (&right, commit),
    ];
    let forged: Vec<_> = cases
        .iter()
        .map(|(headers, _)| Forged { key: Some(b"k"), value: Some(b"v"), headers })
        .collect();
    forge(&brokers, log.name(), &forged).await;
    let mut reader = log.reader(P0, Offset(0)).await.expect("a reader");
    let read = read_to_end(&mut *reader).await;
    let stamps: Vec<_> = read.iter().map(|record| record.stamp).collect();
    assert_eq!(stamps, cases.map(|(_, stamp)| stamp));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_without_a_value_has_an_empty_one() {
    let brokers = kafka::shared_brokers();
    let log = kafka::new_log(&brokers, &log_config(1)).await;
    let forged = [
        Forged { key: None, value: None, headers: &[] },
        Forged { key: Some(b""), value: Some(b""), headers: &[] },
    ];
    forge(&brokers, log.name(), &forged).await;
    let mut reader = log.reader(P0, Offset(0)).await.expect("a reader");
    let read = in_time("records", reader.next(RECORDS_MAX, BYTES_MAX)).await.expect("a chunk");
    let key_and_value = |record: &LogRecord| (record.key.clone(), record.value.len());
    let read: Vec<_> = read.records.iter().map(key_and_value).collect();
    assert_eq!(read, [(None, 0), (Some(bytes::Bytes::new()), 0)]);
}
