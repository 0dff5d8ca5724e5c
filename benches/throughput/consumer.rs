//! Raw reading of a topic by librdkafka: the floor of everything that reads the log.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::{Offset, TopicPartitionList};

const PATIENCE: Duration = Duration::from_secs(30);

/// A record's bytes.
pub(crate) struct Record {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

/// Reads a topic from the beginning to the end; returns records a second from the first to the
/// last, without the time that connecting takes.
pub(crate) fn rate(kafka: &str, topic: &str, partitions: u32) -> anyhow::Result<f64> {
    let consumer = open(kafka, topic, partitions, Offset::Beginning)?;
    let (mut left, mut records, mut bytes) = (partitions, 0_u64, 0);
    let mut began = None;
    while left > 0 {
        match consumer.poll(PATIENCE) {
            None => bail!("the topic cannot be read to its end"),
            Some(Ok(message)) => {
                began.get_or_insert_with(Instant::now);
                records += 1;
                bytes += message.payload_len();
            }
            Some(Err(KafkaError::PartitionEOF(_))) => left -= 1,
            Some(Err(error)) => return Err(error.into()),
        }
    }
    std::hint::black_box(bytes);
    let elapsed = began.context("the topic is empty")?.elapsed();
    Ok(records as f64 / elapsed.as_secs_f64())
}

/// The first record whose value has this text.
pub(crate) fn sample(kafka: &str, topic: &str, text: &str) -> anyhow::Result<Record> {
    let consumer = open(kafka, topic, 1, Offset::Beginning)?;
    loop {
        let message = consumer.poll(PATIENCE).context("no record in time")??;
        let value = message.payload().unwrap_or_default();
        if !value.windows(text.len()).any(|window| window == text.as_bytes()) {
            continue;
        }
        let headers = message.headers().map(|all| {
            let each = all
                .iter()
                .map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec()));
            each.collect()
        });
        return Ok(Record {
            key: message.key().unwrap_or_default().to_vec(),
            value: value.to_vec(),
            headers: headers.unwrap_or_default(),
        });
    }
}

/// A reader that stands at the end of every partition.
pub(crate) fn at_end(kafka: &str, topic: &str, partitions: u32) -> anyhow::Result<BaseConsumer> {
    let consumer = open(kafka, topic, partitions, Offset::End)?;
    let mut left = partitions;
    while left > 0 {
        match consumer.poll(PATIENCE).context("the topic does not answer")? {
            Err(KafkaError::PartitionEOF(_)) => left -= 1,
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
    }
    Ok(consumer)
}

fn open(kafka: &str, topic: &str, partitions: u32, from: Offset) -> anyhow::Result<BaseConsumer> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka)
        .set("group.id", "retell-bench")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..i32::try_from(partitions)? {
        list.add_partition_offset(topic, partition, from)?;
    }
    consumer.assign(&list)?;
    Ok(consumer)
}
