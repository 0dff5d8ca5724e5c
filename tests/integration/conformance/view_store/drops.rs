//! Laws 5 and 12: dropping a space in steps.

use super::*;

const DOCS: usize = 95;

pub(super) async fn law_5_a_dropped_space_loses_its_state_first(tested: Tested) {
    let space = filled(&tested).await;
    let dropped = tested.store.drop_space(&space, 10).await.expect("drop");
    assert_eq!(dropped, Dropped::More);
    assert_eq!(tested.state(&space).await, SpaceState::Empty);
}

pub(super) async fn law_5_who_still_writes_to_a_dropped_space_is_refused(tested: Tested) {
    let space = filled(&tested).await;
    for _ in 0..2 {
        tested.store.drop_space(&space, 10).await.expect("drop");
        let zombie = tested.other.commit(&space, &at(1), &at(2), &[put("doc:z", "1")]).await;
        assert_eq!(zombie.expect("an answer"), Commit::Stale(SpaceState::Empty));
    }
    assert_eq!(tested.value(&space, "doc:z").await, None);
}

pub(super) async fn law_5_who_begins_a_space_anew_during_a_drop_is_refused_after_its_next_step(
    tested: Tested,
) {
    let space = filled(&tested).await;
    tested.store.drop_space(&space, 10).await.expect("drop");
    // Behind and before the place that the drop has come to.
    let changes = [put_listed("doc:000", "new"), put_listed("doc:zzz", "new")].concat();
    commit(&*tested.other, &space, &SpaceState::Empty, &at(1), &changes).await;
    tested.store.drop_space(&space, 10).await.expect("drop");
    let zombie = tested.other.commit(&space, &at(1), &at(2), &[put("doc:z", "1")]).await;
    assert_eq!(zombie.expect("an answer"), Commit::Stale(SpaceState::Empty));
    drop_all(&tested, &space).await;
    assert_eq!(tested.value(&space, "doc:000").await, None);
    assert_eq!(tested.value(&space, "doc:zzz").await, None);
}

pub(super) async fn law_12_a_drop_leaves_nothing(tested: Tested) {
    let space = filled(&tested).await;
    let steps = drop_all(&tested, &space).await;
    assert!(steps >= DOCS / 10, "it was done in {steps} steps");
    assert_eq!(tested.state(&space).await, SpaceState::Empty);
    let keys: Vec<_> = (0..DOCS).map(|n| format!("doc:{n:03}")).collect();
    let (_, values) = tested.store.read(&space, &keys).await.expect("read");
    assert!(values.iter().all(Option::is_none));
    assert_eq!(tested.fields(&space, "parked").await, []);
    for index in [KEY_INDEX, "owner"] {
        assert_eq!(tested.members(&space, index).await, Vec::<Bytes>::new());
    }
    let again = tested.store.drop_space(&space, 10).await.expect("drop");
    assert_eq!(again, Dropped::All);
}

/// However much there is: a step keeps the store from others for as long as its setting allows.
pub(super) async fn law_12_a_step_of_a_drop_removes_no_more_than_it_may(tested: Tested) {
    let space = filled(&tested).await;
    let keys: Vec<_> = (0..DOCS).map(|n| format!("doc:{n:03}")).collect();
    let mut left = DOCS;
    loop {
        let dropped = tested.store.drop_space(&space, 10).await.expect("drop");
        let (_, values) = tested.store.read(&space, &keys).await.expect("read");
        let now = values.iter().flatten().count();
        assert!(left - now <= 10, "{} views went in one step", left - now);
        left = now;
        if dropped == Dropped::All {
            return assert_eq!(left, 0);
        }
    }
}

pub(super) async fn law_12_a_dropped_space_can_be_built_again(tested: Tested) {
    let space = filled(&tested).await;
    drop_all(&tested, &space).await;
    let changes = put_listed("doc:050", "new");
    tested.commit(&space, &SpaceState::Empty, &at(1), &changes).await;
    assert_eq!(tested.value(&space, "doc:050").await, Some(bytes("new")));
    assert_eq!(tested.members(&space, KEY_INDEX).await, ["doc:050"]);
    assert_eq!(tested.members(&space, "owner").await, Vec::<Bytes>::new());
    drop_all(&tested, &space).await;
    assert_eq!(tested.value(&space, "doc:050").await, None);
}

pub(super) async fn law_12_a_space_that_never_was_is_dropped_at_once(tested: Tested) {
    let dropped = tested.store.drop_space(&fresh_space(), 10).await.expect("drop");
    assert_eq!(dropped, Dropped::All);
}

async fn filled(tested: &Tested) -> Space {
    let space = fresh_space();
    let mut changes = vec![
        put_field("parked", "ann", "x"),
        put_field("parked", "ben", "x"),
        put_for(Duration::from_secs(3_600), "outcome:ann", "x"),
    ];
    for n in 0..DOCS {
        changes.extend(put_listed(&format!("doc:{n:03}"), "x"));
        changes.push(index_put("owner", format!("owner-{n}")));
    }
    tested.commit(&space, &SpaceState::Empty, &at(1), &changes).await;
    space
}

/// Drops until nothing is left; tells how many steps it took.
async fn drop_all(tested: &Tested, space: &Space) -> usize {
    let mut steps = 1;
    while tested.store.drop_space(space, 10).await.expect("drop") == Dropped::More {
        steps += 1;
        assert!(steps < 1_000, "it does not end");
    }
    steps
}
