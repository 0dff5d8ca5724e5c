//! Samples of every record ever written, in `tests/samples/vN/`, each still read as it was meant.
//!
//! A sample is never edited and never removed. A new event, field or version adds one.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::path::Path;

use retell::commands::{Account, AccountCommand, Message, MessageCommand};
use retell::events::account::AccountEvent;
use retell::events::message::MessageEvent;
use retell::events::{
    AggregateRef, Claim, Commit, StoredEvent, Tagged, Undecodable, Unreadable, decode, encode,
};
use retell::test::check_stored_events;
use retell::{Aggregate, Refusal, Time, Version};
use serde::Deserialize;
use uuid::Uuid;

/// What each sample of a commit says: its events, or its refusal.
fn meanings() -> BTreeMap<String, String> {
    use AccountEvent::{AccountClosed, AccountOpened, MoneyDeposited, MoneyWithdrawn};
    use MessageEvent::{MessageConsumed, MessageProduced};

    let opened = || AccountOpened { owner: "Ann".into() };
    let deposited = |amount, balance| MoneyDeposited { amount, balance };
    let full = 9_007_199_254_740_991;
    let produced = MessageProduced { text: "hello \"world\"\n".into() };
    let meanings = [
        ("account-opened", said(&[opened()])),
        ("account-closed", said(&[AccountClosed {}])),
        ("all-fields", said(&[deposited(5, 305)])),
        ("metadata", said(&[deposited(5, 305)])),
        ("message-consumed", said(&[MessageConsumed {}])),
        ("message-produced", said(&[produced])),
        ("money-deposited", said(&[deposited(500, 500)])),
        ("money-withdrawn", said(&[MoneyWithdrawn { amount: 200, balance: 300 }])),
        ("nothing-decided", said::<()>(&[])),
        ("refused", said(&[overdrawn()])),
        ("two-events", said(&[opened(), deposited(full, full)])),
        ("unknown-fields", said(&[deposited(5, 305)])),
    ];
    meanings.map(|(name, meaning)| (name.to_owned(), meaning)).into()
}

#[test]
fn every_commit_ever_written_means_what_it_meant() {
    let read = |(name, value): (String, String)| {
        let meaning = meaning_of(&commit(&value));
        (name, meaning)
    };
    let found: BTreeMap<_, _> = samples("commits").into_iter().map(read).collect();
    assert_eq!(found, meanings());
}

#[test]
fn every_shipped_event_has_a_stored_sample_of_every_schema() {
    let records = samples("commits");
    check_samples::<Account>(&records);
    check_samples::<Message>(&records);
}

#[test]
fn every_claim_ever_written_is_still_read() {
    let samples = samples("claims");
    assert!(samples.contains_key("claim") && samples.contains_key("unknown-fields"));
    for (name, value) in samples {
        assert_eq!(Claim::decode(value.as_bytes()).ok(), Some(claim()), "{name}");
    }
}

#[test]
fn unknown_fields_are_ignored_and_all_others_kept() {
    let samples = samples("commits");
    let known = commit(&samples["unknown-fields"]);
    let mut encoded = text(&known.encode());
    // The content of an event is kept as it was stored, with fields that only others know.
    encoded = encoded.replace(r#","currency":{"code":"EUR"}"#, "");
    encoded = encoded.replace(r#""actor""#, r#""causation_id":"basket 3","actor""#);
    assert_eq!(encoded, samples["all-fields"]);
}

#[test]
fn a_commit_has_the_documented_fields_in_the_documented_order() {
    let event = AccountEvent::MoneyDeposited { amount: 5, balance: 305 };
    let event_id = "019b7715-e400-7000-8000-000000000001".parse().expect("a UUID");
    let commit = Commit {
        v: 1,
        aggregate: AggregateRef { aggregate_type: "account".into(), id: "ann".into() },
        first_version: Version(4),
        command: "DepositMoney".into(),
        command_id: "order-8".into(),
        fingerprint: Some("44136fa355b3678a1146ad16f7e8649e".into()),
        time: time(),
        correlation_id: Some("order 8".into()),
        causation_id: Some("basket 3".into()),
        actor: Some("till-1".into()),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        metadata: BTreeMap::new(),
        events: vec![encode::<Account>(event_id, &event).expect("an event")],
        refused: None,
    };
    let samples = samples("commits");
    assert_eq!(text(&commit.encode()), samples["all-fields"]);
    let others = [("time", "2026-11-22T10:59:59Z"), ("shop", "Zürich")];
    let metadata = others.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let committed = Commit { command: "Commit".into(), metadata, ..commit.clone() };
    assert_eq!(text(&committed.encode()), samples["metadata"]);
    let refused = Commit {
        first_version: Version(3),
        command: "WithdrawMoney".into(),
        command_id: "order-7".into(),
        correlation_id: None,
        causation_id: None,
        actor: None,
        traceparent: None,
        events: Vec::new(),
        refused: Some(overdrawn()),
        ..commit
    };
    assert_eq!(text(&refused.encode()), samples["refused"]);
}

#[test]
fn a_claim_has_the_documented_fields_in_the_documented_order() {
    assert_eq!(text(&claim().encode()), samples("claims")["claim"]);
}

#[test]
fn what_is_read_is_written_again_byte_for_byte() {
    for (name, value) in samples("commits") {
        if name != "unknown-fields" {
            assert_eq!(text(&commit(&value).encode()), value, "{name}");
        }
    }
}

#[test]
fn a_record_of_a_newer_version_is_told_from_a_broken_one() {
    let value = samples("commits").remove("all-fields").expect("a sample");
    let newer = value.replace(r#""v":1"#, r#""v":2"#);
    assert!(matches!(Commit::decode(newer.as_bytes()), Err(Unreadable::Newer(2))));
    let of_another_shape = br#"{"v":3,"aggregates":[]}"#;
    assert!(matches!(Commit::decode(of_another_shape), Err(Unreadable::Newer(3))));
    assert!(matches!(Claim::decode(of_another_shape), Err(Unreadable::Newer(3))));
    for broken in ["", "garbage", "{}", r#"{"v":1}"#, &value[1..], &value.replace("2026", "2O26")] {
        let read = Commit::decode(broken.as_bytes());
        assert!(matches!(read, Err(Unreadable::Malformed(_))), "{broken}");
    }
}

#[test]
fn an_event_of_a_newer_binary_is_told_from_a_broken_one() {
    let value = samples("commits").remove("money-deposited").expect("a sample");
    let read = |value: &str| decode::<Account>(&commit(value).events[0]).expect_err("unreadable");
    let renamed = read(&value.replace("MoneyDeposited", "MoneyBurnt"));
    assert!(matches!(&renamed, Undecodable::UnknownType(tag) if tag == "MoneyBurnt"));
    let newer = read(&value.replace(r#""schema":"1""#, r#""schema":"2""#));
    assert!(matches!(newer, Undecodable::NewerSchema { schema: 2, known: 1, .. }));
    let broken = read(&value.replace("500", "\"500\""));
    assert!(matches!(broken, Undecodable::Malformed { .. }) && !broken.is_newer());
}

#[test]
fn commands_are_read_as_clients_send_them() {
    use AccountCommand::{CloseAccount, DepositMoney, OpenAccount, WithdrawMoney};
    use MessageCommand::{ConsumeMessage, ProduceMessage};

    let open = r#"{"type":"OpenAccount","owner":"Ann"}"#;
    assert_eq!(sent("OpenAccount", open), Some(OpenAccount { owner: "Ann".into() }));
    let deposit = r#"{"type":"DepositMoney","amount":-500}"#;
    assert_eq!(sent("DepositMoney", deposit), Some(DepositMoney { amount: -500 }));
    let withdraw = r#"{"amount":200,"type":"WithdrawMoney"}"#;
    assert_eq!(sent("WithdrawMoney", withdraw), Some(WithdrawMoney { amount: 200 }));
    assert_eq!(sent("CloseAccount", r#"{"type":"CloseAccount"}"#), Some(CloseAccount {}));
    let produce = r#"{"type":"ProduceMessage","text":"hello"}"#;
    assert_eq!(sent("ProduceMessage", produce), Some(ProduceMessage { text: "hello".into() }));
    assert_eq!(sent("ConsumeMessage", r#"{"type":"ConsumeMessage"}"#), Some(ConsumeMessage {}));
}

#[test]
fn a_command_that_cannot_be_obeyed_to_the_letter_is_not_read() {
    for amount in ["1.5", "\"5\"", "1e3", "9223372036854775808", "null"] {
        let json = format!(r#"{{"type":"DepositMoney","amount":{amount}}}"#);
        assert_eq!(sent::<AccountCommand>("DepositMoney", &json), None, "{json}");
    }
    let forced = r#"{"type":"CloseAccount","force":true}"#;
    assert_eq!(sent::<AccountCommand>("CloseAccount", forced), None);
}

/// Every sample of a kind, of every version of the format, by name.
fn samples(kind: &str) -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples/v1").join(kind);
    let mut samples = BTreeMap::new();
    for file in fs::read_dir(folder).expect("a folder of samples") {
        let path = file.expect("a file").path();
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        let value = fs::read_to_string(&path).expect("a text");
        samples.insert(name, value.trim_end().to_owned()); // a record has no end of line
    }
    samples
}

fn commit(value: &str) -> Commit<'_> {
    let read = Commit::decode(value.as_bytes());
    read.map_err(|error| format!("{error} in {value}")).expect("a commit")
}

fn meaning_of(commit: &Commit<'_>) -> String {
    if let Some(refusal) = &commit.refused {
        return said(&[refusal]);
    }
    match &*commit.aggregate.aggregate_type {
        "account" => said(&events::<Account>(&commit.events)),
        "message" => said(&events::<Message>(&commit.events)),
        _ => said(&commit.events),
    }
}

/// Checks the events of one aggregate in these records.
fn check_samples<A: Aggregate>(records: &BTreeMap<String, String>) {
    let commits = records.values().map(|value| commit(value));
    let of_aggregate = commits.filter(|it| it.aggregate.aggregate_type == A::TYPE);
    let stored: Vec<(String, A::Event)> = of_aggregate
        .flat_map(|commit| {
            let json = commit.events.iter().map(|it| serde_json::to_string(it).expect("JSON"));
            json.zip(events::<A>(&commit.events)).collect::<Vec<_>>()
        })
        .collect();
    let stored: Vec<_> = stored.iter().map(|(json, it)| (json.as_str(), it.clone())).collect();
    check_stored_events::<A>(&stored);
}

fn events<A: Aggregate>(stored: &[StoredEvent<'_>]) -> Vec<A::Event> {
    stored.iter().map(|event| decode::<A>(event).expect("an event of today")).collect()
}

fn said<T: Debug>(things: &[T]) -> String {
    format!("{things:?}")
}

fn sent<'a, C: Deserialize<'a>>(tag: &'a str, json: &'a str) -> Option<C> {
    C::deserialize(&Tagged::within(tag, json)).ok()
}

fn overdrawn() -> Refusal {
    Refusal::new("insufficient_funds", "the balance is 500, 900 were asked for")
}

fn claim() -> Claim {
    Claim {
        v: 1,
        claim_id: Uuid::from_u128(0x019b_7715_e400_7000_8000_0000_0000_c1a1),
        node: "node-a".into(),
        instance: Uuid::from_u128(0x019b_7715_e400_7000_8000_0000_0000_00aa),
        address: "http://127.0.0.1:8080".into(),
        partitions: 16,
        hash: "murmur2".into(),
        time: time(),
        policies: Vec::new(),
    }
}

fn time() -> Time {
    "2026-11-22T10:00:00.000Z".parse().expect("a time")
}

fn text(value: &[u8]) -> String {
    String::from_utf8(value.to_vec()).expect("JSON is UTF-8")
}
