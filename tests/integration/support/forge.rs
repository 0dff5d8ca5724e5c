//! Records as no client library would write them, in Kafka's own bytes (Produce, version 3).

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A record, byte by byte.
pub(crate) struct Forged<'a> {
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: &'a [Header<'a>],
}

/// Name and value.
pub(crate) type Header<'a> = (&'a [u8], Option<&'a [u8]>);

/// Appends one batch to partition 0 and panics if the broker refuses it.
pub(crate) async fn forge(brokers: &str, topic: &str, records: &[Forged<'_>]) {
    let batch = batch(records);
    let mut request = Vec::new();
    request.extend(0_i16.to_be_bytes()); // Produce
    request.extend(3_i16.to_be_bytes()); // its version
    request.extend(7_i32.to_be_bytes()); // the number of this request
    put_text(&mut request, "forger");
    request.extend((-1_i16).to_be_bytes()); // no transaction
    request.extend((-1_i16).to_be_bytes()); // acks of all replicas
    request.extend(5_000_i32.to_be_bytes()); // milliseconds
    request.extend(1_i32.to_be_bytes()); // one topic
    put_text(&mut request, topic);
    request.extend(1_i32.to_be_bytes()); // one partition
    request.extend(0_i32.to_be_bytes());
    request.extend(len(&batch).to_be_bytes());
    request.extend(batch);

    let broker = brokers.split(',').next().expect("there is one");
    let mut stream = TcpStream::connect(broker).await.expect("the broker takes connections");
    stream.write_all(&len(&request).to_be_bytes()).await.expect("the broker listens");
    stream.write_all(&request).await.expect("the broker listens");
    let mut answer = vec![0; stream.read_i32().await.expect("an answer").cast_unsigned() as usize];
    stream.read_exact(&mut answer).await.expect("the whole answer");
    // The number, one topic, its name, one partition, its number, then the error.
    let at = 4 + 4 + 2 + topic.len() + 4 + 4;
    assert_eq!(answer[at..at + 2], [0, 0], "the broker refused the batch");
}

fn batch(records: &[Forged<'_>]) -> Vec<u8> {
    let count = i32::try_from(records.len()).expect("few");
    let mut rest = Vec::new(); // what the checksum covers
    rest.extend(0_i16.to_be_bytes()); // neither compressed nor transactional
    rest.extend((count - 1).to_be_bytes());
    rest.extend([0; 16]); // first and last time
    rest.extend((-1_i64).to_be_bytes()); // no producer id,
    rest.extend((-1_i16).to_be_bytes()); // no epoch,
    rest.extend((-1_i32).to_be_bytes()); // no sequence
    rest.extend(count.to_be_bytes());
    for (at, record) in records.iter().enumerate() {
        let record = body(at, record);
        put_number(&mut rest, i64::from(len(&record)));
        rest.extend(record);
    }
    let mut batch = Vec::new();
    batch.extend(0_i64.to_be_bytes()); // the broker sets the offset
    batch.extend((len(&rest) + 9).to_be_bytes());
    batch.extend((-1_i32).to_be_bytes()); // the leader's epoch
    batch.push(2); // the format
    batch.extend(crc32c(&rest).to_be_bytes());
    batch.extend(rest);
    batch
}

fn body(at: usize, record: &Forged<'_>) -> Vec<u8> {
    let mut body = vec![0]; // attributes
    put_number(&mut body, 0); // time after the first
    put_number(&mut body, i64::try_from(at).expect("few"));
    put_bytes(&mut body, record.key);
    put_bytes(&mut body, record.value);
    put_number(&mut body, i64::try_from(record.headers.len()).expect("few"));
    for (name, value) in record.headers {
        put_bytes(&mut body, Some(name));
        put_bytes(&mut body, *value);
    }
    body
}

fn put_text(to: &mut Vec<u8>, text: &str) {
    to.extend(i16::try_from(text.len()).expect("short").to_be_bytes());
    to.extend(text.as_bytes());
}

fn put_bytes(to: &mut Vec<u8>, bytes: Option<&[u8]>) {
    put_number(to, bytes.map_or(-1, |bytes| i64::from(len(bytes))));
    to.extend(bytes.unwrap_or_default());
}

/// Zigzag, then seven bits a byte.
fn put_number(to: &mut Vec<u8>, number: i64) {
    let mut left = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while left > 0x7f {
        to.push(left.to_le_bytes()[0] | 0x80);
        left >>= 7;
    }
    to.push(left.to_le_bytes()[0]);
}

fn len(bytes: &[u8]) -> i32 {
    i32::try_from(bytes.len()).expect("short")
}

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0x82f6_3b78 & 0_u32.wrapping_sub(crc & 1))
        })
    })
}
