//! What only the embedded store must do: keep what it was given, whatever ends the process.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use retell::ports::{Pointer, StoreError};

use super::*;

const CRASH_DIR: &str = "RETELL_TEST_CRASH_DIR";
const CHILD: &str = "conformance::view_store::embedded_only::commits_until_it_is_killed";
const DOCS: u64 = 20;

#[tokio::test]
async fn what_was_committed_is_there_when_the_folder_is_opened_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let space = fresh_space();
    let changes = [
        put("doc:ann", "1"),
        put_for(Duration::from_secs(60), "outcome:ann", "2"),
        put_field_for(Duration::from_secs(60), "trace", "a", "3"),
        index_put("owner", "Ann"),
    ];
    let pointer = Pointer { live: Some(fresh_id()), ..Pointer::default() };
    let store = open(dir.path());
    commit(&store, &space, &SpaceState::Empty, &at(1), &changes).await;
    assert!(store.set_pointer("accounts", 1, None, &pointer).await.expect("set"));
    drop(store);

    let store = open(dir.path());
    let keys = ["doc:ann", "outcome:ann"].map(str::to_owned);
    let (state, values) = store.read(&space, &keys).await.expect("read");
    assert_eq!((state, values), (at(1), vec![Some(bytes("1")), Some(bytes("2"))]));
    assert_eq!(store.read_map(&space, "trace").await.expect("read").1.len(), 1);
    assert_eq!(members(&store, &space, "owner").await, ["Ann"]);
    assert_eq!(store.pointers("accounts").await.expect("read"), [(1, pointer)].into());
}

#[tokio::test]
async fn a_folder_that_is_open_already_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().expect("a folder");
    let _opened = open(dir.path());
    let refused = EmbeddedViews::open(dir.path(), Arc::new(ManualClock::default()));
    let Err(StoreError::Unavailable(why)) = refused.map(|_| ()) else { panic!("it was opened") };
    let folder = dir.path().display().to_string();
    assert!(why.contains(&folder) && why.contains("locked by another process"), "{why}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_refused() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let refused = EmbeddedViews::open(&file.path().join("views"), Arc::new(ManualClock::default()));
    assert!(matches!(refused.map(|_| ()), Err(StoreError::Settings(_))));
}

/// The process is killed at any moment of a load of commits; what it had reported as committed
/// is there, and every space is as one of its commits left it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_1_a_commit_is_all_or_nothing_through_kill_9() {
    let dir = tempfile::tempdir().expect("a folder");
    let seed = fresh_id().as_u64_pair().1;
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..5 {
        let reported = kill_while_it_commits(dir.path(), random.random_range(1..300));
        let store = open(dir.path());
        for partition in 0..3 {
            let reported = reported.get(&partition).copied().unwrap_or_default();
            check_whole(&store, &crashing_space(partition), reported).await;
        }
    }
}

/// Not a test of its own: the process that the test above kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "is run by law_1_a_commit_is_all_or_nothing_through_kill_9"]
async fn commits_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CRASH_DIR) else { return };
    let store = open(Path::new(&dir));
    let committers =
        (0..3).map(|partition| tokio::spawn(commit_for_ever(store.clone(), partition)));
    for committer in committers.collect::<Vec<_>>() {
        committer.await.expect("it goes on until it is killed");
    }
}

async fn commit_for_ever(store: EmbeddedViews, partition: u32) {
    let space = crashing_space(partition);
    let mut from = store.read(&space, &[]).await.expect("read").0;
    loop {
        let n = from.checkpoint().map_or(0, |checkpoint| checkpoint.next.0);
        commit(&store, &space, &from, &at(n + 1), &numbered(n)).await;
        writeln!(std::io::stdout(), "committed {partition} {}", n + 1).expect("a reader");
        from = at(n + 1);
    }
}

/// Kills the child after so many reports; tells the last report of each partition.
fn kill_while_it_commits(dir: &Path, reports: usize) -> BTreeMap<u32, u64> {
    let mut child = Command::new(std::env::current_exe().expect("a path"))
        .args(["--exact", CHILD, "--ignored", "--nocapture"])
        .env(CRASH_DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child runs");
    let mut reported = BTreeMap::new();
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut read_report = || {
        // The last line may have been cut off.
        let line = lines.next()?.expect("text");
        let Some((_, report)) = line.split_once("committed ") else { return Some(()) };
        if let Some((partition, n)) = report.split_once(' ') {
            reported.insert(partition.parse().expect("a partition"), n.parse().expect("a number"));
        }
        Some(())
    };
    for _ in 0..reports {
        read_report().expect("it goes on until it is killed");
    }
    child.kill().expect("killed");
    child.wait().expect("ended");
    while read_report().is_some() {}
    reported
}

async fn check_whole(store: &EmbeddedViews, space: &Space, reported: u64) {
    let keys: Vec<_> = (0..DOCS).map(|doc| format!("doc:{doc}")).collect();
    let (state, values) = store.read(space, &keys).await.expect("read");
    let next = state.checkpoint().map_or(0, |checkpoint| checkpoint.next.0);
    assert!(next >= reported, "{reported} was reported, {next} is there");
    if next == 0 {
        return;
    }
    let last = (next - 1).to_string();
    assert!(values.iter().all(|value| *value == Some(bytes(&last))), "{next}: {values:?}");
    let (_, fields) = store.read_map(space, "map").await.expect("read");
    assert_eq!(fields, [("field".to_owned(), bytes(&last))].into());
    assert_eq!(members(store, space, "numbers").await, [last]);
}

/// What the commit from `n` to `n + 1` changes.
fn numbered(n: u64) -> Vec<Change> {
    let text = n.to_string();
    let mut changes = vec![put_field("map", "field", &text), index_put("numbers", text.clone())];
    changes.extend((0..DOCS).map(|doc| put(&format!("doc:{doc}"), &text)));
    if let Some(before) = n.checked_sub(1) {
        changes.push(index_delete("numbers", before.to_string()));
    }
    changes
}

fn crashing_space(partition: u32) -> Space {
    Space::new("accounts", Uuid::nil(), Partition(partition))
}

fn open(dir: &Path) -> EmbeddedViews {
    EmbeddedViews::open(dir, Arc::new(ManualClock::default())).expect("opens")
}
