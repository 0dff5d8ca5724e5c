//! What a real broker does too rarely to wait for: librdkafka's own mock of one does it on demand.

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use retell::Offset;
use retell::adapters::kafka::KafkaLog;
use retell::config::KafkaAddress;
use retell::ports::{AppendError, Appender, EventLog, Report, SendNumber};

use crate::support::log::{P0, P1, append, append_one, in_time, record, settle};
use crate::support::log_config;

fn address(cluster: &MockCluster<'static, DefaultProducerContext>) -> KafkaAddress {
    KafkaAddress { brokers: cluster.bootstrap_servers(), topic: "mocked".to_owned() }
}

fn mock() -> (MockCluster<'static, DefaultProducerContext>, KafkaLog) {
    let cluster = MockCluster::new(1).expect("a mock of a broker");
    cluster.create_topic("mocked", 2, 1).expect("a topic");
    let log =
        KafkaLog::connect(&address(&cluster), &log_config(2)).expect("the settings are right");
    (cluster, log)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_a_broker_had_already_are_odd_and_never_at_an_offset() {
    let (cluster, log) = mock();
    let mut appender = log.appender(P0).await.expect("an appender");
    assert_eq!(append_one(&mut *appender, record("first")).await, Offset(0));
    // What is appended while the broker is away is one batch when it comes back.
    cluster.broker_down(1).expect("the broker goes");
    let mut reports = Vec::new();
    for _ in 0..10 {
        append(&mut *appender, record("had"), &mut reports).await;
    }
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER],
    );
    cluster.broker_up(1).expect("the broker comes back");
    settle(&mut *appender, &mut reports, 10).await;
    // librdkafka reports them at -1, 0, 1, …
    let odd: Vec<_> = (1..=10).map(|send| Report::Odd { send: SendNumber(send) }).collect();
    assert_eq!(reports, odd);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_that_fails_for_good_takes_its_appenders_with_it_and_is_replaced() {
    let (cluster, log) = mock();
    let mut appender = log.appender(P0).await.expect("an appender");
    let mut other = log.appender(P1).await.expect("an appender of the same producer");
    // For the first batch in flight it means that broker and client disagree: nothing is known.
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER],
    );
    let mut reports = Vec::new();
    for i in 0..100 {
        match appender.append(record("x")) {
            Ok(send) => assert_eq!(send, SendNumber(i)),
            Err(error) => assert_eq!(error, AppendError::Dead),
        }
    }
    until_dead(&mut *appender, &mut reports).await;
    until_dead(&mut *other, &mut reports).await;
    assert!(reports.iter().all(|report| matches!(report, Report::Failed { .. })), "{reports:?}");
    let mut fresh = log.appender(P0).await.expect("an appender of another producer");
    append_one(&mut *fresh, record("x")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_that_the_brokers_refuse_gives_no_appender_but_the_reason() {
    let cluster = MockCluster::new(1).expect("a mock of a broker");
    cluster.create_topic("mocked", 2, 1).expect("a topic");
    cluster.request_errors(
        RDKafkaApiKey::InitProducerId,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED],
    );
    let log =
        KafkaLog::connect(&address(&cluster), &log_config(2)).expect("the settings are right");
    let error = log.appender(P0).await.err().expect("the brokers refuse the producer");
    assert!(error.is_retryable(), "{error}");
    assert!(error.to_string().contains("authorization failed"), "{error}");
    let mut appender = log.appender(P0).await.expect("an appender of another producer");
    append_one(&mut *appender, record("x")).await;
}

/// The appenders of a producer hear of its end one after the other; a dead one reports everything
/// at once.
async fn until_dead(appender: &mut dyn Appender, reports: &mut Vec<Report>) {
    use futures_util::FutureExt;
    while appender.append(record("x")) != Err(AppendError::Dead) {
        in_time("reports", appender.settled(reports)).await;
    }
    while appender.settled(reports).now_or_never().is_some() {}
}
