//! The laws of what copies are made from and into. Each is one function; every place runs all.

use std::sync::Arc;

use retell::adapters::SystemClock;
use retell::adapters::embedded::EmbeddedLog;
use retell::log::{Stamp, Term};
use retell::ports::{CopyError, Counted, NewRecord};
use retell::{Offset, Partition, Time};
use tempfile::TempDir;

use crate::support::copies::{Pair, Place, origin_of_nothing};
use crate::support::log::{P0, P1, append_one, commit};
use crate::support::writers::partitions;
use crate::support::{kafka as broker, log_config};

/// The tests of one place: `file::law_1_…`.
macro_rules! every_law {
    ($place:ident) => {
        each!($place:
            law_1_a_reader_gives_every_commit_up_to_the_end_when_it_was_opened,
            law_2_nothing_is_written_before_begin,
            law_3_what_was_added_is_read_back,
            law_4_what_was_broken_off_is_a_beginning_and_goes_on,
            law_5_what_no_copy_has_written_is_refused,
            a_log_of_another_shape_is_refused,
        );
    };
}

/// One test for each law.
macro_rules! each {
    ($place:ident: $($law:ident,)+) => {
        mod $place {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $law() {
                    let opened = super::open::$place().await;
                    super::$law(opened.place).await;
                }
            )+
        }
    };
}

every_law!(memory);
every_law!(embedded);
every_law!(kafka);
every_law!(file);

/// A place for a log of two partitions, and what must live as long.
struct Opened {
    place: Place,
    _folder: Option<TempDir>,
}

mod open {
    use super::*;

    pub(super) async fn memory() -> Opened {
        Opened { place: Place::memory(2), _folder: None }
    }

    pub(super) async fn embedded() -> Opened {
        let folder = TempDir::with_prefix("retell-log-").expect("a folder");
        let log = EmbeddedLog::open(folder.path(), partitions(2), 1_000_000, Arc::new(SystemClock));
        Opened { place: Place::Log(Arc::new(log.expect("a log"))), _folder: Some(folder) }
    }

    pub(super) async fn kafka() -> Opened {
        let log = broker::new_log(&broker::shared_brokers(), &log_config(2)).await;
        Opened { place: Place::Log(Arc::new(log)), _folder: None }
    }

    pub(super) async fn file() -> Opened {
        Opened { place: Place::file(), _folder: None }
    }
}

fn counted(from: u64, count: u64) -> Vec<Counted> {
    let one = |i: u64| Counted {
        offset: Offset(i),
        time: Time::from_millis(1_000),
        key: (!i.is_multiple_of(5)).then(|| format!("account/{i}").into_bytes().into()),
        value: match i % 3 {
            0 => format!(r#"{{"v":1, "i":{i}}}"#).into(),
            1 => "x".repeat(20_000).into(),
            _ => vec![0xff, 0, b'\n', u8::try_from(i % 256).expect("a byte")].into(),
        },
    };
    (from..from + count).map(one).collect()
}

fn pairs(commits: &[Counted]) -> Vec<Pair> {
    commits.iter().map(|commit| (commit.key.clone(), commit.value.clone())).collect()
}

/// One run: reads what is there, adds these, and finishes if it is let.
async fn add(place: &Place, partition: Partition, commits: &[Counted], finish: bool) -> Vec<Pair> {
    let target = place.target(&origin_of_nothing(partitions(2))).await.expect("a target");
    let mut into = target.open(partition).await.expect("a partition");
    let mut there = Vec::new();
    loop {
        let batch = into.next().await.expect("what is there");
        if batch.is_empty() {
            break;
        }
        there.extend(pairs(&batch));
    }
    let rest = commits.get(there.len()..).unwrap_or_default();
    if !rest.is_empty() {
        match into.begin().await {
            // What an earlier run had under way has landed behind what was read.
            Err(error) if error.is_retryable() => {
                return Box::pin(add(place, partition, commits, finish)).await;
            }
            begun => begun.expect("begun"),
        }
        for batch in rest.chunks(70) {
            into.add(batch).await.expect("added");
        }
    }
    if finish {
        into.settle().await.expect("settled");
        target.finish().await.expect("finished");
    }
    there
}

async fn law_1_a_reader_gives_every_commit_up_to_the_end_when_it_was_opened(place: Place) {
    let all = counted(0, 500);
    add(&place, P0, &all[..300], true).await;
    let source = place.source().await.expect("a source");
    assert!(!source.has_grown().await.expect("an answer"));
    if let Place::Log(_) = place {
        add(&place, P0, &all, true).await;
        assert!(source.has_grown().await.expect("an answer"));
    }
    let mut commits = source.commits(P0).await.expect("a reader");
    let mut read = Vec::new();
    loop {
        let batch = commits.next().await.expect("commits");
        if batch.is_empty() {
            break;
        }
        read.extend(pairs(&batch));
    }
    assert_eq!(read, pairs(&all[..300]));
    assert!(commits.next().await.expect("still the end").is_empty());
    assert!(source.records() >= 300);
}

async fn law_2_nothing_is_written_before_begin(place: Place) {
    let target = place.target(&origin_of_nothing(partitions(2))).await.expect("a target");
    for partition in [P0, P1] {
        let mut into = target.open(partition).await.expect("a partition");
        assert!(into.next().await.expect("nothing").is_empty());
    }
    match &place {
        Place::Log(log) => assert_eq!(log.end(P0).await.expect("an end"), Offset(0)),
        Place::File(_) => assert_eq!(std::fs::metadata(place.path()).expect("a file").len(), 0),
    }
}

async fn law_3_what_was_added_is_read_back(place: Place) {
    let (first, second) = (counted(0, 200), counted(1_000, 1));
    assert_eq!(add(&place, P0, &first, true).await, []);
    assert_eq!(add(&place, P1, &second, true).await, []);
    assert_eq!(place.commits().await, [pairs(&first), pairs(&second)]);
    let more = counted(0, 333);
    assert_eq!(add(&place, P0, &more, true).await, pairs(&first));
    assert_eq!(place.commits().await, [pairs(&more), pairs(&second)]);
}

async fn law_4_what_was_broken_off_is_a_beginning_and_goes_on(place: Place) {
    let all = counted(0, 400);
    for part in [&all[..150], &all[..300], &all] {
        add(&place, P0, part, false).await;
    }
    let there = add(&place, P0, &all, true).await;
    assert!(pairs(&all).starts_with(&there));
    assert_eq!(place.commits().await, [pairs(&all), vec![]]);
}

async fn law_5_what_no_copy_has_written_is_refused(place: Place) {
    match &place {
        Place::Log(log) => {
            let mut appender = log.appender(P0).await.expect("an appender");
            let stamp = Stamp::Claim { term: Term(1) };
            let value = br#"{"v":1}"#;
            append_one(appender.as_mut(), NewRecord { key: None, stamp, value }).await;
            let record = NewRecord { key: None, stamp: commit(0), value };
            append_one(appender.as_mut(), record).await;
        }
        Place::File(_) => std::fs::write(place.path(), "dear diary\n").expect("written"),
    }
    let target = place.target(&origin_of_nothing(partitions(2))).await;
    let refused = match target {
        Err(error) => error.to_string(),
        Ok(target) => {
            let mut into = target.open(P0).await.expect("a partition");
            into.next().await.expect_err("refused").to_string()
        }
    };
    let said = ["has claimed the target at 0@0", "line 1: is no copy of a log"];
    assert!(said.iter().any(|said| refused.contains(said)), "{refused}");
}

async fn a_log_of_another_shape_is_refused(place: Place) {
    add(&place, P0, &counted(0, 1), true).await;
    let refused = place.target(&origin_of_nothing(partitions(3))).await.err().expect("refused");
    assert!(matches!(refused, CopyError::Refused(_)), "{refused}");
    let said = refused.to_string();
    assert!(said.contains("has 3 partitions") && said.contains("the target 2"), "{said}");
}
