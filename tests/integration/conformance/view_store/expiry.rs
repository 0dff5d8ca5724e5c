//! Law 11: what has expired is as if it had never been put.

use super::*;

const SHORT: Duration = Duration::from_millis(80);
const LONG: Duration = Duration::from_secs(3_600);

pub(super) async fn law_11_a_value_expires(tested: Tested) {
    let space = fresh_space();
    let changes = [put_for(SHORT, "outcome:a", "1"), put_for(LONG, "outcome:b", "2")];
    tested.commit(&space, &SpaceState::Empty, &at(1), &changes).await;
    assert_eq!(tested.value(&space, "outcome:b").await, Some(bytes("2")));
    tested.pass(SHORT, async || tested.value(&space, "outcome:a").await.is_none()).await;
    let keys = ["outcome:a", "outcome:b"].map(str::to_owned);
    let (state, values) = tested.store.read(&space, &keys).await.expect("read");
    assert_eq!((state, values), (at(1), vec![None, Some(bytes("2"))]));
}

pub(super) async fn law_11_a_value_that_is_put_again_is_kept_as_long_as_the_last_put_says(
    tested: Tested,
) {
    let space = fresh_space();
    let first = ["a", "b", "witness"].map(|key| put_for(SHORT, key, "1"));
    tested.commit(&space, &SpaceState::Empty, &at(1), &first).await;
    let second = [put("a", "2"), put_for(LONG, "b", "2"), put_for(SHORT, "witness", "2")];
    tested.commit(&space, &at(1), &at(2), &second).await;
    let third = [put_for(LONG, "c", "3")];
    tested.commit(&space, &at(2), &at(3), &third).await;
    tested.commit(&space, &at(3), &at(4), &[put_for(SHORT, "c", "4")]).await;
    tested.pass(SHORT, async || tested.value(&space, "c").await.is_none()).await;
    tested.commit(&space, &at(4), &at(5), &[]).await;
    let keys = ["a", "b", "c", "witness"].map(str::to_owned);
    let (_, values) = tested.store.read(&space, &keys).await.expect("read");
    assert_eq!(values, [Some(bytes("2")), Some(bytes("2")), None, None]);
}

pub(super) async fn law_11_a_map_expires_as_a_whole_and_begins_anew(tested: Tested) {
    let space = fresh_space();
    let changes =
        [put_field_for(SHORT, "trace", "a", "1"), put_field_for(SHORT, "trace", "b", "2")];
    tested.commit(&space, &SpaceState::Empty, &at(1), &changes).await;
    tested.pass(SHORT, async || tested.fields(&space, "trace").await.is_empty()).await;
    assert_eq!(tested.fields(&space, "trace").await, []);
    tested.commit(&space, &at(1), &at(2), &[put_field_for(LONG, "trace", "c", "3")]).await;
    assert_eq!(tested.fields(&space, "trace").await, [("c".to_owned(), bytes("3"))]);
    tested.commit(&space, &at(2), &at(3), &[]).await;
    assert_eq!(tested.fields(&space, "trace").await, [("c".to_owned(), bytes("3"))]);
}

pub(super) async fn law_11_a_map_is_kept_as_long_as_its_last_field_says(tested: Tested) {
    let space = fresh_space();
    let maps = ["longer", "for-ever", "shorter", "removed-from"];
    let first = maps.map(|map| put_field_for(SHORT, map, "a", "1"));
    tested.commit(&space, &SpaceState::Empty, &at(1), &first).await;
    let second = [
        put_field_for(LONG, "longer", "b", "2"),
        put_field("for-ever", "b", "2"),
        put_field_for(LONG, "shorter", "b", "2"),
        put_field_for(LONG, "removed-from", "b", "2"),
        // Of two in one commit, the later one says.
        put_field_for(LONG, "last", "a", "2"),
        put_field_for(SHORT, "last", "b", "2"),
        put_field_for(SHORT, "last-again", "a", "2"),
        put_field_for(LONG, "last-again", "a", "3"),
    ];
    tested.commit(&space, &at(1), &at(2), &second).await;
    let third = [put_field_for(SHORT, "shorter", "c", "3"), delete_field("removed-from", "a")];
    tested.commit(&space, &at(2), &at(3), &third).await;
    tested.pass(SHORT, async || tested.fields(&space, "shorter").await.is_empty()).await;
    // What has expired is removed now, and nothing else.
    tested.commit(&space, &at(3), &at(4), &[]).await;
    for (map, len) in [
        ("longer", 2),
        ("for-ever", 2),
        ("shorter", 0),
        ("removed-from", 1),
        ("last", 0),
        ("last-again", 1),
    ] {
        assert_eq!(tested.fields(&space, map).await.len(), len, "{map}");
    }
    tested.commit(&space, &at(4), &at(5), &[put_field("shorter", "d", "4")]).await;
    assert_eq!(tested.fields(&space, "shorter").await, [("d".to_owned(), bytes("4"))]);
}
