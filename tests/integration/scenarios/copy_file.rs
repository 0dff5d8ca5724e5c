//! A copy in a file: cut off, altered, added to.

use std::path::Path;
use std::sync::Arc;

use retell::Partition;

use crate::support::copies::{Place, commits, counting, write, written};

/// A file with a copy of two runs over three partitions, one of them empty.
async fn copied_twice() -> (Place, Place) {
    let values = |from: u64| (from..from + 4).map(|i| format!(r#"{{"v":1,"i":{i}}}"#));
    let log = written(&[commits(values(0)), commits([]), commits(["\u{1}\n".to_owned()])]).await;
    let (source, file) = (Place::Log(Arc::new(log.clone())), Place::file());
    source.copy_to(&file).await.expect("a first run");
    write(&log, Partition(2), &commits(values(10))).await;
    write(&log, Partition(0), &commits(values(20))).await;
    source.copy_to(&file).await.expect("a second run");
    (source, file)
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("a file")
}

fn put(path: &Path, text: &[u8]) {
    std::fs::write(path, text).expect("written");
}

async fn refusal(file: &Place) -> String {
    file.source().await.err().expect("it is refused").to_string()
}

/// Where each line ends.
fn line_ends(text: &[u8]) -> Vec<usize> {
    (1..=text.len()).filter(|&at| text[at - 1] == b'\n').collect()
}

#[tokio::test]
async fn a_later_run_adds_to_a_file_and_changes_nothing_before() {
    let log = written(&[commits(["1".to_owned()])]).await;
    let (source, file) = (Place::Log(Arc::new(log.clone())), Place::file());
    source.copy_to(&file).await.expect("a first run");
    let first = read(&file.path());
    let report = source.copy_to(&file).await.expect("nothing new");
    assert!(report.is_equal() && report.copied() == 0, "{report:?}");
    assert_eq!(read(&file.path()), first, "a run that adds nothing writes nothing");
    write(&log, Partition(0), &commits(["2".to_owned()])).await;
    let report = source.copy_to(&file).await.expect("a second run");
    assert!(report.is_equal() && report.copied() == 1, "{report:?}");
    assert!(read(&file.path()).starts_with(&first));
    assert_eq!(file.commits().await, counting(&log).await);
}

#[tokio::test]
async fn a_file_that_was_cut_off_anywhere_is_refused_and_goes_on_to_the_same_bytes() {
    let (source, file) = copied_twice().await;
    let whole = read(&file.path());
    let ends = line_ends(&whole);
    let is_run = |line: &&usize| whole[..**line].ends_with(b"}\n") && last_line(&whole[..**line]);
    let runs: Vec<usize> = ends.iter().filter(is_run).copied().collect();
    assert_eq!(runs.len(), 2, "two runs: {runs:?}");
    let near = |cut: usize| ends.iter().any(|end| end.abs_diff(cut) <= 1);
    for cut in (0..whole.len()).filter(|&cut| cut % 37 == 0 || near(cut)) {
        put(&file.path(), &whole[..cut]);
        match file.source().await {
            Ok(_) => assert_eq!(cut, runs[0], "whole only where a run ended"),
            Err(error) => {
                let said = error.to_string();
                let line = ends.iter().filter(|end| **end < cut).count() + 1;
                let named = format!("line {line}: ");
                let is_named = said.contains(&named) || said.contains("nothing in it");
                assert!(is_named, "{cut}: {said}");
                let head = format!("`head -n {}`", ends.iter().filter(|e| **e <= runs[0]).count());
                assert_eq!(said.contains(&head), cut > runs[0], "{cut}: {said}");
            }
        }
        let report = source.copy_to(&file).await.unwrap_or_else(|error| panic!("{cut}: {error}"));
        assert!(report.is_equal(), "{cut}: {report:?}");
        if cut > runs[0] {
            assert_eq!(read(&file.path()), whole, "{cut}");
        }
    }
}

/// Whether the text ends with the end of the last partition.
fn last_line(text: &[u8]) -> bool {
    let text = std::str::from_utf8(text).expect("text");
    text.lines().last().is_some_and(|line| line.starts_with(r#"{"end":2,"#))
}

#[tokio::test]
async fn a_file_that_was_altered_anywhere_is_refused_with_the_line() {
    let (source, file) = copied_twice().await;
    let whole = read(&file.path());
    for at in (0..whole.len()).step_by(23) {
        let mut altered = whole.clone();
        altered[at] ^= 1;
        put(&file.path(), &altered);
        let line = whole[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        let said = refusal(&file).await;
        assert!(said.contains(&format!("line {line}: ")), "byte {at}: {said}");
        if at + 1 < whole.len() {
            let refused = source.copy_to(&file).await.expect_err("refused").to_string();
            assert!(refused.contains(&format!("line {line}: ")), "byte {at}: {refused}");
            assert_eq!(read(&file.path()), altered, "and not touched");
        }
    }
}

#[tokio::test]
async fn a_line_that_is_lost_moved_or_doubled_is_named() {
    let (_, file) = copied_twice().await;
    let whole = String::from_utf8(read(&file.path())).expect("text");
    let lines: Vec<&str> = whole.lines().collect();
    let count = lines.len();
    for at in 1..count - 1 {
        let mut lost = lines.clone();
        lost.remove(at);
        let mut moved = lines.clone();
        moved.swap(at, at + 1);
        let mut doubled = lines.clone();
        doubled.insert(at, lines[at]);
        for (what, lines, line) in
            [("lost", lost, at), ("moved", moved, at), ("doubled", doubled, at + 1)]
        {
            put(&file.path(), (lines.join("\n") + "\n").as_bytes());
            let said = refusal(&file).await;
            assert!(said.contains(&format!("line {}: ", line + 1)), "{what} {at}: {said}");
        }
    }
}

#[tokio::test]
async fn two_copies_do_not_write_to_one_file() {
    let (source, file) = copied_twice().await;
    let opened = source.source().await.expect("a source");
    let first = file.target(opened.origin()).await.expect("a target");
    let second = file.target(opened.origin()).await.err().expect("locked").to_string();
    assert!(second.contains("another copy"), "{second}");
    assert!(refusal(&file).await.contains("being written"));
    drop(first);
    file.source().await.expect("free again");
}

#[tokio::test]
async fn what_is_no_file_with_a_copy_is_refused_and_not_touched() {
    let log = written(&[commits(["1".to_owned()])]).await;
    let (source, file) = (Place::Log(Arc::new(log)), Place::file());
    for text in ["dear diary", "{}\n", "{\"format\":\"retell log\",\"version\":9}\n", "\n"] {
        put(&file.path(), text.as_bytes());
        source.copy_to(&file).await.expect_err(text);
        assert_eq!(read(&file.path()), text.as_bytes());
        refusal(&file).await;
    }
    std::fs::remove_file(file.path()).expect("removed");
    std::fs::create_dir(file.path()).expect("a folder");
    let said = source.copy_to(&file).await.expect_err("a folder").to_string();
    assert!(said.contains("no plain file"), "{said}");
}
