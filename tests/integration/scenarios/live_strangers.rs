//! Records that others write into the topic of a running service: counted, shown, and never in the
//! way of anything but the aggregate that they hit.

use std::time::{Duration, Instant};

use retell::adapters::kafka::KafkaLog;
use retell::config::KafkaAddress;
use retell::events::{Claim, RECORD_VERSION};
use retell::log::{Fold, PARTITION_HASH, Partitions, Tracker};
use retell::ports::EventLog;
use retell::{Offset, Partition, Time};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::app::Answer;
use crate::support::forge::{Forged, Header, forge};
use crate::support::kafka::shared_brokers;
use crate::support::log::{P0, P1};
use crate::support::log_config;
use crate::support::process::Process;
use crate::support::redis::shared_url;
use crate::support::stranger::{drop_apart, end_transaction, kcat, transaction};

const GARBAGE: &[u8] = b"{\"v\":1,";

type Headers = Vec<(&'static str, String)>;

/// A service on a topic of its own, into whose partition 0 others write.
struct Scene {
    address: KafkaAddress,
    service: Process,
    /// An account in partition 0, and one elsewhere; both are open and hold nothing.
    ann: String,
    bob: String,
}

impl Scene {
    async fn start() -> Self {
        let topic = format!("test-{}", Uuid::now_v7());
        let address = KafkaAddress { brokers: shared_brokers(), topic };
        let service = Process::start_on(&address.brokers, &address.topic, &shared_url()).await;
        let (ann, bob) = (id_in(P0, 0), id_in(P1, 0));
        let scene = Self { address, service: service.ready().await, ann, bob };
        for id in [&scene.ann, &scene.bob] {
            scene.service.open(id, "Ann").await.ok();
        }
        scene
    }

    /// After kill -9.
    async fn restarted(mut self) -> Self {
        self.service.kill();
        self.service.spawn();
        self.service.wait_ready().await;
        self
    }

    /// Where the validity fold of partition 0 stands at the log's end.
    async fn fold(&self) -> Fold {
        let log = KafkaLog::connect(&self.address, &log_config(4)).expect("the settings are right");
        let mut reader = log.reader(P0, Offset(0)).await.expect("a reader");
        let mut tracker = Tracker::default();
        loop {
            let chunk = reader.next(1_000, 1 << 20).await.expect("a chunk");
            for record in &chunk.records {
                tracker.step(record.offset, record.time, &record.stamp, &record.value);
            }
            if chunk.at_end {
                return tracker.fold();
            }
        }
    }

    /// Writes one record with each of these headers to partition 0.
    async fn forge(&self, key: Option<&str>, value: &[u8], all: &[Headers]) {
        let all: Vec<Vec<Header<'_>>> = all
            .iter()
            .map(|headers| headers.iter().map(|(k, v)| (k.as_bytes(), Some(v.as_bytes()))))
            .map(Iterator::collect)
            .collect();
        let record = |headers| Forged { key: key.map(str::as_bytes), value: Some(value), headers };
        let forged: Vec<_> = all.iter().map(|headers| record(headers.as_slice())).collect();
        forge(&self.address.brokers, &self.address.topic, &forged).await;
    }

    async fn withdraw(&self, id: &str, amount: i64) -> Answer {
        self.service.command(id, &json!({"type": "WithdrawMoney", "amount": amount})).await
    }

    /// What status says of partition 0, once it is what `is` likes.
    async fn partition(&self, is: impl Fn(&Value) -> bool) -> Value {
        let likes = |answer: &Answer| is(&answer.json()["partitions"][0]);
        self.service.eventually("/admin/status", likes).await.json()["partitions"][0].take()
    }

    /// Every command and every query can be answered, and nothing is held back.
    async fn assert_unharmed(&self) {
        self.service.get("/health/ready").await.expect("an answer").ok();
        let status = self.service.get("/admin/status").await.expect("an answer").json();
        for partition in status["partitions"].as_array().expect("partitions") {
            assert_eq!((&partition["alarms"], &partition["unreadable"]), (&json!(0), &json!(0)));
        }
        for projection in status["projections"].as_array().expect("projections") {
            assert_eq!(projection["parked"], 0, "{projection}");
        }
    }

    /// A deposit is done and seen, in a time in which nothing waits for a timeout.
    async fn assert_takes(&self, id: &str, amount: i64, balance: i64) {
        let begun = Instant::now();
        let done = self.service.deposit(id, amount).await.ok();
        let view = self.service.view(id, done.header("retell-position")).await;
        assert_eq!(view["balance"], balance, "{view}");
        assert!(begun.elapsed() < Duration::from_secs(5), "it took {:?}", begun.elapsed());
    }
}

/// One of the ids whose accounts are in this partition.
fn id_in(partition: Partition, nth: usize) -> String {
    let partitions = Partitions::new(4).expect("some");
    let ids = (0..).map(|i| format!("a{i}"));
    let mut ids = ids.filter(|id| partitions.of(&format!("account/{id}")) == partition);
    ids.nth(nth).expect("there is no end of them")
}

fn commit(term: u64, chain: u64) -> Headers {
    let (term, chain) = (term.to_string(), chain.to_string());
    vec![("kind", "commit".to_owned()), ("term", term), ("chain", chain)]
}

fn claim(term: u64) -> Headers {
    vec![("kind", "claim".to_owned()), ("term", term.to_string())]
}

/// A claim as a process of ours would write it.
fn claim_from(node: &str) -> Vec<u8> {
    let claim = Claim {
        v: RECORD_VERSION,
        claim_id: Uuid::now_v7(),
        node: node.to_owned(),
        instance: Uuid::now_v7(),
        address: "http://nowhere:1".to_owned(),
        partitions: 4,
        hash: PARTITION_HASH.to_owned(),
        time: Time::from_millis(0),
        policies: Vec::new(),
    };
    claim.encode()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_do_not_count_are_shown_and_change_nothing() {
    let scene = Scene::start().await;
    let Fold { term, next_chain } = scene.fold().await;
    let (term, chain) = (term.0, next_chain.0);
    let with = |mut headers: Headers, name, value: &str| {
        headers.push((name, value.to_owned()));
        headers
    };
    let foreign = [
        vec![],
        vec![("kind", "commit".to_owned())],
        with(vec![], "who", "somebody else"),
        with(commit(term, chain), "chain", &chain.to_string()),
        with(commit(term, chain), "kind", "commit"),
        with(claim(term + 1), "term", &(term + 1).to_string()),
        vec![("kind", "claims".to_owned()), ("term", (term + 1).to_string())],
        vec![("kind", "claim".to_owned()), ("term", format!("0{}", term + 1))],
        vec![("kind", "claim".to_owned()), ("term", "-1".to_owned())],
    ];
    let void = [
        commit(term, chain + 100_000),
        commit(term, chain - 1),
        commit(term - 1, 0),
        commit(term + 1, 0),
        commit(u64::MAX, u64::MAX),
        claim(term),
        claim(term + 2),
        claim(u64::MAX),
    ];
    let key = format!("account/{}", scene.ann);
    let mut deposits = 0;
    for value in [GARBAGE, &claim_from("nowhere"), b""] {
        for headers in [&foreign[..], &void] {
            // While commands are in flight, and on the way of the next ones.
            let commands = (0..20).map(|_| scene.service.deposit(&scene.ann, 1));
            let forging = scene.forge(Some(&key), value, headers);
            let (answers, ()) = tokio::join!(futures_util::future::join_all(commands), forging);
            answers.into_iter().for_each(|answer| drop(answer.ok()));
            scene.withdraw(&scene.ann, 1_000).await.problem(422, "insufficient_funds");
            deposits += 21;
            scene.assert_takes(&scene.ann, 1, deposits).await;
        }
    }
    scene.assert_takes(&scene.bob, 1, 1).await;
    let (foreign, void) = (3 * foreign.len(), 3 * void.len());
    let is_counted =
        |it: &Value| it["records"]["foreign"] == foreign && it["records"]["void"] == void;
    let partition = scene.partition(is_counted).await;
    assert_eq!((&partition["state"], &partition["term"]), (&json!("owner"), &json!(term)));
    scene.assert_unharmed().await;
    let shown = scene.service.cli(&["status"], "").await;
    let line = shown.stdout.lines().find(|line| line.starts_with("0 ")).expect("partition 0");
    let numbers: Vec<_> = line.split_whitespace().rev().take(3).collect();
    assert_eq!(numbers, ["0", &foreign.to_string(), &void.to_string()], "{line}");
}

/// The same as an operator might do it by mistake, from a shell.
#[tokio::test(flavor = "multi_thread")]
async fn what_kcat_writes_is_shown_and_changes_nothing() {
    let scene = Scene::start().await;
    let key = format!("account/{}", scene.ann);
    let chain = format!("chain={}", scene.fold().await.next_chain);
    let write = async |headers: &[&str], lines: &str| {
        let mut arguments = vec!["-k", key.as_str()];
        headers.iter().for_each(|header| arguments.extend(["-H", header]));
        kcat(&scene.address.brokers, &scene.address.topic, &arguments, lines).await;
    };
    write(&[], "one\ntwo\n").await;
    write(&["kind=commit", "term=1", &chain, &chain], "doubled\n").await;
    write(&["kind=commit", "term=1", "chain=77"], "wrong\n").await;
    write(&["kind=claim", "term=9"], "from nowhere\n").await;
    scene.assert_takes(&scene.ann, 5, 5).await;
    let is_counted = |it: &Value| it["records"]["foreign"] == 3 && it["records"]["void"] == 2;
    scene.partition(is_counted).await;
    scene.assert_unharmed().await;
}

/// It takes the place of the writer's next record, so the writer must notice and begin a new term.
#[tokio::test(flavor = "multi_thread")]
async fn garbage_with_the_right_term_and_number_holds_back_its_aggregate_only() {
    let scene = Scene::start().await;
    let (cat, dan) = (id_in(P0, 1), id_in(P0, 2));
    for id in [&cat, &dan] {
        scene.service.open(id, "Cat").await.ok();
    }
    scene.assert_takes(&scene.ann, 5, 5).await;
    let Fold { term, next_chain } = scene.fold().await;
    let counts = commit(term.0, next_chain.0);
    scene.forge(Some(&format!("account/{}", scene.ann)), GARBAGE, &[counts]).await;
    // The writer's own record now lands with a number that is taken.
    scene.assert_takes(&cat, 7, 7).await;
    scene.service.deposit(&scene.ann, 1).await.problem(503, "history_unreadable");
    scene.assert_takes(&scene.bob, 3, 3).await;
    let partition = scene.partition(|it| it["alarms"] == 1 && it["state"] == "owner").await;
    assert_eq!((&partition["unreadable"], &partition["term"]), (&json!(1), &json!(term.0 + 1)));
    // Once more, while the writer is idle and learns of it by looking; with no aggregate as key.
    let Fold { term, next_chain } = scene.fold().await;
    scene.forge(Some("nonsense"), b"", &[commit(term.0, next_chain.0)]).await;
    scene.partition(|it| it["alarms"] == 3 && it["term"] == term.0 + 1).await;
    scene.assert_takes(&dan, 7, 7).await;
    scene.service.wait_ready().await;
    let view = scene.service.get(&format!("/projections/accounts/{}", scene.ann)).await;
    assert_eq!(view.expect("an answer").ok().json()["balance"], 5, "as it was before");
    let status = scene.service.get("/admin/status").await.expect("an answer").json();
    let accounts = &status["projections"].as_array().expect("projections")[1];
    assert_eq!((&accounts["name"], &accounts["parked"]), (&json!("accounts"), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_readable_claim_from_nowhere_is_followed_and_a_restart_takes_the_partition_back() {
    let scene = Scene::start().await;
    scene.assert_takes(&scene.ann, 5, 5).await;
    let term = scene.fold().await.term.0 + 1;
    scene.forge(None, &claim_from("nowhere"), &[claim(term)]).await;
    scene.partition(|it| it["state"] == "deposed").await;
    let refused = scene.service.deposit(&scene.ann, 1).await.problem(503, "no_owner");
    assert!(refused.contains("nowhere"), "{refused}");
    let not_ready = scene.service.get("/health/ready").await.expect("an answer");
    not_ready.problem(503, "not_ready");
    let reasons = not_ready.json()["reasons"].clone();
    assert_eq!(reasons.as_array().map(Vec::len), Some(1), "only partition 0: {reasons}");
    assert_eq!(reasons[0]["code"], "partition_deposed");
    assert!(reasons[0]["detail"].as_str().is_some_and(|it| it.contains("nowhere")), "{reasons}");
    // Its views are there, and the other partitions go on.
    let view = scene.service.get(&format!("/projections/accounts/{}", scene.ann)).await;
    assert_eq!(view.expect("an answer").ok().json()["balance"], 5);
    scene.assert_takes(&scene.bob, 3, 3).await;
    // What comes later is counted, and it is said who rules now.
    scene.forge(None, GARBAGE, &[vec![], claim(term)]).await;
    scene.partition(|it| it["records"]["foreign"] == 1 && it["records"]["void"] == 1).await;
    scene.forge(None, &claim_from("elsewhere"), &[claim(term + 1)]).await;
    let is_told = |it: &Value| it["by"].as_str().is_some_and(|by| by.contains("elsewhere"));
    scene.partition(is_told).await;
    let scene = scene.restarted().await;
    scene.assert_takes(&scene.ann, 1, 6).await;
    scene.assert_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_claims_from_nowhere_are_answered_by_claims() {
    let scene = Scene::start().await;
    let term = scene.fold().await.term.0;
    for round in 1..=3 {
        // With commands in flight, whose records are void behind the claim.
        let commands = (0..20).map(|_| scene.service.deposit(&scene.ann, 1));
        let next = [claim(term + 2 * round - 1)];
        let claiming = scene.forge(None, GARBAGE, &next);
        let (answers, ()) = tokio::join!(futures_util::future::join_all(commands), claiming);
        answers.into_iter().for_each(|answer| drop(answer.ok()));
        let is_owner = |it: &Value| it["state"] == "owner" && it["term"] == term + 2 * round;
        scene.partition(is_owner).await;
    }
    scene.assert_takes(&scene.ann, 1, 61).await;
    scene.assert_takes(&scene.bob, 3, 3).await;
    scene.assert_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_hangs_holds_neither_commands_nor_views_back() {
    let scene = Scene::start().await;
    let (brokers, topic) = (&scene.address.brokers, &scene.address.topic);
    let mut balance = 0;
    for commit in [true, false] {
        let hanging = transaction(brokers, topic, "hanging").await;
        let begun = Instant::now();
        scene.withdraw(&scene.ann, 100).await.problem(422, "insufficient_funds");
        balance += 5;
        scene.assert_takes(&scene.ann, 5, balance).await;
        scene.withdraw(&scene.ann, 100).await.problem(422, "insufficient_funds");
        assert!(begun.elapsed() < Duration::from_secs(5), "it took {:?}", begun.elapsed());
        // A mark that no reader gets takes an offset.
        end_transaction(hanging, commit).await;
        scene.withdraw(&scene.ann, 100).await.problem(422, "insufficient_funds");
        balance += 1;
        scene.assert_takes(&scene.ann, 1, balance).await;
    }
    let hanging = transaction(brokers, topic, "hanging").await;
    let replayed = scene.service.cli(&["replay", "accounts"], "").await;
    assert_eq!(replayed.code, 0, "{}", replayed.stderr);
    scene.partition(|it| it["records"]["foreign"] == 3).await;
    scene.assert_unharmed().await;
    let scene = scene.restarted().await;
    scene.assert_takes(&scene.ann, 1, balance + 1).await;
    drop_apart(hanging).await;
}
