//! A topic as it was read from Kafka: every record of every partition, from the start, and again
//! from places in the middle.

use retell::adapters::kafka::KafkaLog;
use retell::config::KafkaAddress;
use retell::log::{Checkpoint, Tracker};
use retell::ports::{EventLog, LogRecord};
use retell::{Offset, Partition};

use crate::support::log_config;

/// Readings from the middle, for each partition.
const TAILS: usize = 4;

/// Readings of a partition until nothing comes meanwhile.
const READINGS_MAX: usize = 20;

/// What was read, by partition.
#[derive(Clone, Default)]
pub(super) struct Topic(pub(super) Vec<Strand>);

/// What was read of one partition.
#[derive(Clone, Default)]
pub(super) struct Strand {
    pub(super) records: Vec<LogRecord>,
    /// What a reader was given that began at a checkpoint.
    pub(super) tails: Vec<(Checkpoint, Vec<LogRecord>)>,
}

impl Topic {
    /// Reads it once nobody writes any more.
    pub(super) async fn read(address: &KafkaAddress) -> Self {
        let log = KafkaLog::connect(address, &log_config(4)).expect("the settings are right");
        let mut strands = Vec::new();
        for partition in log.partitions().iter() {
            strands.push(Strand::read(&log, partition).await);
        }
        Self(strands)
    }
}

impl Strand {
    /// Reads it again where something came meanwhile, such as a claim or an append that was still
    /// under way: it would be in the later readings only.
    async fn read(log: &KafkaLog, partition: Partition) -> Self {
        for _ in 0..READINGS_MAX {
            let end = log.end(partition).await.expect("an end");
            let records = read_from(log, partition, Offset(0)).await;
            let mut tails = Vec::new();
            for checkpoint in places(&records) {
                tails.push((checkpoint, read_from(log, partition, checkpoint.next).await));
            }
            if log.end(partition).await.expect("an end") == end {
                return Self { records, tails };
            }
        }
        panic!("partition {partition} does not come to rest");
    }
}

/// Checkpoints spread over a partition, the last one before its last record.
pub(super) fn places(records: &[LogRecord]) -> Vec<Checkpoint> {
    let mut tracker = Tracker::default();
    let mut all = Vec::new();
    for record in records {
        tracker.step(record.offset, record.time, &record.stamp, &record.value);
        all.extend(tracker.checkpoint());
    }
    all.pop(); // nothing is behind it
    let stride = all.len().div_ceil(TAILS).max(1);
    all.into_iter().rev().step_by(stride).collect()
}

async fn read_from(log: &KafkaLog, partition: Partition, from: Offset) -> Vec<LogRecord> {
    let mut reader = log.reader(partition, from).await.expect("a reader");
    let mut records = Vec::new();
    loop {
        let chunk = reader.next(1_000, 1 << 20).await.expect("a chunk");
        records.extend(chunk.records);
        if chunk.at_end {
            return records;
        }
    }
}
