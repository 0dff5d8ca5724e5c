//! `retell log copy`: what it prints, with which code it ends, and on real servers.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use retell::adapters::SystemClock;
use retell::adapters::embedded::EmbeddedLog;
use retell::adapters::kafka::KafkaLog;
use retell::adapters::memory::{MemoryLog, MemoryViews};
use retell::ports::EventLog;
use retell::{Partition, Position, Positions};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::breaking::{Breaking, Fault};
use crate::support::command_line::{Ended, Served, retell};
use crate::support::copies::{Place, commits, counting, written};
use crate::support::kafka::{new_topic, shared_brokers};
use crate::support::log::in_time;
use crate::support::log_config;
use crate::support::process::Process;
use crate::support::redis::shared_url;
use crate::support::shipped::Shipped;
use crate::support::writers::partitions;

/// A folder with an embedded log in it.
struct Evening {
    folder: TempDir,
}

impl Evening {
    async fn of(log: &MemoryLog) -> Self {
        let evening = Self { folder: TempDir::with_prefix("retell-copy-").expect("a folder") };
        let target = Place::Log(Arc::new(evening.open(log.partitions().count())));
        let copied = Place::Log(Arc::new(log.clone())).copy_to(&target).await;
        assert!(copied.expect("copied").is_equal());
        evening
    }

    fn open(&self, count: u32) -> EmbeddedLog {
        let dir = self.folder.path().join("log");
        let opened = EmbeddedLog::open(&dir, partitions(count), 1_000_000, Arc::new(SystemClock));
        opened.expect("a log")
    }

    fn url(&self) -> String {
        format!("embedded:{}/log", self.folder.path().display())
    }

    fn file(&self) -> String {
        format!("file:{}/copy.ndjson", self.folder.path().display())
    }

    fn other(&self) -> String {
        format!("embedded:{}/other", self.folder.path().display())
    }
}

async fn copy(from: &str, to: &str) -> Ended {
    retell(&["log", "copy", "--from", from, "--to", to], "").await
}

async fn copied(from: &str, to: &str) -> Value {
    let ended = retell(&["log", "copy", "--from", from, "--to", to, "--json"], "").await;
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{ended:?}");
    serde_json::from_str(&ended.stdout).expect("JSON")
}

fn numbers(count: u64) -> Vec<String> {
    (0..count).map(|i| format!(r#"{{"v":1,"i":{i}}}"#)).collect()
}

#[tokio::test]
async fn a_copy_says_what_it_did_to_people_and_to_programs() {
    let log = written(&[commits(numbers(12)), commits([])]).await;
    let evening = Evening::of(&log).await;
    let first = copied(&evening.url(), &evening.file()).await;
    assert_eq!(first["from"], evening.url());
    assert_eq!((&first["records"], &first["copied"]), (&json!(12), &json!(12)));
    assert_eq!((&first["is_equal"], &first["has_grown"]), (&json!(true), &json!(false)));
    let partition = &first["partitions"][0];
    assert_eq!(partition["source"], partition["target"]);
    assert_eq!(partition["source"]["records"], 12);
    assert_eq!(partition["left_behind"], json!({"void": 0, "foreign": 0}));
    let again = copy(&evening.url(), &evening.file()).await;
    assert_eq!(again.code, 0, "{again:?}");
    assert!(
        again.stdout.contains("copied 0 of 12 records; the target holds the same"),
        "{again:?}"
    );
    let sum = partition["source"]["sha256"].as_str().expect("a sum");
    let row = format!("0          12      12      0       0            {}  same", &sum[..16]);
    assert!(again.stdout.contains(&row), "{row}\n{}", again.stdout);
}

#[tokio::test]
async fn wrong_usage_of_a_copy_ends_with_2_and_touches_nothing() {
    let folder = TempDir::with_prefix("retell-copy-").expect("a folder");
    let to = format!("file:{}/x", folder.path().display());
    for arguments in [
        &["log"][..],
        &["log", "copy"],
        &["log", "copy", "--from", "embedded:x"],
        &["log", "copy", "--from", "memory:", "--to", &to],
        &["log", "copy", "--from", "file:-", "--to", &to],
        &["log", "copy", "--from", "backup.ndjson", "--to", &to],
        &["log", "copy", "--from", &to, "--to", &to],
        &["log", "copy", "--from", "embedded:x", "--to", &to, "--config", "no-such-file"],
    ] {
        let ended = retell(arguments, "").await;
        assert_eq!(ended.code, 2, "{arguments:?}: {ended:?}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

#[tokio::test]
async fn what_cannot_be_copied_ends_with_1_and_says_why() {
    let evening = Evening::of(&written(&[commits(numbers(3)), commits([])]).await).await;
    let nowhere = copy(&evening.other(), &evening.file()).await;
    assert_eq!(nowhere.code, 1, "{nowhere:?}");
    assert!(nowhere.stderr.contains("there is no log in"), "{nowhere:?}");
    assert!(!evening.folder.path().join("other").exists(), "a source is never made");
    let no_file = copy(&evening.file(), &evening.other()).await;
    assert!(no_file.code == 1 && no_file.stderr.contains("No such file"), "{no_file:?}");

    let three = Evening::of(&written(&[commits([]), commits([]), commits([])]).await).await;
    let refused = copy(&evening.url(), &three.url()).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    for said in ["has 2 partitions", "the target 3", "partition_by", "use a target with 2"] {
        assert!(refused.stderr.contains(said), "{said}: {refused:?}");
    }

    let other = Evening::of(&written(&[commits(numbers(2)), commits(numbers(1))]).await).await;
    let refused = copy(&evening.url(), &other.url()).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    let said = "holds more than the source: partition 1 of the source has 0 commits";
    assert!(refused.stderr.contains(said), "{refused:?}");
    assert!(refused.stderr.contains("nothing was written"), "{refused:?}");
}

#[tokio::test]
async fn a_log_on_which_a_service_runs_or_ran_is_no_target() {
    let folder = TempDir::with_prefix("retell-copy-").expect("a folder");
    let url = format!("embedded:{}/log", folder.path().display());
    let file = format!("file:{}/copy.ndjson", folder.path().display());
    let service = Served::start(folder.path()).await;
    let locked = copy(&url, &file).await;
    assert_eq!(locked.code, 1, "{locked:?}");
    assert!(locked.stderr.contains("stop the service"), "{locked:?}");
    service.end_by("-TERM").await;
    let source = Evening::of(&written(&vec![commits([]); 8]).await).await;
    let claimed = copy(&source.url(), &url).await;
    assert_eq!(claimed.code, 1, "{claimed:?}");
    let said =
        ["has claimed the target at ", "a service runs on it, or did", "nothing was written"];
    assert!(said.iter().all(|said| claimed.stderr.contains(said)), "{claimed:?}");
}

/// Verified means verified: what somebody else makes void is found by reading the target again.
#[tokio::test]
async fn a_copy_that_somebody_deposes_is_told_to_differ() {
    let log = written(&[commits(numbers(9))]).await;
    let (source, target) =
        (Place::Log(Arc::new(log)), MemoryLog::new(partitions(1), Arc::new(SystemClock)));
    let deposed = Breaking::at(target.clone(), Fault::Deposed, 5);
    let report = source.copy_to(&Place::Log(Arc::new(deposed))).await.expect("an end");
    assert!(!report.is_equal(), "{report:?}");
    assert_eq!(report.partitions[0].target.records, 4);
    let refused = source.copy_to(&Place::Log(Arc::new(target))).await.expect_err("refused");
    assert!(refused.to_string().contains("somebody has claimed"), "{refused}");
}

/// The way to production and back, on the real broker.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_on_the_copy_serves_the_same_views_and_goes_on_writing() {
    let evening = Evening { folder: TempDir::with_prefix("retell-copy-").expect("a folder") };
    let (views, ids) = first_evening(evening.open(4)).await;
    let brokers = shared_brokers();
    let topic = new_topic(&brokers).to_string();
    let to_kafka = copied(&evening.url(), &topic).await;
    let to_file = copied(&topic, &evening.file()).await;
    let back = copied(&evening.file(), &evening.other()).await;
    let sums = |copied: &Value| -> Vec<Value> {
        let partitions = copied["partitions"].as_array().expect("partitions");
        partitions.iter().flat_map(|at| [at["source"].clone(), at["target"].clone()]).collect()
    };
    assert_eq!(to_kafka["records"], json!(3 * ids.len()));
    assert_eq!((sums(&to_kafka), sums(&to_file)), (sums(&to_file), sums(&back)));

    let name = topic.rsplit('/').next().expect("a topic");
    let service = Process::start_on(&brokers, name, &shared_url()).await.ready().await;
    for (id, view) in ids.iter().zip(&views) {
        let path = format!("/projections/accounts/{id}");
        let same = service.eventually(&path, |answer| answer.body == *view).await;
        assert_eq!(same.status, 200);
        let done = service.deposit(id, 1).await.ok();
        assert_eq!(done.json()["version"], 4, "the next version");
    }
    drop(service);
    let again = copied(&topic, &evening.file()).await;
    assert_eq!((&again["records"], &again["copied"]), (&json!(4 * ids.len()), &json!(ids.len())));
    let refused = copy(&evening.url(), &topic).await;
    assert_eq!(refused.code, 1, "a service has written there: {refused:?}");
}

/// Some accounts in an embedded log, and the bytes of their views.
async fn first_evening(log: EmbeddedLog) -> (Vec<Vec<u8>>, Vec<String>) {
    let store = MemoryViews::new(Arc::new(SystemClock));
    let shipped = Shipped::start(Arc::new(log), Arc::new(store)).await;
    let ids: Vec<_> = (0..20).map(|i| format!("a{i}")).collect();
    let mut views = Vec::new();
    for id in &ids {
        shipped.open(id, "Ann").await;
        shipped.deposit(id, 7).await;
        let done = shipped.deposit(id, 5).await;
        views.push(shipped.bytes("accounts", id, &at(done.position)).await);
    }
    shipped.0.stop().await;
    (views, ids)
}

fn at(position: Position) -> Positions {
    let mut positions = Positions::default();
    positions.add(position);
    positions
}

/// kill -9 of the command in the middle, and again: complete and exact.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_killed_goes_on_when_it_is_run_again() {
    let values = || (0..20_000).map(|i| format!(r#"{{"v":1,"i":{i},"x":"{}"}}"#, "x".repeat(500)));
    let log = written(&[commits(values()), commits(values())]).await;
    let (evening, address) = (Evening::of(&log).await, new_topic(&shared_brokers()));
    let (target, topic) = (KafkaLog::connect(&address, &log_config(2)), address.to_string());
    let target = target.expect("a log");
    target.check().await.expect("a topic");
    for least in [10, 200] {
        let mut child = start(&evening.url(), &topic);
        let begun = async {
            while target.end(Partition(0)).await.expect("an end").0 < least {
                tokio::task::yield_now().await;
            }
        };
        in_time("the copy to begin", begun).await;
        child.kill().expect("it runs");
        child.wait().expect("an end");
    }
    let there = counting(&target).await;
    assert!(there[0].len() < 20_000 || there[1].len() < 20_000, "killed in the middle");
    let report = copied(&evening.url(), &topic).await;
    assert_eq!((&report["is_equal"], &report["records"]), (&json!(true), &json!(40_000)));
    assert!(report["copied"].as_u64() < Some(40_000), "it goes on: {report}");
    assert_eq!(counting(&target).await, counting(&log).await);
}

fn start(from: &str, to: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_retell"));
    command.args(["log", "copy", "--from", from, "--to", to]).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary is built")
}
