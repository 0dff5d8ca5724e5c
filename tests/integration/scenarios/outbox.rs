//! The outbox on a log in memory: what it publishes, and where it goes on after whatever happens.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use retell::adapters::memory::MemoryTopic;
use retell::ports::{Message, PlainTopic, Received};
use retell::react::outbox::RelayState;

use crate::support::log::P0;
use crate::support::on_paused_time;
use crate::support::outbox::{Author, Fragile, Relay, SOURCE, consumed, topic};

fn shared(topic: &MemoryTopic) -> Arc<dyn PlainTopic> {
    Arc::new(topic.clone())
}

#[tokio::test]
async fn each_event_that_counts_is_a_message_and_nothing_else_is() {
    let (mut author, topic) = (Author::new().await, topic());
    author.claim().await;
    author.commit("ann", 2).await;
    author.void("ann").await;
    author.commit("ann", 0).await;
    author.garbage().await;
    author.misplaced().await;
    author.claim().await;
    author.commit("bob", 1).await;
    let relay = Relay::start(&author.log, shared(&topic));
    let status = relay.at_end(&author.log).await;
    assert_eq!((status.published, status.unreadable), (3, 2));
    let sent = topic.messages(P0);
    assert_eq!(consumed(&sent, &author.events), author.events);
    let said = |name: &str| -> Vec<&str> {
        sent.iter().map(|it| it.message.header(name).expect("a header")).collect()
    };
    assert_eq!(said("ce_subject"), ["light/ann", "light/ann", "light/bob"]);
    assert_eq!(said("ce_aggregateversion"), ["1", "2", "1"]);
    assert_eq!(said("ce_position"), ["0@1", "0@1", "0@7"]);
    author.commit("cid", 1).await;
    relay.at_end(&author.log).await;
    assert_eq!(topic.messages(P0).len(), 4, "it follows what comes");
}

#[tokio::test]
async fn a_restart_goes_on_behind_the_last_event_also_in_the_middle_of_a_record() {
    let (mut author, topic) = (Author::new().await, topic());
    author.claim().await;
    author.commit("ann", 3).await;
    author.commit("bob", 1).await;
    let fragile = Fragile::breaking_after(&topic, vec![2]);
    let relay = Relay::start(&author.log, fragile.clone());
    relay.at_end(&author.log).await;
    assert_eq!(fragile.broken.load(Ordering::SeqCst), 1);
    assert_eq!(topic.messages(P0).len(), 4, "nothing was sent twice");
    assert_eq!(consumed(&topic.messages(P0), &author.events), author.events);
    drop(relay);
    author.claim().await;
    author.commit("cid", 2).await;
    Relay::start(&author.log, shared(&topic)).at_end(&author.log).await;
    assert_eq!(topic.messages(P0).len(), 6, "nothing was sent twice");
    assert_eq!(consumed(&topic.messages(P0), &author.events), author.events);
}

#[tokio::test]
async fn garbage_and_forged_messages_at_the_end_of_the_topic_are_passed_over() {
    let (mut author, topic) = (Author::new().await, topic());
    author.claim().await;
    author.commit("ann", 2).await;
    Relay::start(&author.log, shared(&topic)).at_end(&author.log).await;
    let genuine = topic.messages(P0)[1].message.clone();
    let with = |name: &str, value: &'static str| {
        let mut forged = genuine.clone();
        let header = forged.headers.iter_mut().find(|(header, _)| header == name);
        header.expect("it has one").1 = Bytes::from_static(value.as_bytes());
        forged
    };
    let place = |position: &'static str, sequence: &'static str| {
        let mut forged = with("ce_position", position);
        forged.headers.retain(|(name, _)| name != "ce_sequence");
        forged.headers.push(("ce_sequence".to_owned(), Bytes::from_static(sequence.as_bytes())));
        forged
    };
    let mut junk = vec![
        Message { value: Bytes::from_static(b"\xff\x00 no event"), ..Message::default() },
        with("ce_id", "01990000-0000-7000-8000-000000000001"),
        with("ce_source", "urn:somebody:else"),
        place("0@900", "00000000000000000900.00000000"),
        place("0@0", "00000000000000000000.00000000"),
    ];
    // More than it looks at at once.
    junk.extend((0..500).map(|_| Message::default()));
    let sent = junk.into_iter().map(|message| (P0, message)).collect();
    topic.send(sent).await.expect("sent");
    author.commit("bob", 1).await;
    let relay = Relay::start(&author.log, shared(&topic));
    assert_eq!(relay.at_end(&author.log).await.published, 1, "only what is new");
    let last = topic.messages(P0).pop().expect("a message").message;
    assert_eq!(last.header("ce_id"), author.events.last().map(String::as_str));
}

#[tokio::test]
async fn a_topic_of_another_log_is_refused() {
    let (mut other, mut author, topic) = (Author::new().await, Author::new().await, topic());
    other.claim().await;
    other.commit("ann", 1).await;
    Relay::start(&other.log, shared(&topic)).at_end(&other.log).await;
    author.claim().await;
    author.commit("ann", 1).await;
    let relay = Relay::start(&author.log, shared(&topic));
    let status = relay.eventually(|status| status.state != RelayState::Starting).await;
    let RelayState::Refused { reason } = status.state else { panic!("{status:?}") };
    assert!(reason.contains("of another log") && reason.contains("outbox.topic"), "{reason}");
    assert_eq!(topic.messages(P0).len(), 1);
}

#[tokio::test]
async fn a_topic_that_has_lost_its_messages_is_refused() {
    let (mut author, topic) = (Author::new().await, topic());
    author.claim().await;
    author.commit("ann", 1).await;
    Relay::start(&author.log, shared(&topic)).at_end(&author.log).await;
    let relay = Relay::start(&author.log, Fragile::emptied(&topic));
    let status = relay.eventually(|status| status.state != RelayState::Starting).await;
    let RelayState::Refused { reason } = status.state else { panic!("{status:?}") };
    assert!(reason.contains("were deleted") && reason.contains("outbox.topic"), "{reason}");
}

#[tokio::test]
async fn a_record_that_only_a_newer_binary_can_read_stops_it_and_is_not_passed_over() {
    let (mut author, topic) = (Author::new().await, topic());
    author.claim().await;
    author.commit("ann", 1).await;
    author.newer().await;
    author.commit("ann", 1).await;
    let relay = Relay::start(&author.log, shared(&topic));
    let is_stopped = |state: &RelayState| matches!(state, RelayState::NewerEvents { .. });
    let status = relay.eventually(|status| is_stopped(&status.state)).await;
    let RelayState::NewerEvents { reason } = status.state else { panic!("{status:?}") };
    assert!(reason.contains("0@2") && reason.contains("version 99"), "{reason}");
    assert_eq!(topic.messages(P0).len(), 1);
}

#[derive(Clone, Debug)]
enum Step {
    Commit(u8, usize),
    Claim,
    Void,
    Junk,
    /// Some ticks for the relays.
    Run(u8),
    /// The relay with this number is killed, and starts again where its sends break off.
    Crash(usize, Vec<usize>),
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Two relays, killed anywhere, whose sends break off anywhere: readers miss nothing, and get
    /// nothing out of order.
    #[test]
    fn two_relays_that_are_killed_anywhere_leave_no_gap(steps in vec(step(), 1..60)) {
        on_paused_time(live(steps));
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3_u8, 0..4_usize).prop_map(|(id, events)| Step::Commit(id, events)),
        1 => Just(Step::Claim),
        1 => Just(Step::Void),
        1 => Just(Step::Junk),
        6 => (0..20_u8).prop_map(Step::Run),
        3 => (0..2_usize, vec(0..4_usize, 0..3)).prop_map(|(at, breaks)| Step::Crash(at, breaks)),
    ]
}

async fn live(steps: Vec<Step>) {
    let (mut author, topic) = (Author::new().await, topic());
    author.claim().await;
    let start = |author: &Author, breaks: Vec<usize>| {
        Relay::start(&author.log, Fragile::breaking_after(&topic, breaks))
    };
    let mut relays = [start(&author, Vec::new()), start(&author, vec![1])];
    for step in steps {
        match step {
            Step::Commit(id, events) => author.commit(&format!("a{id}"), events).await,
            Step::Claim => author.claim().await,
            Step::Void => author.void("a0").await,
            Step::Junk => {
                let (source, junk) =
                    ("ce_source".to_owned(), Bytes::from_static(SOURCE.as_bytes()));
                let message = Message { headers: vec![(source, junk)], ..Message::default() };
                topic.send(vec![(P0, message)]).await.expect("sent");
            }
            Step::Run(ticks) => {
                for _ in 0..ticks {
                    tokio::task::yield_now().await;
                }
            }
            Step::Crash(at, breaks) => relays[at] = start(&author, breaks),
        }
        let sent: Vec<Received> = topic.messages(P0);
        consumed(&sent, &author.events);
    }
    for relay in &relays {
        relay.at_end(&author.log).await;
    }
    assert_eq!(consumed(&topic.messages(P0), &author.events), author.events);
}
