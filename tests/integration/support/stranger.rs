//! Others who write to the topic: by librdkafka's transactions, or by kcat from a shell.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::kafka;

const PATIENCE: Duration = Duration::from_secs(10);

/// A producer in the middle of a transaction, with one record written to partition 0.
pub(crate) async fn transaction(brokers: &str, topic: &str, value: &'static str) -> BaseProducer {
    let mut config = kafka::stranger(brokers);
    config.set("transactional.id", format!("{topic}-stranger"));
    let topic = topic.to_owned();
    let written = tokio::task::spawn_blocking(move || {
        let producer: BaseProducer = config.create().expect("a producer");
        producer.init_transactions(PATIENCE).expect("transactions");
        producer.begin_transaction().expect("a transaction");
        let record = BaseRecord::<(), _>::to(&topic).partition(0).payload(value);
        producer.send(record).map_err(|(error, _)| error).expect("a place in the queue");
        producer.flush(PATIENCE).expect("the record is written");
        producer
    });
    written.await.expect("a producer")
}

/// Commits or aborts it.
pub(crate) async fn end_transaction(producer: BaseProducer, commit: bool) {
    let ended = tokio::task::spawn_blocking(move || {
        let ended = if commit {
            producer.commit_transaction(PATIENCE)
        } else {
            producer.abort_transaction(PATIENCE)
        };
        ended.expect("the transaction ends");
    });
    ended.await.expect("the transaction ends");
}

/// Drops it in the middle of what it does; a producer waits when it is dropped.
pub(crate) async fn drop_apart(producer: BaseProducer) {
    tokio::task::spawn_blocking(move || drop(producer)).await.expect("it is dropped");
}

/// Writes each line as a record to partition 0: `kcat -P`, with these arguments.
pub(crate) async fn kcat(brokers: &str, topic: &str, arguments: &[&str], lines: &str) {
    let mut command = Command::new("kcat");
    command.args(["-P", "-b", brokers, "-t", topic, "-p", "0"]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let lines = lines.to_owned();
    let run = move || {
        let mut child = command.spawn().expect("kcat is installed (apt-get install kcat)");
        child.stdin.take().expect("piped").write_all(lines.as_bytes()).expect("kcat reads");
        child.wait_with_output().expect("kcat ends")
    };
    let output = tokio::task::spawn_blocking(run).await.expect("no panic");
    assert!(output.status.success(), "kcat: {}", String::from_utf8_lossy(&output.stderr));
}
