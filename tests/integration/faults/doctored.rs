//! The checker is seen to fail: a lawful history, and the same with one thing wrong.

use std::borrow::Cow;

use bytes::Bytes;
use retell::events::{AggregateRef, Commit, RECORD_VERSION, StoredEvent};
use retell::log::{Chain, Stamp, Term};
use retell::ports::LogRecord;
use retell::{Offset, Partition, Position, Refusal, Time, Version};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::checker::violations;
use super::history::{Call, Order, Outcome, Request};
use super::topic::{Strand, Topic, places};

/// What clients were answered, and the records of the one partition.
#[derive(Default)]
struct Story {
    calls: Vec<Call>,
    records: Vec<LogRecord>,
}

/// Opened, 5 in, 9 out refused with a key, and that asked again, 9 out refused without one, 3 out,
/// and one command that was not done. Each call takes the ten milliseconds before and after its
/// hundred.
fn lawful() -> Story {
    let mut story = Story::default();
    let claim = Stamp::Claim { term: Term(1) };
    story.land(claim, Time::from_millis(0), b"{\"claim\":1}");
    story.done(Order::Open, None, "AccountOpened", "{\"owner\":\"Ann\"}");
    story.done(Order::Deposit(5), Some("k1"), "MoneyDeposited", r#"{"amount":5,"balance":5}"#);
    let refused = |replayed| Outcome::Refused {
        code: "insufficient_funds".to_owned(),
        detail: "the balance is 5, 9 were asked for".to_owned(),
        replayed,
    };
    story.call(Order::Withdraw(9), Some("k2"), refused(false));
    story.commit("k2", 3, None, Some(("insufficient_funds", "the balance is 5, 9 were asked for")));
    story.call(Order::Withdraw(9), Some("k2"), refused(true));
    story.call(Order::Withdraw(9), None, refused(false));
    story.done(Order::Withdraw(3), None, "MoneyWithdrawn", r#"{"amount":3,"balance":2}"#);
    let not_done = Outcome::NotDone { status: 503, code: "no_owner".to_owned() };
    story.call(Order::Deposit(7), None, not_done);
    story
}

/// The indexes of the calls of the lawful story, and of the records that two of them wrote.
const DEPOSIT: usize = 1;
const KEYED_REFUSAL: usize = 2;
const REFUSED_AGAIN: usize = 3;
const REFUSAL: usize = 4;
const WITHDRAWAL: usize = 5;
const NOT_DONE: usize = 6;
const DEPOSITED: usize = 2;
const WITHDRAWN: usize = 4;

impl Story {
    fn now(&self) -> Time {
        Time::from_millis(100 * i64::try_from(self.calls.len()).expect("few"))
    }

    fn land(&mut self, stamp: Stamp, time: Time, value: &[u8]) {
        let (offset, value) = (Offset(self.records.len() as u64), Bytes::copy_from_slice(value));
        self.records.push(LogRecord { offset, time, key: None, stamp, value });
    }

    fn call(&mut self, order: Order, key: Option<&str>, outcome: Outcome) {
        let (id, now) = (format!("call-{}", self.calls.len()), self.now().millis() + 100);
        let key = key.map(str::to_owned);
        let request = Request { account: "ann".to_owned(), order, key, expected: None };
        let (begun, ended) = (Time::from_millis(now - 10), Some(Time::from_millis(now + 10)));
        self.calls.push(Call { id, request, begun, ended, outcome });
    }

    /// Writes what the last call decided.
    fn commit(
        &mut self,
        command_id: &str,
        first_version: u64,
        event: Option<(&str, &str)>,
        refused: Option<(&'static str, &str)>,
    ) -> Option<String> {
        let id = Uuid::from_u128(self.records.len() as u128);
        let event = event.map(|(event_type, data)| StoredEvent {
            id,
            event_type: Cow::Borrowed(event_type),
            schema: 1,
            data: Cow::Owned(RawValue::from_string(data.to_owned()).expect("JSON")),
        });
        let is_event = event.is_some();
        let commit = Commit {
            v: RECORD_VERSION,
            aggregate: AggregateRef { aggregate_type: "account".into(), id: "ann".into() },
            first_version: Version(first_version),
            command: "Any".into(),
            command_id: command_id.into(),
            fingerprint: None,
            time: self.now(),
            correlation_id: self.calls.last().map(|call| call.id.as_str().into()),
            causation_id: None,
            actor: None,
            traceparent: None,
            metadata: [].into(),
            events: event.into_iter().collect(),
            refused: refused.map(|(code, detail)| Refusal::new(code, detail.to_owned())),
        };
        let chain = Chain(self.records.len() as u64 - 1);
        let value = commit.encode();
        self.land(Stamp::Commit { term: Term(1), chain }, self.now(), &value);
        is_event.then(|| id.to_string())
    }

    fn done(&mut self, order: Order, key: Option<&str>, event: &str, data: &str) {
        let is_done = |call: &&Call| matches!(call.outcome, Outcome::Done { .. });
        let version = self.calls.iter().filter(is_done).count() as u64 + 1;
        self.call(order, key, Outcome::Unknown);
        let command_id = key.map_or_else(|| format!("cmd:{version}"), str::to_owned);
        let events: Vec<_> =
            self.commit(&command_id, version, Some((event, data)), None).into_iter().collect();
        let offset = Offset(self.records.len() as u64 - 1);
        let position = Position { partition: Partition(0), offset };
        let last = self.calls.last_mut().expect("just added");
        last.outcome = Outcome::Done { version, position, events, replayed: false };
    }

    /// The record again, with another value and with a number that counts.
    fn append(&mut self, value: &str, time: Time) {
        let chain = Chain(self.records.len() as u64 - 1);
        self.land(Stamp::Commit { term: Term(1), chain }, time, value.as_bytes());
    }

    fn text(&self, record: usize) -> String {
        String::from_utf8(self.records[record].value.to_vec()).expect("text")
    }

    fn topic(&self) -> Topic {
        let from = |next: Offset| self.records.iter().filter(move |it| it.offset >= next).cloned();
        let tails = places(&self.records).into_iter().map(|it| (it, from(it.next).collect()));
        Topic(vec![Strand { records: self.records.clone(), tails: tails.collect() }])
    }

    #[track_caller]
    fn breaks(&self, law: &str) {
        let broken = violations(&self.calls, &self.topic());
        assert!(broken.iter().any(|it| it.starts_with(law)), "{law} is not among {broken:#?}");
    }
}

#[test]
fn a_lawful_history_breaks_no_law() {
    let story = lawful();
    assert_eq!(violations(&story.calls, &story.topic()), Vec::<String>::new());
    assert_eq!(story.topic().0[0].tails.len(), 4, "and it was read from the middle, too");
}

#[test]
fn a_lost_event_breaks_l1() {
    let mut story = lawful();
    story.records.truncate(WITHDRAWN);
    story.breaks("L1 it is not there");
}

#[test]
fn an_acknowledged_record_that_does_not_count_breaks_l1() {
    let mut story = lawful();
    story.records[WITHDRAWN].stamp = Stamp::Commit { term: Term(1), chain: Chain(77) };
    story.breaks("L1 it is not there");
}

#[test]
fn an_event_that_is_there_twice_breaks_l1_and_a_key_l4() {
    let mut story = lawful();
    let again = story.text(DEPOSITED).replace("\"first_version\":2", "\"first_version\":4");
    story.append(&again.replace("\"balance\":5", "\"balance\":7"), Time::from_millis(900));
    story.breaks("L1 one call counts more than once");
    story.breaks("L1 the event");
    story.breaks("L4 one command id counts more than once");
}

#[test]
fn a_version_that_is_acknowledged_twice_breaks_l2() {
    let mut story = lawful();
    if let Outcome::Done { version, .. } = &mut story.calls[WITHDRAWAL].outcome {
        *version = 2;
    }
    story.breaks("L2 the version is also acknowledged");
}

#[test]
fn a_version_that_is_in_the_log_twice_breaks_l2() {
    let mut story = lawful();
    let shared = story.text(WITHDRAWN).replace("\"first_version\":3", "\"first_version\":2");
    story.records[WITHDRAWN].value = shared.into();
    story.breaks("L2 0@4 counts as version 2");
}

#[test]
fn an_event_decided_on_another_state_breaks_l2() {
    let mut story = lawful();
    let stale = story.text(WITHDRAWN).replace("\"balance\":2", "\"balance\":1");
    story.records[WITHDRAWN].value = stale.into();
    story.breaks("L2 {");
}

#[test]
fn a_refusal_with_events_breaks_l3() {
    let mut story = lawful();
    story.calls[WITHDRAWAL].outcome = story.calls[REFUSAL].outcome.clone();
    story.breaks("L3 it has events, though refused");
}

#[test]
fn what_was_not_done_and_counts_breaks_l3() {
    let mut story = lawful();
    story.calls[DEPOSIT].outcome = story.calls[NOT_DONE].outcome.clone();
    story.breaks("L3 it counts, though it was said not to be done");
    story.calls[DEPOSIT].outcome = Outcome::Differs { current: 1 };
    story.breaks("L3 it counts, though it was said not to be done");
}

#[test]
fn a_record_that_nobody_asked_for_breaks_l3() {
    let mut story = lawful();
    story.calls.remove(DEPOSIT);
    story.breaks("L3 nobody asked for this");
}

#[test]
fn a_key_with_two_outcomes_breaks_l4() {
    let mut story = lawful();
    let Outcome::Refused { detail, .. } = &mut story.calls[REFUSED_AGAIN].outcome else {
        panic!("it is refused");
    };
    *detail = "the balance is 2, 9 were asked for".to_owned();
    story.breaks("L4 the key was first answered");
    story.breaks("L4 its record says something else");
}

#[test]
fn a_key_with_an_outcome_that_is_not_kept_breaks_l4() {
    let mut story = lawful();
    story.calls[KEYED_REFUSAL].request.key = Some("k3".to_owned());
    story.breaks("L4 its record says something else (None)");
}

#[test]
fn a_reader_that_is_given_less_than_the_first_breaks_l5() {
    let story = lawful();
    let mut topic = story.topic();
    topic.0[0].tails[0].1.pop();
    let broken = violations(&story.calls, &topic);
    assert!(broken.iter().any(|it| it.starts_with("L5 partition 0")), "{broken:#?}");
}

#[test]
fn a_refusal_from_an_old_state_breaks_l6() {
    let mut story = lawful();
    // 5 were there, and that was answered before anybody asked for 3.
    story.calls[REFUSAL].request.order = Order::Withdraw(3);
    story.breaks("L6 the refusal is right at no moment");
    let Outcome::Refused { code, .. } = &mut story.calls[REFUSAL].outcome else {
        panic!("it is refused");
    };
    *code = "not_open".to_owned();
    story.breaks("L6 the refusal is right at no moment");
}

#[test]
fn a_refusal_from_a_state_of_later_or_never_breaks_l6() {
    for balance in [2, 4] {
        let mut story = lawful();
        let Outcome::Refused { detail, .. } = &mut story.calls[REFUSAL].outcome else {
            panic!("it is refused");
        };
        *detail = format!("the balance is {balance}, 9 were asked for");
        story.breaks("L6 the refusal is right at no moment");
    }
}

#[test]
fn a_kept_refusal_that_was_decided_wrongly_breaks_l6() {
    let mut story = lawful();
    story.calls[KEYED_REFUSAL].request.order = Order::Withdraw(5);
    story.breaks("L6 Withdraw(5) was decided wrongly");
}

#[test]
fn a_version_that_never_was_breaks_l6() {
    let mut story = lawful();
    story.calls[NOT_DONE].outcome = Outcome::Differs { current: 4 };
    story.breaks("L6 the version is of no moment");
    story.calls[NOT_DONE].outcome = Outcome::Differs { current: 2 };
    story.breaks("L6 the version is of no moment");
    story.calls[NOT_DONE].outcome = Outcome::Differs { current: 3 };
    story.calls[NOT_DONE].request.expected = Some(3);
    story.breaks("L6 the version is the one expected");
}

#[test]
fn a_condition_that_was_not_kept_breaks_l6() {
    let mut story = lawful();
    story.calls[WITHDRAWAL].request.expected = Some(1);
    story.breaks("L6 it was done on another version");
}
