//! Brokers that say for a while that there are none: every client finds them again.
//!
//! librdkafka forgets all brokers then, and sometimes for ever (`Context::is_lost`): above all
//! with many partitions, as here.

use std::time::Duration;

use retell::adapters::kafka::{KafkaBookmarks, KafkaTopics, Role};
use retell::config::{KafkaAddress, LogConfig};
use retell::ports::{Bookmarks, EventLog, Message, PlainTopic};
use retell::{Offset, Partition};

use crate::support::door::Door;
use crate::support::kafka::{new_log_at, new_topic, shared_brokers};
use crate::support::log::{
    P0, append_at_last, append_one, checkpoint, in_time, read_records, record, values,
};
use crate::support::log_config;

const PARTITIONS: u32 = 64;
/// Long enough for every client to ask, and for those that still know whom to ask.
const DENIED_FOR: Duration = Duration::from_secs(1);

/// Clients that ask often, and tell often.
fn config() -> LogConfig {
    let mut config = log_config(PARTITIONS);
    config.kafka.statistics_interval = Duration::from_millis(500);
    config.kafka.message_timeout = Duration::from_secs(1);
    let often = ("topic.metadata.refresh.interval.ms".to_owned(), "100".to_owned());
    config.kafka.properties.extend([often]);
    config
}

/// A topic behind a door.
async fn behind_a_door() -> (Door, KafkaAddress) {
    let address = new_topic(&shared_brokers());
    let door = Door::before(&address.brokers).await;
    let brokers = door.address();
    (door, KafkaAddress { brokers, ..address })
}

async fn deny_for_a_while(door: &Door) {
    door.deny(true);
    tokio::time::sleep(DENIED_FOR).await;
    door.deny(false);
    assert!(door.denied() > 0, "nobody has asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_that_say_there_are_none_are_found_again_by_the_log() {
    let (door, address) = behind_a_door().await;
    let log = new_log_at(&address, &config()).await;
    let mut appender = log.appender(P0).await.expect("an appender");
    let mut reader = log.reader(P0, Offset(0)).await.expect("a reader");
    append_one(&mut *appender, record("1")).await;
    assert_eq!(values(&read_records(&mut *reader, 1).await), ["1"]);
    for first in [100, 200, 300] {
        deny_for_a_while(&door).await;
        let (_, offset) = append_at_last(&log, P0, &mut appender, first).await;
        // One that failed may be before it.
        let reading = async {
            loop {
                match reader.next(100, 10_000).await {
                    Ok(chunk) if chunk.records.iter().any(|read| read.offset == offset) => return,
                    Ok(_) => {}
                    Err(error) => assert!(error.is_retryable(), "{error}"),
                }
            }
        };
        in_time("the record to be read", reading).await;
        let asking = async { while log.end(P0).await.is_err() {} };
        in_time("the end", asking).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_that_say_there_are_none_are_found_again_by_plain_topics() {
    let (door, address) = behind_a_door().await;
    let config = config();
    let topics = KafkaTopics::connect(&address, &config).expect("right settings");
    let topic = topics.open(&address.topic, Role::Outbox);
    in_time("the topic", async { while topic.check().await.is_err() {} }).await;
    let bookmarks = KafkaBookmarks::beside(&address, &config);
    let message = || Message { key: None, headers: Vec::new(), value: "hello".into() };
    for round in 0..3_u64 {
        let mut member = topic.join("readers").await.expect("a member");
        let progress = member.progress();
        let sending = async { while topic.send(vec![(P0, message())]).await.is_err() {} };
        in_time("a message to be sent", sending).await;
        let taken = in_time("a message", member.next(1)).await.expect("a message");
        progress.done(P0, taken[0].position.offset.next());
        deny_for_a_while(&door).await;
        let sending = async { while topic.send(vec![(P0, message())]).await.is_err() {} };
        in_time("a message to be sent", sending).await;
        let taking = async {
            while member.next(1).await.is_err() {
                member.leave().await;
                member = topic.join("readers").await.expect("a member");
            }
            member
        };
        let member = in_time("a message", taking).await;
        in_time("the ends", async { while topic.span(Partition(1)).await.is_err() {} }).await;
        let keeping = async { while bookmarks.keep("p", P0, &checkpoint(round)).await.is_err() {} };
        in_time("a bookmark to be kept", keeping).await;
        member.leave().await;
    }
}
