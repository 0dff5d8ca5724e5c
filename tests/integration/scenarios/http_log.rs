//! `GET /events`: the log as it is stored, with whether each record counts and if not why.

use std::sync::Arc;

use retell::adapters::SystemClock;
use retell::adapters::memory::MemoryLog;
use retell::log::{Chain, Flaw, Fold, Mark, Stamp, Term};
use retell::ports::{Appender, EventLog, NewRecord};
use retell::{Offset, Partition};
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp};
use crate::support::log::read_to_end;
use crate::support::writers::partitions;

fn log(count: u32) -> Arc<MemoryLog> {
    Arc::new(MemoryLog::new(partitions(count), Arc::new(SystemClock)))
}

fn items(page: &Answer) -> Vec<Value> {
    page.json()["items"].as_array().expect("items").clone()
}

pub(super) async fn append(log: &MemoryLog, key: Option<&[u8]>, stamp: Stamp, value: &[u8]) {
    let mut appender: Box<dyn Appender> = log.appender(Partition(0)).await.expect("appender");
    appender.append(NewRecord { key, stamp, value }).expect("taken");
    appender.settled(&mut Vec::new()).await;
}

#[tokio::test]
async fn each_record_says_whether_it_counts_and_if_not_why() {
    let log = log(1);
    let app = TestApp::spawn_on(log.clone(), |_| {}).await;
    app.open_account("ann", "Ann").await.ok();
    append(&log, None, Stamp::Foreign(Flaw::Missing("kind")), b"hello").await;
    let late = Stamp::Commit { term: Term(0), chain: Chain(9) };
    append(&log, Some(b"account/ann"), late, b"{}").await;
    append(&log, None, Stamp::Claim { term: Term(9) }, b"{}").await;
    let done = app.deposit("ann", 5).await.ok();
    app.get_after("/aggregates/account/ann", &done).await.ok();
    let page = items(&app.get("/events?partition=0").await.ok());
    let marks: Vec<_> = page.iter().map(|item| item["mark"].as_str().expect("mark")).collect();
    assert_eq!(marks, ["claim", "counts", "foreign", "void", "void", "counts"]);
    assert_eq!(page[1]["events"][0]["type"], "AccountOpened");
    assert_eq!((&page[1]["version"], &page[1]["aggregate"]["id"]), (&json!(1), &json!("ann")));
    assert_eq!(page[1]["position"], "0@1");
    assert_eq!(page[2]["reason"], "has no header `kind`");
    assert_eq!(page[3]["reason"], "of term 0 while term 1 rules");
    assert_eq!(page[4]["reason"], "claims term 9 while term 1 rules");
    assert!(page[0]["node"].is_string() && page[0]["partitions"] == 1, "{}", page[0]);
    // The log's time and the writer's are two.
    let claim = app.get("/events?partition=0&limit=1").await.ok();
    let text = String::from_utf8(claim.body.to_vec()).expect("text");
    assert_eq!((text.matches("\"time\":").count(), text.matches("claimed_at").count()), (1, 1));
    for (query, wanted) in [
        ("marks=void", vec![3, 4]),
        ("marks=counts,claim", vec![0, 1, 5]),
        ("type=account", vec![1, 5]),
        ("type=MoneyDeposited", vec![5]),
        ("from=4", vec![4, 5]),
        ("from=99", vec![]),
        ("from=18446744073709551615", vec![]),
        ("from=2001-01-01T00:00:00Z", vec![0, 1, 2, 3, 4, 5]),
        ("from=2100-01-01T00:00:00Z", vec![]),
    ] {
        let found = items(&app.get(&format!("/events?partition=0&{query}")).await.ok());
        let wanted: Vec<&Value> = wanted.into_iter().map(|at: usize| &page[at]).collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "{query}");
    }
}

#[tokio::test]
async fn what_is_not_understood_is_refused() {
    let app = TestApp::spawn().await;
    for (query, code) in [
        ("partition=4", "bad_parameter"),
        ("partition=x", "bad_parameter"),
        ("from=3", "bad_parameter"),
        ("partition=0&from=soon", "bad_parameter"),
        ("marks=valid", "bad_parameter"),
        ("limit=5000", "bad_parameter"),
        ("cursor=7", "bad_parameter"),
        ("correlation-id=7", "unknown_parameter"),
    ] {
        app.get(&format!("/events?{query}")).await.problem(400, code);
    }
}

#[tokio::test]
async fn pages_over_all_partitions_join_to_the_whole_log() {
    let log = log(4);
    let app = TestApp::spawn_on(log.clone(), |config| config.history.scan_records_max = 9).await;
    for i in 0..60 {
        app.open_account(&format!("a{i}"), "Ann").await.ok();
    }
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("/events?limit=7{cursor}")).await.ok();
        found.extend(items(&page));
        match page.json()["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let mut wanted = Vec::new();
    for partition in log.partitions().iter() {
        let mut reader = log.reader(partition, Offset(0)).await.expect("reader");
        let records = read_to_end(reader.as_mut()).await;
        wanted.extend(records.iter().map(|record| format!("{partition}@{}", record.offset)));
    }
    let found: Vec<_> = found.iter().map(|it| it["position"].as_str().expect("text")).collect();
    assert_eq!(found, wanted);
}

/// L5: from wherever a page begins, its marks are those of a reader from the beginning.
#[tokio::test]
async fn the_marks_of_a_page_do_not_depend_on_where_it_begins() {
    let log = log(1);
    let mut wanted = Vec::new();
    for round in 0_u64..4 {
        let app = TestApp::spawn_on(log.clone(), |_| {}).await;
        for i in 0..150 {
            app.open_account(&format!("a{round}-{i}"), "Ann").await.ok();
            if i % 7 == 0 {
                append(&log, None, Stamp::Foreign(Flaw::Missing("kind")), b"hello").await;
                let stamp = Stamp::Commit { term: Term(round), chain: Chain(i) };
                append(&log, None, stamp, b"{}").await;
            }
        }
        let done = app.open_account(&format!("b{round}"), "Ann").await.ok();
        app.get_after(&format!("/aggregates/account/b{round}"), &done).await.ok();
        if round == 3 {
            let mut reader = log.reader(Partition(0), Offset(0)).await.expect("reader");
            let mut fold = Fold::default();
            for record in read_to_end(reader.as_mut()).await {
                wanted.push(match fold.step(&record.stamp) {
                    Mark::Counts => "counts",
                    Mark::Claim => "claim",
                    Mark::Void(_) => "void",
                    Mark::Foreign(_) => "foreign",
                });
            }
            for from in (0..wanted.len()).step_by(13) {
                let page = app.get(&format!("/events?partition=0&from={from}&limit=9")).await.ok();
                for (item, mark) in items(&page).iter().zip(&wanted[from..]) {
                    assert_eq!(item["mark"], *mark, "from {from}: {item}");
                }
            }
        }
        app.stop().await.expect("stopped");
    }
    assert!(wanted.len() > 700, "more than one waypoint: {}", wanted.len());
}
