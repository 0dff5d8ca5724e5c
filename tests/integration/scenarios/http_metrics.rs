//! The numbers of a process: all that are documented, no others, and they move with what happens.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use retell::adapters::SystemClock;
use retell::adapters::memory::MemoryLog;
use retell::log::{Chain, Flaw, Stamp, Term};
use serde_json::json;
use uuid::Uuid;

use crate::support::app::{Answer, TestApp};
use crate::support::kafka::shared_brokers;
use crate::support::process::Process;
use crate::support::redis::shared_url;
use crate::support::writers::partitions;

use super::http_log::append;

const DOCUMENTED: &str = include_str!("../../../docs/metrics.md");

#[tokio::test]
async fn every_family_is_documented_with_its_type_and_labels_and_no_other() {
    let app = TestApp::spawn().await;
    app.open_account("ann", "Ann").await.ok();
    let documented: BTreeMap<&str, (&str, BTreeSet<&str>)> = documented().collect();
    let text = metrics(&app).await;
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let families: BTreeMap<&str, &str> = families.filter_map(|it| it.split_once(' ')).collect();
    let listed = documented.iter().map(|(name, (kind, _))| (*name, *kind)).collect();
    assert_eq!(families, listed);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, labels) = named(line);
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|it| name.strip_suffix(it));
        let family = family.filter(|family| documented.contains_key(family)).unwrap_or(name);
        let (_, wanted) = documented.get(family).unwrap_or_else(|| panic!("{line}"));
        let labels: BTreeSet<&str> = labels.into_iter().filter(|label| *label != "le").collect();
        assert_eq!(labels, *wanted, "{line}");
    }
}

#[tokio::test]
async fn numbers_move_with_what_happens() {
    let app = TestApp::spawn().await;
    let opened = app.open_account("ann", "Ann").await.ok();
    app.view("accounts", "ann", &opened).await.ok();
    app.withdraw("ann", 5).await.problem(422, "insufficient_funds");
    let text = metrics(&app).await;
    for (sample, wanted) in [
        ("retell_commands_total{aggregate=\"account\",outcome=\"done\"}", "1"),
        ("retell_commands_total{aggregate=\"account\",outcome=\"refused\"}", "1"),
        ("retell_command_seconds_count{aggregate=\"account\"}", "2"),
        ("retell_append_seconds_count", "1"),
        ("retell_record_bytes_count", "1"),
        ("retell_ready", "1"),
        ("retell_partition_owned{partition=\"0\"}", "1"),
    ] {
        assert_eq!(value(&text, sample).as_deref(), Some(wanted), "{sample}\n{text}");
    }
    let counted = |name: &str| sum(&text, name);
    assert!(counted("retell_view_commit_seconds_count{projection=\"accounts\"}") >= 1.0, "{text}");
    assert_eq!(counted("retell_projection_lag_records{projection=\"accounts\""), 0.0);
    assert!(counted("process_cpu_seconds_total") > 0.0, "{text}");
}

/// Each is another one there, so that none stands for another here.
#[tokio::test]
async fn the_numbers_of_the_log_are_those_of_the_status() {
    let log = Arc::new(MemoryLog::new(partitions(1), Arc::new(SystemClock)));
    let app = TestApp::spawn_on(log.clone(), |_| {}).await;
    app.open_account("ann", "Ann").await.ok();
    for _ in 0..3 {
        append(&log, None, Stamp::Foreign(Flaw::Missing("kind")), b"hello").await;
    }
    for chain in 0..4 {
        let late = Stamp::Commit { term: Term(0), chain: Chain(chain) };
        append(&log, Some(b"account/ann"), late, b"{}").await;
    }
    // As if it were the writer's next; it counts, and cannot be read.
    let forged = Stamp::Commit { term: Term(1), chain: Chain(1) };
    append(&log, Some(b"account/ann"), forged, b"{}").await;
    for id in ["bob", "cat", "dan"] {
        let opened = app.open_account(id, "Bob").await.ok();
        app.view("accounts", id, &opened).await.ok();
        app.view("accounts", id, &opened).await.ok();
    }
    app.ask(app.post("/admin/projections/messages/pause", &json!({}))).await.ok();
    let is_told = |answer: &Answer| {
        let records = &answer.json()["partitions"][0]["records"];
        (&records["commits"], &records["foreign"]) == (&json!(5), &json!(3))
    };
    let status = app.eventually("/admin/status", is_told).await.json();
    let (partition, text) = (&status["partitions"][0], metrics(&app).await);
    let told = |sample: &str| value(&text, sample).unwrap_or_else(|| panic!("{sample}\n{text}"));
    for (family, field) in [
        ("retell_alarms_total", "alarms"),
        ("retell_aggregates", "aggregates"),
        ("retell_aggregates_unreadable", "unreadable"),
        ("retell_aggregate_hits_total", "hits"),
        ("retell_aggregate_misses_total", "misses"),
        ("retell_partition_term", "term"),
        ("retell_log_end", "end"),
    ] {
        let number = partition[field].as_u64().unwrap_or_else(|| panic!("{field}: {status}"));
        assert_eq!(told(&format!("{family}{{partition=\"0\"}}")), number.to_string(), "{text}");
    }
    for (mark, field) in
        [("counts", "commits"), ("claim", "claims"), ("void", "void"), ("foreign", "foreign")]
    {
        let sample = format!("retell_records_total{{partition=\"0\",mark=\"{mark}\"}}");
        assert_eq!(told(&sample), partition["records"][field].to_string(), "{mark}");
    }
    assert_ne!(partition["hits"], partition["misses"], "one would pass for the other");
    assert!(partition["alarms"].as_u64() > Some(0) && partition["unreadable"] == 1, "{partition}");
    assert!(partition["records"]["void"].as_u64() >= Some(4), "{partition}");
    assert_eq!(told("retell_projection_parked{projection=\"accounts\",partition=\"0\"}"), "1");
    assert_eq!(told("retell_projection_paused{projection=\"messages\"}"), "1");
    assert_eq!(told("retell_projection_paused{projection=\"accounts\"}"), "0");
    // Views that are in memory anyway are not kept there once more.
    assert_eq!(told("retell_view_hits_total{projection=\"accounts\"}"), "0");
    assert!(sum(&text, "retell_view_misses_total{projection=\"accounts\"}") >= 6.0, "{text}");
}

#[tokio::test]
async fn answers_are_counted_by_route_and_status_also_below_a_base_path() {
    let app = TestApp::spawn_with(|config| config.http.base_path = "/events".to_owned()).await;
    let asked = [
        ("/projections", 200),
        ("/projections/accounts/commands", 404),
        ("/admin/status?x=1", 400),
        ("/", 200),
    ];
    for (path, status) in asked {
        assert_eq!(app.get(path).await.status, status, "{path}");
    }
    // Where there is no route: beside the base path.
    let elsewhere = b"GET /commands/account/ann HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert!(app.raw(elsewhere).await.starts_with("HTTP/1.1 404 "));
    let text = metrics(&app).await;
    let counted = text.lines().filter(|line| line.starts_with("retell_http_answers_total{"));
    // The test itself has asked whether it is ready.
    let counted = counted.filter(|line| !line.contains("\"health\""));
    let expected = [
        "retell_http_answers_total{route=\"projections\",status=\"200\"} 1",
        "retell_http_answers_total{route=\"projections\",status=\"404\"} 1",
        "retell_http_answers_total{route=\"admin\",status=\"400\"} 1",
        "retell_http_answers_total{route=\"other\",status=\"200\"} 1",
        "retell_http_answers_total{route=\"other\",status=\"404\"} 1",
    ];
    assert_eq!(counted.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn numbers_that_nobody_wants_are_not_there() {
    let app = TestApp::spawn_with(|config| config.telemetry.metrics_enabled = false).await;
    app.get("/metrics").await.problem(404, "no_such_route");
}

#[tokio::test]
async fn live_the_clients_of_kafka_and_redis_tell_what_they_do() {
    let topic = format!("test-{}", Uuid::now_v7());
    let often = [("RETELL_LOG__KAFKA__STATISTICS_INTERVAL_MS", "100")];
    let service = Process::start_with(&shared_brokers(), &topic, &shared_url(), &often).await;
    let service = service.ready().await;
    let told = |answer: &Answer| {
        let text = String::from_utf8_lossy(&answer.body);
        sum(&text, "retell_kafka_brokers_connected{client=\"producer\"}") >= 1.0
            && sum(&text, "retell_kafka_sent_messages_total{client=\"producer\"}") >= 4.0
            && sum(&text, "retell_kafka_received_bytes_total{client=\"consumer\"}") > 0.0
            && sum(&text, "retell_redis_call_seconds_count{client=\"reads\"}") > 0.0
            && sum(&text, "retell_redis_connections{client=\"writes\"}") >= 1.0
    };
    service.eventually("/metrics", told).await;
}

pub(super) async fn metrics(app: &TestApp) -> String {
    let answer = app.get("/metrics").await;
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    String::from_utf8(answer.body.to_vec()).expect("text")
}

/// The rows of the list: name, type and labels.
fn documented() -> impl Iterator<Item = (&'static str, (&'static str, BTreeSet<&'static str>))> {
    let rows = DOCUMENTED.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let labels = cells[3].split('`').skip(1).step_by(2).collect();
        (cells[1].trim_matches('`'), (cells[2], labels))
    })
}

/// The name of a sample, and the names of its labels.
fn named(line: &str) -> (&str, Vec<&str>) {
    let sample = line.rsplit_once(' ').expect("a value").0;
    let Some((name, labels)) = sample.split_once('{') else { return (sample, Vec::new()) };
    let labels = labels.trim_end_matches('}').split("\",");
    (name, labels.filter_map(|label| Some(label.split_once('=')?.0)).collect())
}

pub(super) fn value(text: &str, sample: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.map(str::to_owned)
}

/// The sum of all samples that begin so.
pub(super) fn sum(text: &str, begin: &str) -> f64 {
    let lines = text.lines().filter(|line| line.starts_with(begin));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}
