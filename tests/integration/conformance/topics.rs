//! The laws of plain topics. Each is one function; every adapter runs all.

use std::sync::Arc;

use bytes::Bytes;
use retell::adapters::SystemClock;
use retell::adapters::kafka::{KafkaTopics, Role};
use retell::adapters::memory::MemoryTopic;
use retell::ports::{Message, PlainTopic, Received};
use retell::{Offset, Partition, Position};

use crate::support::kafka::{new_topic, shared_brokers};
use crate::support::log::{P0, P1, in_time};
use crate::support::log_config;
use crate::support::writers::partitions;

/// The tests of one adapter: `memory::law_1_…`.
macro_rules! every_law {
    ($adapter:ident: $($law:ident,)+) => {
        mod $adapter {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $law() {
                    super::$law(super::open::$adapter().await).await;
                }
            )+
        }
    };
    ($adapter:ident) => {
        every_law!($adapter:
            law_1_what_was_sent_is_there_once_and_in_order,
            law_2_a_send_that_is_given_up_leaves_a_beginning,
            law_3_before_gives_the_messages_before_an_offset,
            law_4_a_group_is_given_every_message_in_order,
            law_5_what_is_done_is_not_given_again_and_what_is_not_is,
        );
    };
}

every_law!(memory);
every_law!(kafka);

type Topic = Arc<dyn PlainTopic>;

mod open {
    use super::*;

    pub(super) async fn memory() -> Topic {
        Arc::new(MemoryTopic::new("plain", partitions(2), Arc::new(SystemClock)))
    }

    pub(super) async fn kafka() -> Topic {
        let address = new_topic(&shared_brokers());
        let topics = KafkaTopics::connect(&address, &log_config(2));
        let topic = topics.expect("the settings are right").open(&address.topic, Role::Results);
        assert_eq!(topic.check().await.expect("made"), partitions(2));
        Arc::new(topic)
    }
}

fn message(text: &str) -> Message {
    Message {
        key: Some(Bytes::from(format!("key of {text}"))),
        headers: vec![("ce_id".to_owned(), Bytes::from(format!("Zoë {text}")))],
        value: Bytes::from(text.to_owned()),
    }
}

fn numbered(partition: Partition, numbers: std::ops::Range<usize>) -> Vec<(Partition, Message)> {
    numbers.map(|number| (partition, message(&number.to_string()))).collect()
}

fn texts(messages: &[Received]) -> Vec<String> {
    let text = |it: &Received| String::from_utf8_lossy(&it.message.value).into_owned();
    messages.iter().map(text).collect()
}

fn numbers(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

/// All of a partition.
async fn all(topic: &Topic, partition: Partition) -> Vec<Received> {
    let end = topic.span(partition).await.expect("an end").end;
    topic.before(partition, end, 100_000).await.expect("messages")
}

async fn law_1_what_was_sent_is_there_once_and_in_order(topic: Topic) {
    let mut both = numbered(P0, 0..2_000);
    both.extend(numbered(P1, 0..1_000));
    in_time("the messages", topic.send(both)).await.expect("sent");
    let (first, second) = (all(&topic, P0).await, all(&topic, P1).await);
    assert_eq!(texts(&first), numbers(0..2_000));
    assert_eq!(texts(&second), numbers(0..1_000));
    assert_eq!(first[7].message, message("7"), "with its key and its headers");
    assert_eq!(first[7].position, Position { partition: P0, offset: Offset(7) });
    assert!(first[7].time.millis() > 0);
}

async fn law_2_a_send_that_is_given_up_leaves_a_beginning(topic: Topic) {
    for partition in [P0, P1] {
        let sending = topic.send(numbered(partition, 0..20_000));
        let landed = async {
            while topic.span(partition).await.expect("an end").end == Offset(0) {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            sent = sending => sent.expect("sent"),
            () = landed => {}
        }
        // What is on its way lands before what is sent behind it.
        let end = topic.send(vec![(partition, message("end"))]);
        in_time("one more", end).await.expect("sent");
        let mut left = texts(&all(&topic, partition).await);
        assert_eq!(left.pop().as_deref(), Some("end"));
        assert!(!left.is_empty());
        assert_eq!(left, numbers(0..left.len()));
    }
}

async fn law_3_before_gives_the_messages_before_an_offset(topic: Topic) {
    assert_eq!(topic.span(P0).await.expect("a span"), Offset(0)..Offset(0));
    assert_eq!(topic.before(P0, Offset(0), 10).await.expect("nothing"), []);
    topic.send(numbered(P0, 0..50)).await.expect("sent");
    assert_eq!(topic.span(P0).await.expect("a span"), Offset(0)..Offset(50));
    let before = async |end, len| texts(&topic.before(P0, Offset(end), len).await.expect("some"));
    assert_eq!(before(50, 10).await, numbers(40..50));
    assert_eq!(before(40, 10).await, numbers(30..40));
    assert_eq!(before(5, 10).await, numbers(0..5));
    assert_eq!(before(0, 10).await, numbers(0..0));
}

async fn law_4_a_group_is_given_every_message_in_order(topic: Topic) {
    topic.send(numbered(P0, 0..1_500)).await.expect("sent");
    let mut member = topic.join("group-4").await.expect("a member");
    let mut given = [Vec::new(), Vec::new()];
    let mut take = async |count: usize| {
        while given.iter().map(Vec::len).sum::<usize>() < count {
            for one in in_time("messages", member.next(100)).await.expect("messages") {
                given[one.position.partition.0 as usize].push(one);
            }
        }
    };
    take(1_500).await;
    topic.send(numbered(P1, 0..10)).await.expect("sent");
    take(1_510).await;
    assert_eq!(texts(&given[0]), numbers(0..1_500));
    assert_eq!(texts(&given[1]), numbers(0..10));
    assert_eq!(given[1][3].message, message("3"));
}

async fn law_5_what_is_done_is_not_given_again_and_what_is_not_is(topic: Topic) {
    topic.send(numbered(P0, 0..100)).await.expect("sent");
    for (from, done) in [(0, 40), (40, 40), (40, 90)] {
        let mut member = topic.join("group-5").await.expect("a member");
        let mut given = Vec::new();
        while given.len() < 100 - from {
            given.extend(in_time("messages", member.next(100)).await.expect("messages"));
        }
        assert_eq!(texts(&given), numbers(from..100));
        member.progress().done(P0, Offset(done));
        in_time("the member to leave", member.leave()).await;
    }
}
