//! Law 7: the generations of a projection.

use std::collections::BTreeMap;

use retell::ports::Pointer;

use super::*;

pub(super) async fn a_projection_begins_without_pointers(tested: Tested) {
    let pointers = tested.store.pointers(&fresh_projection()).await.expect("pointers");
    assert_eq!(pointers, BTreeMap::new());
}

pub(super) async fn law_7_a_pointer_is_set_only_when_it_is_the_expected_one(tested: Tested) {
    let projection = fresh_projection();
    let (building, live) = (building(), live());
    let set = async |expected: Option<&Pointer>, new: &Pointer| {
        tested.store.set_pointer(&projection, 3, expected, new).await.expect("an answer")
    };
    assert!(!set(Some(&live), &building).await, "nothing is there yet");
    assert!(set(None, &building).await);
    assert!(!set(None, &live).await, "something is there");
    assert!(!set(Some(&live), &live).await, "another one is there");
    let pointers = tested.other.pointers(&projection).await.expect("pointers");
    assert_eq!(pointers, [(3, building.clone())].into());
    assert!(set(Some(&building), &live).await);
    assert!(!set(Some(&building), &live).await);
    let pointers = tested.other.pointers(&projection).await.expect("pointers");
    assert_eq!(pointers, [(3, live)].into());
}

pub(super) async fn law_7_of_pointers_set_at_once_one_is_kept(tested: Tested) {
    let projection = fresh_projection();
    for expected in [None, Some(Pointer::default())] {
        let setters = (0..8).map(|setter| {
            let stores = [&tested.store, &tested.other];
            let (store, projection) = (Arc::clone(stores[setter % 2]), projection.clone());
            let (expected, new) = (expected.clone(), building());
            tokio::spawn(async move {
                let set = store.set_pointer(&projection, 1, expected.as_ref(), &new).await;
                set.expect("an answer").then_some(new)
            })
        });
        let mut set = Vec::new();
        for setter in setters.collect::<Vec<_>>() {
            set.extend(setter.await.expect("no panic"));
        }
        let [kept] = &set[..] else { panic!("{} were set", set.len()) };
        let pointers = tested.store.pointers(&projection).await.expect("pointers");
        assert_eq!(pointers, [(1, kept.clone())].into());
        let empty = Pointer::default();
        let cleared = tested.store.set_pointer(&projection, 1, Some(kept), &empty).await;
        assert!(cleared.expect("an answer"));
    }
}

pub(super) async fn law_7_revisions_and_projections_are_apart(tested: Tested) {
    let (one, other) = (fresh_projection(), fresh_projection());
    let longer = format!("{one}x");
    for (projection, revision) in [(&one, 1), (&one, 2), (&one, 256), (&other, 1), (&longer, 1)] {
        let set = tested.store.set_pointer(projection, revision, None, &live()).await;
        assert!(set.expect("an answer"), "{projection} {revision}");
    }
    let pointers = tested.store.pointers(&one).await.expect("pointers");
    assert_eq!(pointers.into_keys().collect::<Vec<_>>(), [1, 2, 256]);
    assert_eq!(tested.store.pointers(&longer).await.expect("pointers").len(), 1);
}

fn fresh_projection() -> String {
    format!("accounts-{}", fresh_id())
}

fn building() -> Pointer {
    Pointer { building: Some(fresh_id()), ..Pointer::default() }
}

fn live() -> Pointer {
    let [live, previous] = [Uuid::from_u128(1), Uuid::from_u128(2)];
    let floor = [(Partition(0), Offset(7)), (Partition(10), Offset(u64::MAX))].into();
    Pointer { live: Some(live), previous: Some(previous), floor, ..Pointer::default() }
}
