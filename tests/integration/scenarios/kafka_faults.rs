//! Brokers that crash or fall silent: what landed stays, what failed is told, and it goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use retell::ports::{AppendError, Appender, EventLog, LogReader, LogRecord, Report};
use retell::{Offset, Partition};
use tokio::time::timeout;

use crate::support::kafka::{OwnBroker, new_log};
use crate::support::log::{
    P0, an_appender, append_at_last, append_one, in_time, outcomes, read_records, read_to_end,
    record, values,
};
use crate::support::log_config;

/// Appends that are under way at any time.
const IN_FLIGHT: usize = 256;

/// How long it may take until the wanted records have landed, with a pause or an election in it.
const LANDING_MAX: Duration = Duration::from_mins(2);

/// A writer that appends its own counter without pause, and remembers what became of it.
struct Writer<'l> {
    log: &'l dyn EventLog,
    partition: Partition,
    appender: Box<dyn Appender>,
    /// What was sent by appenders that have failed for good.
    before: usize,
    sent: usize,
    reported: usize,
    failed: usize,
    /// Offset and value.
    landed: BTreeMap<Offset, u64>,
}

impl<'l> Writer<'l> {
    async fn new(log: &'l dyn EventLog) -> Self {
        Self::on(log, P0).await
    }

    async fn on(log: &'l dyn EventLog, partition: Partition) -> Self {
        let appender = an_appender(log, partition).await;
        let (before, sent, reported, failed) = (0, 0, 0, 0);
        let landed = BTreeMap::new();
        Self { log, partition, appender, before, sent, reported, failed, landed }
    }

    /// Goes on until so many more have landed, whatever fails meanwhile.
    async fn until_landed(&mut self, more: usize) {
        let goal = self.landed.len() + more;
        let landing = async {
            while self.landed.len() < goal {
                while self.sent - self.reported < IN_FLIGHT {
                    match self.appender.append(record(&self.sent.to_string())) {
                        Ok(_) => self.sent += 1,
                        Err(AppendError::Full) => break,
                        Err(AppendError::Dead) => self.go_on_with_another().await,
                        Err(error) => panic!("the record was not taken: {error}"),
                    }
                }
                self.take_reports().await;
            }
        };
        if timeout(LANDING_MAX, landing).await.is_err() {
            panic!("of {} records {} failed, and no more land", self.sent, self.failed);
        }
    }

    /// Goes on as long as this takes.
    async fn during(&mut self, happens: impl Future<Output = ()>) {
        let mut happens = std::pin::pin!(happens);
        loop {
            tokio::select! {
                () = &mut happens => return,
                () = self.until_landed(1) => {}
            }
        }
    }

    async fn go_on_with_another(&mut self) {
        self.settle().await;
        self.before = self.sent;
        self.appender = an_appender(self.log, self.partition).await;
    }

    async fn settle(&mut self) {
        while self.reported < self.sent {
            self.take_reports().await;
        }
    }

    async fn take_reports(&mut self) {
        let mut reports = Vec::new();
        in_time("reports", self.appender.settled(&mut reports)).await;
        for (send, offset) in outcomes(&reports) {
            self.reported += 1;
            let number = self.before as u64 + send.0;
            self.landed.extend(offset.map(|offset| (offset, number)));
        }
        self.failed += reports.iter().filter(|r| matches!(r, Report::Failed { .. })).count();
    }
}

/// Everything that landed is there, nothing is there twice, nothing is out of order.
fn assert_kept(writer: &Writer<'_>, read: &[LogRecord]) {
    let numbers: Vec<u64> =
        values(read).into_iter().map(|value| value.parse().expect("a number")).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "in order and once each");
    let by_offset: BTreeMap<_, _> = read.iter().map(|record| record.offset).zip(numbers).collect();
    for (offset, number) in &writer.landed {
        assert_eq!(by_offset.get(offset), Some(number), "what landed at {offset}");
    }
}

/// Reads whatever there is until the record with this value.
async fn read_until(reader: &mut dyn LogReader, value: &str) -> Vec<LogRecord> {
    let mut read = Vec::new();
    while !values(&read).contains(&value) {
        read.extend(read_records(reader, 1).await);
    }
    read
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_crashes_keeps_what_landed_in_order() {
    let broker = OwnBroker::start();
    let mut config = log_config(1);
    config.kafka.message_timeout = Duration::from_secs(20);
    let log = new_log(broker.brokers(), &config).await;
    let mut tail = log.reader(P0, Offset(0)).await.expect("a reader");
    let mut writer = Writer::new(&log).await;
    for _ in 0..3 {
        writer.until_landed(3_000).await;
        let crash = async {
            broker.crash().await;
            broker.restart().await;
        };
        writer.during(crash).await;
    }
    writer.settle().await;
    let mut appender = log.appender(P0).await.expect("an appender");
    let last = append_one(&mut *appender, record("1000000")).await;
    let tailed = read_until(&mut *tail, "1000000").await;
    assert_kept(&writer, &tailed);
    let mut late = log.reader(P0, Offset(0)).await.expect("a reader");
    let read = read_to_end(&mut *late).await;
    assert_eq!(read.last().map(|record| record.offset), Some(last));
    assert_eq!(read, tailed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_silent_for_too_long_fails_appends_and_takes_new_ones_later() {
    let broker = OwnBroker::start();
    let mut config = log_config(1);
    config.kafka.message_timeout = Duration::from_secs(1);
    let log = new_log(broker.brokers(), &config).await;
    let mut tail = log.reader(P0, Offset(0)).await.expect("a reader");
    let mut writer = Writer::new(&log).await;
    writer.until_landed(1_000).await;
    writer.during(broker.pause_for(Duration::from_secs(3))).await;
    writer.settle().await;
    assert!(writer.failed > 0, "the pause is longer than a record may take");
    writer.until_landed(1_000).await;
    writer.settle().await;
    // A busy broker may take longer for the last one, too, than a record may take here.
    let mut appender = an_appender(&log, P0).await;
    let (last, _) = append_at_last(&log, P0, &mut appender, 1_000_000).await;
    let tailed = read_until(&mut *tail, &last).await;
    assert_kept(&writer, &tailed);
    // A record that failed may have landed all the same, and then in its place.
    let kept = values(&tailed).iter().filter(|value| value.len() < last.len()).count();
    assert!((writer.landed.len()..=writer.sent).contains(&kept), "{kept} of {}", writer.sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_whose_leader_crashes_go_on_under_another() {
    let cluster = OwnBroker::start_nodes(3);
    let mut config = log_config(3);
    (config.kafka.replication_factor, config.kafka.min_insync_replicas) = (3, 2);
    config.kafka.message_timeout = Duration::from_secs(20);
    let log = new_log(cluster.brokers(), &config).await;
    let mut writers = Vec::new();
    for partition in log.partitions().iter() {
        let tail = log.reader(partition, Offset(0)).await.expect("a reader");
        writers.push((partition, Writer::on(&log, partition).await, tail));
    }
    // Each node leads one of the partitions.
    let crash = cluster.crash_node(1);
    let write = futures_util::future::join_all(writers.iter_mut().map(|(_, writer, _)| async {
        writer.until_landed(2_000).await;
    }));
    tokio::join!(crash, write);
    for (partition, writer, tail) in &mut writers {
        writer.until_landed(1_000).await;
        writer.settle().await;
        let mut appender = log.appender(*partition).await.expect("an appender");
        append_one(&mut *appender, record("1000000")).await;
        let tailed = read_until(&mut **tail, "1000000").await;
        assert_kept(writer, &tailed);
        let mut late = log.reader(*partition, Offset(0)).await.expect("a reader");
        assert_eq!(read_to_end(&mut *late).await, tailed);
    }
}
