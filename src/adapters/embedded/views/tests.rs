//! What cannot be seen through the port: that the disk holds nothing which nobody can read.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::contract::Partition;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Default)]
struct TestClock(Arc<AtomicI64>);

struct Tested {
    views: EmbeddedViews,
    clock: TestClock,
    dir: TempDir,
}

impl Clock for TestClock {
    fn now(&self) -> Time {
        Time::from_millis(self.0.load(Ordering::SeqCst))
    }
}

impl Tested {
    fn new() -> Self {
        let (clock, dir) = (TestClock::default(), tempfile::tempdir().expect("a folder"));
        let views = EmbeddedViews::open(dir.path(), Arc::new(clock.clone())).expect("opens");
        Self { views, clock, dir }
    }

    fn pass(&self, time: Duration) {
        let millis = i64::try_from(time.as_millis()).expect("a short time");
        self.clock.0.fetch_add(millis, Ordering::SeqCst);
    }

    /// Commits from one flush to the same.
    fn commit(&self, changes: &[Change]) {
        let (opened, flushing) = (&self.views.0, SpaceState::Flushing(Uuid::nil()));
        let (state, _) = opened.read(&space(), &[]).expect("read");
        let committed = opened.commit(&space(), &state, &flushing, changes).expect("commit");
        assert_eq!(committed, Commit::Committed);
    }

    /// Keys of all kinds on the disk.
    fn keys_len(&self) -> usize {
        self.views.0.database.snapshot().iter(&self.views.0.keyspace).count()
    }
}

#[test]
fn what_has_expired_leaves_the_disk_with_the_next_commit() {
    let tested = Tested::new();
    tested.commit(&[put("a", SECOND), put("b", SECOND), put_field("m", "a", SECOND)]);
    tested.commit(&[put("b", 9 * SECOND), put_field("m", "b", 9 * SECOND)]);
    assert_eq!(tested.keys_len(), 1 + 3 * 2 + 1 + 1 + 1, "also the map's expiry, a second field");
    tested.pass(SECOND);
    tested.commit(&[]);
    assert_eq!(tested.keys_len(), 1 + 2 + (1 + 2 + 1), "the state, b, and the map");
    tested.pass(9 * SECOND);
    tested.commit(&[]);
    assert_eq!(tested.keys_len(), 1, "the state");
}

#[test]
fn a_map_that_is_renewed_often_stands_once_in_the_queue() {
    let tested = Tested::new();
    for _ in 0..100 {
        tested.commit(&[put_field("m", "a", 60 * SECOND)]);
        tested.pass(SECOND);
    }
    assert_eq!(tested.keys_len(), 1 + 3);
    tested.pass(60 * SECOND);
    tested.commit(&[]);
    assert_eq!(tested.keys_len(), 1, "the state");
}

#[test]
fn a_commit_removes_no_more_than_some_of_what_has_expired() {
    let tested = Tested::new();
    for tens in 0..25 {
        let puts = (0..100).map(|n| put(&format!("{tens}-{n}"), SECOND));
        tested.commit(&puts.collect::<Vec<_>>());
    }
    tested.pass(SECOND);
    for left in [1_500, 500, 0] {
        tested.commit(&[]);
        assert_eq!(tested.keys_len(), 1 + 2 * left);
    }
}

#[test]
fn what_expired_while_the_store_was_closed_leaves_the_disk_too() {
    let tested = Tested::new();
    tested.commit(&[put("a", SECOND)]);
    let Tested { views, clock, dir } = tested;
    drop(views);
    let views = EmbeddedViews::open(dir.path(), Arc::new(clock.clone())).expect("opens");
    let tested = Tested { views, clock, dir };
    tested.pass(SECOND);
    tested.commit(&[]);
    assert_eq!(tested.keys_len(), 1, "the state");
}

#[test]
fn a_drop_leaves_nothing_on_the_disk() {
    let tested = Tested::new();
    tested.commit(&[put("a", SECOND), put_field("m", "a", SECOND), index_put("i", "x")]);
    let mut steps = 1;
    while tested.views.0.drop_space(&space(), 2).expect("drop") == Dropped::More {
        steps += 1;
    }
    assert_eq!((tested.keys_len(), steps), (0, 3), "a and m are in the queue too");
}

fn space() -> Space {
    Space::new("things", Uuid::nil(), Partition(0))
}

fn put(key: &str, expires_in: Duration) -> Change {
    Change::Put { key: key.to_owned(), value: Bytes::new(), expires_in: Some(expires_in) }
}

fn put_field(map: &str, field: &str, expires_in: Duration) -> Change {
    let (map, field) = (map.to_owned(), field.to_owned());
    Change::PutField { map, field, value: Bytes::new(), expires_in: Some(expires_in) }
}

fn index_put(index: &str, member: &str) -> Change {
    Change::IndexPut { index: index.to_owned(), member: member.to_owned().into() }
}
