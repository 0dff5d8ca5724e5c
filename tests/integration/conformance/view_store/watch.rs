//! Law 8: who watches a space is woken after its state moved.

use retell::ports::Watch;
use tokio::time::timeout;

use super::*;

pub(super) async fn law_8_a_watcher_is_woken_by_a_commit_through_another_instance(tested: Tested) {
    let space = fresh_space();
    let mut watch = tested.store.watch(&space).await;
    let mut from = SpaceState::Empty;
    for n in 1..=20 {
        commit(&*tested.other, &space, &from, &at(n), &[]).await;
        from = at(n);
        until(&tested, &mut *watch, &space, &from).await;
    }
}

pub(super) async fn law_8_a_watcher_is_woken_by_a_drop(tested: Tested) {
    let space = fresh_space();
    commit(&*tested.other, &space, &SpaceState::Empty, &at(1), &[]).await;
    let mut watch = tested.store.watch(&space).await;
    until(&tested, &mut *watch, &space, &at(1)).await;
    tested.other.drop_space(&space, 10).await.expect("drop");
    until(&tested, &mut *watch, &space, &SpaceState::Empty).await;
}

pub(super) async fn law_8_a_move_before_the_wait_is_not_lost(tested: Tested) {
    let space = fresh_space();
    let mut watch = tested.store.watch(&space).await;
    commit(&*tested.other, &space, &SpaceState::Empty, &at(1), &[]).await;
    timeout(PATIENCE, watch.moved()).await.expect("woken");
}

pub(super) async fn law_8_all_watchers_of_a_space_are_woken(tested: Tested) {
    let space = fresh_space();
    let mut watches = Vec::new();
    for _ in 0..3 {
        watches.push(tested.store.watch(&space).await);
    }
    drop(watches.pop());
    commit(&*tested.other, &space, &SpaceState::Empty, &at(1), &[]).await;
    for mut watch in watches {
        until(&tested, &mut *watch, &space, &at(1)).await;
    }
}

/// Looks whenever it is woken, until the state is this one.
pub(super) async fn until(
    tested: &Tested,
    watch: &mut dyn Watch,
    space: &Space,
    state: &SpaceState,
) {
    let seen = async {
        while tested.state(space).await != *state {
            watch.moved().await;
        }
    };
    timeout(PATIENCE, seen).await.expect("woken");
}
