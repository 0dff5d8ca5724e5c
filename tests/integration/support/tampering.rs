//! What somebody does to stored views behind the service's back, and what is left in a store.

use std::time::Duration;

use bytes::Bytes;
use retell::adapters::memory::MemoryViews;
use retell::log::Checkpoint;
use retell::ports::{Change, Commit, KEY_INDEX, Pointer, RangeQuery, Space, SpaceState, ViewStore};
use retell::{Offset, Partition};
use uuid::Uuid;

use super::writers::PATIENCE;

/// The generations of a projection.
pub(crate) async fn pointer(store: &MemoryViews, projection: &str) -> Pointer {
    let pointers = store.pointers(projection).await.expect("pointers");
    pointers.into_values().next_back().unwrap_or_default()
}

/// Waits until the pointer is one that `is` likes.
pub(crate) async fn pointer_until(
    store: &MemoryViews,
    projection: &str,
    is: impl Fn(&Pointer) -> bool,
) -> Pointer {
    let looking = async {
        loop {
            let pointer = pointer(store, projection).await;
            if is(&pointer) {
                return pointer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let looked = tokio::time::timeout(PATIENCE, looking).await;
    match looked {
        Ok(pointer) => pointer,
        Err(_) => panic!("never: {:?}", pointer(store, projection).await),
    }
}

/// The keys of a generation's views.
pub(crate) async fn keys(
    store: &MemoryViews,
    projection: &str,
    generation: Uuid,
    partitions: u32,
) -> Vec<String> {
    let mut all = Vec::new();
    for partition in 0..partitions {
        let space = Space::new(projection, generation, Partition(partition));
        let query = RangeQuery {
            index: KEY_INDEX.to_owned(),
            from: std::ops::Bound::Unbounded,
            to: std::ops::Bound::Unbounded,
            limit: usize::MAX,
            descending: false,
        };
        let (_, members) = store.range(&space, &query).await.expect("members");
        all.extend(members.iter().map(|member| String::from_utf8_lossy(member).into_owned()));
    }
    all
}

/// Changes the live space that has (or would have) the view of this key, and nothing else.
pub(crate) async fn tamper(
    store: &MemoryViews,
    projection: &str,
    partition: Partition,
    changes: &[Change],
) {
    let live = pointer(store, projection).await.live.expect("a live generation");
    let space = Space::new(projection, live, partition);
    loop {
        let (state, _) = store.read(&space, &[]).await.expect("read");
        let committed = store.commit(&space, &state, &state, changes).await.expect("an answer");
        if committed == Commit::Committed {
            return;
        }
    }
}

/// Says that the live space of this partition has come no further than to this place, as a store
/// that has lost what came later.
pub(crate) async fn set_back(
    store: &MemoryViews,
    projection: &str,
    partition: Partition,
    next: Offset,
) {
    let live = pointer(store, projection).await.live.expect("a live generation");
    let space = Space::new(projection, live, partition);
    let (state, _) = store.read(&space, &[]).await.expect("read");
    let checkpoint = *state.checkpoint().expect("it has come somewhere");
    let new = SpaceState::At(Checkpoint { next, ..checkpoint });
    let committed = store.commit(&space, &state, &new, &[]).await.expect("an answer");
    assert_eq!(committed, Commit::Committed);
}

/// Another view under a key.
pub(crate) fn put(key: &str, view: &str) -> Change {
    let value = Bytes::copy_from_slice(view.as_bytes());
    Change::Put { key: format!("doc:{key}"), value, expires_in: None }
}

/// No view under a key, though it stays in the index.
pub(crate) fn delete(key: &str) -> Change {
    Change::Delete { key: format!("doc:{key}") }
}

/// A place in the index of all keys.
pub(crate) fn index_put(key: &str) -> Change {
    Change::IndexPut { index: KEY_INDEX.to_owned(), member: format!("doc:{key}").into() }
}

/// No place in the index of all keys.
pub(crate) fn index_delete(key: &str) -> Change {
    Change::IndexDelete { index: KEY_INDEX.to_owned(), member: format!("doc:{key}").into() }
}
