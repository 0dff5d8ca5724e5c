//! The topic is made as the log needs it, and one that could lose records is refused.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use retell::Offset;
use retell::adapters::kafka::KafkaLog;
use retell::config::{KafkaAddress, LogConfig};
use retell::ports::{EventLog, LogError};

use crate::support::kafka::{OwnBroker, new_log, new_topic, shared_brokers, stranger};
use crate::support::log::{P0, append_one, in_time, read_to_end, record};
use crate::support::log_config;

/// What a topic must have, apart from partitions and replicas.
const SETTINGS: [(&str, &str); 7] = [
    ("cleanup.policy", "delete"),
    ("retention.ms", "-1"),
    ("retention.bytes", "-1"),
    ("message.timestamp.type", "LogAppendTime"),
    ("unclean.leader.election.enable", "false"),
    ("max.message.bytes", "1002048"),
    ("min.insync.replicas", "1"),
];

fn admin(brokers: &str) -> AdminClient<DefaultClientContext> {
    stranger(brokers).create().expect("an admin client")
}

/// Makes a topic as somebody else would.
async fn make_topic(brokers: &str, partitions: i32, settings: &[(&str, &str)]) -> KafkaAddress {
    let address = new_topic(brokers);
    let topic = NewTopic::new(&address.topic, partitions, TopicReplication::Fixed(1));
    let topic = settings.iter().fold(topic, |topic, (name, value)| topic.set(name, value));
    let made = admin(brokers).create_topics([&topic], &AdminOptions::new()).await;
    made.expect("an answer").remove(0).expect("the topic is made");
    address
}

async fn wrong_settings(address: &KafkaAddress, config: &LogConfig) -> Vec<String> {
    let log = KafkaLog::connect(address, config).expect("the settings are right");
    match log.check().await {
        Err(LogError::Settings(wrong)) => wrong,
        other => panic!("the topic was not refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_topic_has_every_setting_that_the_log_needs() {
    let brokers = shared_brokers();
    let log = new_log(&brokers, &log_config(3)).await;
    let topic = ResourceSpecifier::Topic(log.name());
    let described = admin(&brokers).describe_configs([&topic], &AdminOptions::new()).await;
    let described = described.expect("an answer").remove(0).expect("the settings");
    for (name, value) in SETTINGS {
        let entry = described.get(name).expect("a setting");
        assert_eq!(entry.value.as_deref(), Some(value), "{name}");
    }
    assert_eq!(
        described.get("compression.type").and_then(|c| c.value.as_deref()),
        Some("uncompressed")
    );
    log.check().await.expect("it passes its own check");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_of_somebody_else_with_the_right_settings_is_taken() {
    let brokers = shared_brokers();
    let topic = make_topic(&brokers, 2, &SETTINGS).await;
    let log = KafkaLog::connect(&topic, &log_config(2)).expect("the settings are right");
    log.check().await.expect("nothing is wrong with it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wrong_setting_is_named_with_its_value_and_the_command_that_mends_it() {
    let brokers = shared_brokers();
    let wrong_values = [
        ("cleanup.policy", "compact,delete"),
        ("retention.ms", "604800000"),
        ("retention.bytes", "1000000000"),
        ("message.timestamp.type", "CreateTime"),
        ("unclean.leader.election.enable", "true"),
        ("max.message.bytes", "1000000"),
    ];
    let topic = make_topic(&brokers, 2, &wrong_values).await;
    let name = &topic.topic;
    let wrong = wrong_settings(&topic, &log_config(2)).await;
    assert_eq!(wrong.len(), wrong_values.len(), "{wrong:?}");
    for ((setting, value), message) in wrong_values.iter().zip(&wrong) {
        let needed = SETTINGS.iter().find(|(name, _)| name == setting).expect("it is needed").1;
        assert!(message.contains(&format!("{setting} is {value}, needed is")), "{message}");
        let command = format!(
            "kafka-configs.sh --bootstrap-server {brokers} --alter --entity-type topics \
             --entity-name {name} --add-config {setting}={needed}"
        );
        assert!(message.ends_with(&command), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_number_of_partitions_or_replicas_is_refused() {
    let brokers = shared_brokers();
    let topic = make_topic(&brokers, 2, &SETTINGS).await;
    let mut config = log_config(3);
    config.kafka.replication_factor = 3;
    config.kafka.min_insync_replicas = 2;
    let wrong = wrong_settings(&topic, &config).await;
    assert_eq!(wrong.len(), 3, "{wrong:?}");
    assert!(wrong[0].contains("min.insync.replicas is 1, needed is at least 2"), "{wrong:?}");
    assert!(wrong[1].contains("has 2 partitions, log.partitions is 3"), "{wrong:?}");
    assert!(wrong[2].contains("with 1 replicas, needed are at least 3"), "{wrong:?}");
    // Nor can a new one be made: there is one broker.
    let wrong = wrong_settings(&new_topic(&brokers), &config).await;
    assert!(wrong[0].contains("needs 3 replicas and there are fewer brokers"), "{wrong:?}");
    config.kafka.replication_factor = 1;
    let wrong = wrong_settings(&new_topic(&brokers), &config).await;
    assert!(wrong[0].contains("nothing could ever be appended"), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_properties_are_refused_before_anything_connects() {
    let mut config = log_config(2);
    config.kafka.properties.insert("acks".to_owned(), "0".to_owned());
    config.kafka.properties.insert("no.such.thing".to_owned(), "1".to_owned());
    let refused = match KafkaLog::connect(&new_topic("localhost:1"), &config) {
        Err(LogError::Settings(wrong)) => wrong.join("\n"),
        other => panic!("not refused: {other:?}"),
    };
    assert!(refused.contains("properties.acks: records must land durably"), "{refused}");
    assert!(refused.contains("properties.no.such.thing: No such"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_that_are_absent_are_waited_for_with_a_clear_message() {
    let broker = OwnBroker::start();
    let (brokers, topic) = (broker.brokers().to_owned(), new_topic(broker.brokers()));
    broker.crash().await;
    let begun = Instant::now();
    let log = KafkaLog::connect(&topic, &log_config(2)).expect("the settings are right");
    assert!(begun.elapsed() < Duration::from_secs(1), "connecting waits for nothing");
    let (checked, appender, reader, end) =
        tokio::join!(log.check(), log.appender(P0), log.reader(P0, Offset(0)), log.end(P0));
    let absent = [checked.err(), appender.err(), reader.err(), end.err()];
    for error in absent {
        let error = error.expect("there is no broker");
        let message = error.to_string();
        assert!(error.is_retryable(), "{message}");
        assert!(message.contains(&format!("no answer from {brokers}")), "{message}");
        assert!(message.contains("Connection refused"), "{message}");
    }
    broker.restart().await;
    let come = async { while log.check().await.is_err_and(|error| error.is_retryable()) {} };
    in_time("the broker", come).await;
    let mut appender = log.appender(P0).await.expect("an appender");
    append_one(&mut *appender, record("x")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_a_topic_that_was_made_again_finds_out() {
    let brokers = shared_brokers();
    let log = new_log(&brokers, &log_config(1)).await;
    let mut appender = log.appender(P0).await.expect("an appender");
    for _ in 0..3 {
        append_one(&mut *appender, record("x")).await;
    }
    let mut reader = log.reader(P0, Offset(0)).await.expect("a reader");
    assert_eq!(read_to_end(&mut *reader).await.len(), 3);
    let deleted = admin(&brokers).delete_topics(&[log.name()], &AdminOptions::new()).await;
    deleted.expect("an answer").remove(0).expect("the topic is deleted");
    let made = async { while log.check().await.is_err_and(|error| error.is_retryable()) {} };
    in_time("the new topic", made).await;
    let found_out = async {
        loop {
            match reader.next(1, 1).await {
                Ok(chunk) => assert_eq!(chunk.records, []),
                Err(error) if error.is_retryable() => {}
                Err(error) => return error,
            }
        }
    };
    let error = in_time("the reader to find out", found_out).await;
    assert!(matches!(error, LogError::OutOfRange { offset: Offset(3), .. }), "{error:?}");
}
