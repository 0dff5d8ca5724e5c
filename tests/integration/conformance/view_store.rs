//! The laws of the view store, each run on the memory, the embedded and the Redis adapter, the
//! latter on one server and on a cluster.
//!
//! Tests of one Redis run beside each other: each one makes up the names of its spaces.

mod commits;
mod drops;
mod embedded_only;
mod expiry;
mod pointers;
mod reads;
mod redis_only;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use retell::adapters::embedded::EmbeddedViews;
use retell::adapters::memory::{ManualClock, MemoryViews};
use retell::log::{Chain, Checkpoint, LogId, Term};
use retell::ports::{
    Change, Commit, Dropped, KEY_INDEX, Listed, RangeQuery, Space, SpaceState, ViewStore,
};
use retell::{Offset, Partition, Time};
use tempfile::TempDir;
use uuid::Uuid;

use crate::support;

/// More than any wait for a real server takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs the same laws on every adapter.
macro_rules! on_every_store {
    ($($laws:ident: $($law:ident)+;)+) => {
        mod on_memory { $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                super::$laws::$law(super::Tested::memory()).await;
            }
        )+)+ }
        mod on_embedded { $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                super::$laws::$law(super::Tested::embedded()).await;
            }
        )+)+ }
        mod on_redis { $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                super::$laws::$law(super::Tested::redis()).await;
            }
        )+)+ }
        mod on_cluster { $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                super::$laws::$law(super::Tested::cluster()).await;
            }
        )+)+ }
    };
}

on_every_store! {
    commits:
        law_1_all_changes_of_a_commit_are_seen_with_its_state
        law_1_a_fresh_space_is_empty
        law_1_values_and_members_are_any_bytes
        law_1_what_is_not_there_can_be_removed
        law_2_a_commit_on_another_state_changes_nothing_and_tells_the_state
        law_2_of_commits_at_once_on_one_state_one_happens
        law_2_a_flush_goes_over_several_commits_to_its_checkpoint
        law_2_a_flush_that_was_given_up_cannot_write_into_the_next
        law_2_a_commit_may_empty_the_state
        law_6_spaces_have_nothing_in_common
        law_9_a_commit_beyond_a_limit_is_refused_and_changes_nothing
        law_9_the_largest_commit_is_taken
        law_10_of_two_changes_to_one_key_the_later_holds;
    reads:
        law_3_a_read_never_mixes_two_commits
        values_come_in_the_order_in_which_they_were_asked_for
        many_values_are_read_at_once
        a_range_keeps_its_bounds_from_both_ends
        law_13_a_page_has_the_values_that_its_members_name;
    expiry:
        law_11_a_value_expires
        law_11_a_value_that_is_put_again_is_kept_as_long_as_the_last_put_says
        law_11_a_map_expires_as_a_whole_and_begins_anew
        law_11_a_map_is_kept_as_long_as_its_last_field_says;
    drops:
        law_5_a_dropped_space_loses_its_state_first
        law_5_who_still_writes_to_a_dropped_space_is_refused
        law_5_who_begins_a_space_anew_during_a_drop_is_refused_after_its_next_step
        law_12_a_drop_leaves_nothing
        law_12_a_step_of_a_drop_removes_no_more_than_it_may
        law_12_a_dropped_space_can_be_built_again
        law_12_a_space_that_never_was_is_dropped_at_once;
    pointers:
        a_projection_begins_without_pointers
        law_7_a_pointer_is_set_only_when_it_is_the_expected_one
        law_7_of_pointers_set_at_once_one_is_kept
        law_7_revisions_and_projections_are_apart;
    watch:
        law_8_a_watcher_is_woken_by_a_commit_through_another_instance
        law_8_a_watcher_is_woken_by_a_drop
        law_8_a_move_before_the_wait_is_not_lost
        law_8_all_watchers_of_a_space_are_woken;
}

/// A store under test.
struct Tested {
    store: Arc<dyn ViewStore>,
    /// The same store as another process has it; the same instance where there is but one process.
    other: Arc<dyn ViewStore>,
    /// None where time is that of a server.
    clock: Option<ManualClock>,
    _dir: Option<TempDir>,
}

impl Tested {
    fn memory() -> Self {
        let clock = ManualClock::default();
        let store = Arc::new(MemoryViews::new(Arc::new(clock.clone())));
        Self { other: store.clone(), store, clock: Some(clock), _dir: None }
    }

    fn embedded() -> Self {
        let (clock, dir) = (ManualClock::default(), tempfile::tempdir().expect("a folder"));
        let store = EmbeddedViews::open(dir.path(), Arc::new(clock.clone())).expect("opens");
        let store = Arc::new(store);
        Self { other: store.clone(), store, clock: Some(clock), _dir: Some(dir) }
    }

    fn redis() -> Self {
        Self::redis_at(support::redis::shared_url())
    }

    fn cluster() -> Self {
        Self::redis_at(support::cluster::shared_url())
    }

    fn redis_at(url: String) -> Self {
        let namespace = fresh_id().to_string();
        let views = || Arc::new(support::redis::views(&url, &namespace));
        Self { store: views(), other: views(), clock: None, _dir: None }
    }

    /// Lets `time` pass where the test decides; where a server does, waits until `is_over`.
    async fn pass(&self, time: Duration, is_over: impl AsyncFn() -> bool) {
        if let Some(clock) = &self.clock {
            clock.advance(time);
            return;
        }
        let until_over = async {
            while !is_over().await {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, until_over).await.expect("time passes");
    }

    async fn commit(&self, space: &Space, from: &SpaceState, to: &SpaceState, changes: &[Change]) {
        commit(&*self.store, space, from, to, changes).await;
    }

    async fn state(&self, space: &Space) -> SpaceState {
        self.store.read(space, &[]).await.expect("read").0
    }

    async fn value(&self, space: &Space, key: &str) -> Option<Bytes> {
        value(&*self.store, space, key).await
    }

    async fn fields(&self, space: &Space, map: &str) -> Vec<(String, Bytes)> {
        self.store.read_map(space, map).await.expect("read").1.into_iter().collect()
    }

    async fn members(&self, space: &Space, index: &str) -> Vec<Bytes> {
        members(&*self.store, space, index).await
    }
}

/// Commits what must be committed.
async fn commit(
    store: &dyn ViewStore,
    space: &Space,
    from: &SpaceState,
    to: &SpaceState,
    changes: &[Change],
) {
    let committed = store.commit(space, from, to, changes).await.expect("commit");
    assert_eq!(committed, Commit::Committed);
}

async fn value(store: &dyn ViewStore, space: &Space, key: &str) -> Option<Bytes> {
    let (_, mut values) = store.read(space, &[key.to_owned()]).await.expect("read");
    values.pop().expect("as many values as keys")
}

async fn members(store: &dyn ViewStore, space: &Space, index: &str) -> Vec<Bytes> {
    let query = RangeQuery {
        index: index.to_owned(),
        from: std::ops::Bound::Unbounded,
        to: std::ops::Bound::Unbounded,
        limit: usize::MAX,
        descending: false,
    };
    store.range(space, &query).await.expect("range").1
}

/// A space that no other test has.
fn fresh_space() -> Space {
    Space::new("accounts", fresh_id(), Partition(5))
}

#[expect(clippy::disallowed_methods, reason = "no other test of the same Redis may have it")]
fn fresh_id() -> Uuid {
    Uuid::now_v7()
}

/// The state at this offset.
fn at(next: u64) -> SpaceState {
    SpaceState::At(Checkpoint {
        log: LogId::of_first_claim(b"test"),
        next: Offset(next),
        term: Term(3),
        chain: Chain(next + 1),
        time: Time::from_millis(1_700_000_000_000),
        commit: None,
    })
}

fn put(key: &str, value: &str) -> Change {
    Change::Put { key: key.to_owned(), value: bytes(value), expires_in: None }
}

fn put_for(time: Duration, key: &str, value: &str) -> Change {
    Change::Put { key: key.to_owned(), value: bytes(value), expires_in: Some(time) }
}

fn delete(key: &str) -> Change {
    Change::Delete { key: key.to_owned() }
}

fn put_field(map: &str, field: &str, value: &str) -> Change {
    let (map, field) = (map.to_owned(), field.to_owned());
    Change::PutField { map, field, value: bytes(value), expires_in: None }
}

fn put_field_for(time: Duration, map: &str, field: &str, value: &str) -> Change {
    let (map, field) = (map.to_owned(), field.to_owned());
    Change::PutField { map, field, value: bytes(value), expires_in: Some(time) }
}

fn delete_field(map: &str, field: &str) -> Change {
    Change::DeleteField { map: map.to_owned(), field: field.to_owned() }
}

fn index_put(index: &str, member: impl Into<Bytes>) -> Change {
    Change::IndexPut { index: index.to_owned(), member: member.into() }
}

fn index_delete(index: &str, member: impl Into<Bytes>) -> Change {
    Change::IndexDelete { index: index.to_owned(), member: member.into() }
}

/// A value and its entry in the index by key.
fn put_listed(key: &str, value: &str) -> [Change; 2] {
    [put(key, value), index_put(KEY_INDEX, key.to_owned())]
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}
