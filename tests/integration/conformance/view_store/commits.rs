//! Laws 1, 2, 6, 9 and 10: the one write.

use bytes::Bytes;
use retell::Partition;
use retell::ports::{CHANGE_KEY_LEN_MAX, Commit, InvalidCommit, Space, SpaceState, StoreError};

use super::*;

pub(super) async fn law_1_a_fresh_space_is_empty(tested: Tested) {
    let space = fresh_space();
    assert_eq!(tested.state(&space).await, SpaceState::Empty);
    assert_eq!(tested.value(&space, "doc:ann").await, None);
    assert_eq!(tested.fields(&space, "parked").await, []);
    assert_eq!(tested.members(&space, "key").await, Vec::<Bytes>::new());
    tested.store.check().await.expect("a store that can be trusted");
}

pub(super) async fn law_1_all_changes_of_a_commit_are_seen_with_its_state(tested: Tested) {
    let space = fresh_space();
    let first = [
        put("doc:ann", "1"),
        put("doc:ben", "2"),
        put_field("parked", "cid", "3"),
        put_field("parked", "dan", "4"),
        index_put("owner", "Ann"),
        index_put("owner", "Ben"),
        index_put("balance", "7"),
    ];
    tested.commit(&space, &SpaceState::Empty, &at(1), &first).await;
    let second = [
        put("doc:ann", "5"),
        delete("doc:ben"),
        delete_field("parked", "cid"),
        put_field("parked", "dan", "6"),
        index_delete("owner", "Ann"),
        index_put("owner", "Cid"),
    ];
    tested.commit(&space, &at(1), &at(2), &second).await;

    let keys = ["doc:ann".to_owned(), "doc:ben".to_owned()];
    let (state, values) = tested.other.read(&space, &keys).await.expect("read");
    assert_eq!((state, values), (at(2), vec![Some(bytes("5")), None]));
    let (state, fields) = tested.other.read_map(&space, "parked").await.expect("read");
    assert_eq!((state, fields), (at(2), [("dan".to_owned(), bytes("6"))].into()));
    assert_eq!(tested.members(&space, "owner").await, ["Ben", "Cid"]);
    assert_eq!(tested.members(&space, "balance").await, ["7"]);
}

pub(super) async fn law_1_values_and_members_are_any_bytes(tested: Tested) {
    let space = fresh_space();
    let all: Bytes = (0..=255).collect();
    let strange = "doc:ünï:{x}:\u{1}\0*?[a]";
    let changes = [
        Change::Put { key: strange.to_owned(), value: all.clone(), expires_in: None },
        put("doc:", ""),
        index_put("index:key", all.clone()),
        index_put("index:key", ""),
        put_field("map", strange, ""),
        put_field("map", "", "x"),
    ];
    tested.commit(&space, &SpaceState::Empty, &at(1), &changes).await;
    assert_eq!(tested.value(&space, strange).await, Some(all.clone()));
    assert_eq!(tested.value(&space, "doc:").await, Some(Bytes::new()));
    assert_eq!(tested.members(&space, "index:key").await, [Bytes::new(), all]);
    let fields = [(String::new(), bytes("x")), (strange.to_owned(), Bytes::new())];
    assert_eq!(tested.fields(&space, "map").await, fields);
}

pub(super) async fn law_1_what_is_not_there_can_be_removed(tested: Tested) {
    let space = fresh_space();
    let changes = [delete("doc:ann"), delete_field("parked", "ann"), index_delete("key", "ann")];
    tested.commit(&space, &SpaceState::Empty, &at(1), &changes).await;
    assert_eq!(tested.state(&space).await, at(1));
    tested.commit(&space, &at(1), &at(2), &[]).await;
    assert_eq!(tested.state(&space).await, at(2));
}

pub(super) async fn law_2_a_commit_on_another_state_changes_nothing_and_tells_the_state(
    tested: Tested,
) {
    let (space, flushing) = (fresh_space(), SpaceState::Flushing(fresh_id()));
    let kept = [put("doc:ann", "kept"), put_field("parked", "ann", "kept"), index_put("key", "a")];
    let states = [SpaceState::Empty, at(1), flushing.clone(), at(2)];
    for pair in states.windows(2) {
        tested.commit(&space, &pair[0], &pair[1], &kept).await;
        let others = [SpaceState::Empty, at(1), at(2), at(3), flushing.clone()];
        for other in others.iter().filter(|other| **other != pair[1]) {
            let wrong = [
                put("doc:ann", "wrong"),
                put("doc:ben", "wrong"),
                put_for(Duration::from_secs(60), "doc:cid", "wrong"),
                put_field("parked", "ann", "wrong"),
                index_put("key", "b"),
                index_delete("key", "a"),
            ];
            let stale = tested.store.commit(&space, other, &at(9), &wrong).await;
            assert_eq!(stale.expect("an answer"), Commit::Stale(pair[1].clone()));
        }
        let keys = ["doc:ann", "doc:ben", "doc:cid"].map(str::to_owned);
        let (state, values) = tested.store.read(&space, &keys).await.expect("read");
        assert_eq!((state, values), (pair[1].clone(), vec![Some(bytes("kept")), None, None]));
        assert_eq!(tested.fields(&space, "parked").await, [("ann".to_owned(), bytes("kept"))]);
        assert_eq!(tested.members(&space, "key").await, ["a"]);
    }
}

pub(super) async fn law_2_of_commits_at_once_on_one_state_one_happens(tested: Tested) {
    let space = fresh_space();
    let mut from = SpaceState::Empty;
    for round in 0..20_u64 {
        let committers = (0..8_u64).map(|committer| {
            let stores = [&tested.store, &tested.other];
            let (store, space) = (Arc::clone(stores[committer as usize % 2]), space.clone());
            let (from, to) = (from.clone(), at(1 + round * 8 + committer));
            tokio::spawn(async move {
                let changes = [put("doc:ann", &committer.to_string())];
                match store.commit(&space, &from, &to, &changes).await.expect("an answer") {
                    Commit::Committed => Some((committer, to)),
                    Commit::Stale(_) => None,
                }
            })
        });
        let mut winners = Vec::new();
        for committer in committers.collect::<Vec<_>>() {
            winners.extend(committer.await.expect("no panic"));
        }
        let [(winner, to)] = &winners[..] else { panic!("{} won", winners.len()) };
        assert_eq!(tested.state(&space).await, *to);
        assert_eq!(tested.value(&space, "doc:ann").await, Some(bytes(&winner.to_string())));
        from = to.clone();
    }
}

pub(super) async fn law_2_a_flush_goes_over_several_commits_to_its_checkpoint(tested: Tested) {
    let (space, flushing) = (fresh_space(), SpaceState::Flushing(fresh_id()));
    tested.commit(&space, &SpaceState::Empty, &flushing, &[put("doc:ann", "1")]).await;
    assert_eq!(tested.state(&space).await, flushing);
    tested.commit(&space, &flushing, &flushing, &[put("doc:ben", "2")]).await;
    tested.commit(&space, &flushing, &at(7), &[put("doc:cid", "3")]).await;
    let keys = ["doc:ann", "doc:ben", "doc:cid"].map(str::to_owned);
    let (state, values) = tested.store.read(&space, &keys).await.expect("read");
    assert_eq!(state, at(7));
    assert_eq!(values, [Some(bytes("1")), Some(bytes("2")), Some(bytes("3"))]);
}

pub(super) async fn law_2_a_flush_that_was_given_up_cannot_write_into_the_next(tested: Tested) {
    let space = fresh_space();
    let [given_up, next] = [(); 2].map(|()| SpaceState::Flushing(fresh_id()));
    tested.commit(&space, &SpaceState::Empty, &given_up, &[put("doc:ann", "old")]).await;
    while tested.store.drop_space(&space, 10).await.expect("drop") != Dropped::All {}
    tested.commit(&space, &SpaceState::Empty, &next, &[put("doc:ann", "new")]).await;
    let zombie = tested.store.commit(&space, &given_up, &given_up, &[put("doc:ann", "old")]).await;
    assert_eq!(zombie.expect("an answer"), Commit::Stale(next));
    assert_eq!(tested.value(&space, "doc:ann").await, Some(bytes("new")));
}

pub(super) async fn law_2_a_commit_may_empty_the_state(tested: Tested) {
    let space = fresh_space();
    tested.commit(&space, &SpaceState::Empty, &at(1), &[put("doc:ann", "1")]).await;
    tested.commit(&space, &at(1), &SpaceState::Empty, &[delete("doc:ann")]).await;
    assert_eq!(tested.state(&space).await, SpaceState::Empty);
    tested.commit(&space, &SpaceState::Empty, &at(2), &[]).await;
}

pub(super) async fn law_6_spaces_have_nothing_in_common(tested: Tested) {
    let generation = fresh_id();
    let spaces = [
        Space::new("accounts", generation, Partition(1)),
        Space::new("accounts", generation, Partition(10)),
        Space::new("account", generation, Partition(1)),
        Space::new("accounts", fresh_id(), Partition(1)),
    ];
    for (n, space) in spaces.iter().enumerate() {
        let [doc, listed] = put_listed("doc:ann", &n.to_string());
        let changes = [doc, listed, put_field("parked", "ann", "x"), index_put("owner", "x")];
        tested.commit(space, &SpaceState::Empty, &at(1 + n as u64), &changes).await;
    }
    tested.commit(&spaces[1], &at(2), &at(9), &[delete("doc:ann")]).await;
    while tested.store.drop_space(&spaces[0], 10).await.expect("drop") != Dropped::All {}
    for (n, space) in spaces.iter().enumerate().skip(2) {
        assert_eq!(tested.state(space).await, at(1 + n as u64));
        assert_eq!(tested.value(space, "doc:ann").await, Some(bytes(&n.to_string())));
    }
    for space in &spaces[1..] {
        assert_eq!(tested.fields(space, "parked").await.len(), 1);
        assert_eq!(tested.members(space, "owner").await, ["x"]);
    }
    assert_eq!(tested.state(&spaces[1]).await, at(9));
}

pub(super) async fn law_9_a_commit_beyond_a_limit_is_refused_and_changes_nothing(tested: Tested) {
    let (space, max) = (fresh_space(), tested.store.changes_max());
    let long = "k".repeat(CHANGE_KEY_LEN_MAX + 1);
    let too_many: Vec<_> = (0..=max).map(|n| put(&format!("doc:{n}"), "x")).collect();
    let refused: [(&[Change], InvalidCommit); 4] = [
        (&too_many, InvalidCommit::TooManyChanges { len: max + 1, max }),
        (
            &[put("doc:0", "x"), index_put("key", long.clone())],
            InvalidCommit::KeyTooLong { len: long.len() },
        ),
        (
            &[put("doc:0", "x"), put("checkpoint", "x")],
            InvalidCommit::KeyTaken("checkpoint".to_owned()),
        ),
        (
            &[put("doc:0", "x"), put_field("doc:0", "f", "x")],
            InvalidCommit::KeyOfTwoKinds("doc:0".to_owned()),
        ),
    ];
    for (changes, why) in refused {
        match tested.store.commit(&space, &SpaceState::Empty, &at(1), changes).await {
            Err(StoreError::Invalid(invalid)) => assert_eq!(invalid, why),
            answer => panic!("{why}: {answer:?}"),
        }
    }
    assert_eq!(tested.state(&space).await, SpaceState::Empty);
    assert_eq!(tested.value(&space, "doc:0").await, None);
}

pub(super) async fn law_9_the_largest_commit_is_taken(tested: Tested) {
    let (space, max) = (fresh_space(), tested.store.changes_max());
    let kinds: [fn(&str) -> Change; 6] = [
        |n| put(&format!("doc:{n}"), n),
        |n| put_for(Duration::from_secs(60), &format!("outcome:{n}"), n),
        |n| put_field("map", n, n),
        |n| put_field(&format!("map:{n}"), n, n),
        |n| index_put("owner", n.to_owned()),
        |n| index_put(&format!("by-{n}"), n.to_owned()),
    ];
    let mut state = SpaceState::Empty;
    for (next, kind) in kinds.into_iter().enumerate() {
        let changes: Vec<_> = (0..max).map(|n| kind(&format!("{n:04}"))).collect();
        let to = at(1 + next as u64);
        tested.commit(&space, &state, &to, &changes).await;
        state = to;
    }
    let last = format!("{:04}", max - 1);
    let keys = ["doc:", "outcome:"].map(|prefix| format!("{prefix}{last}"));
    let (_, values) = tested.store.read(&space, &keys).await.expect("read");
    assert_eq!(values, [Some(bytes(&last)), Some(bytes(&last))]);
    assert_eq!(tested.fields(&space, "map").await.len(), max);
    assert_eq!(tested.fields(&space, &format!("map:{last}")).await.len(), 1);
    assert_eq!(tested.members(&space, "owner").await.len(), max);
    assert_eq!(tested.members(&space, &format!("by-{last}")).await, [last]);

    let longest = "k".repeat(CHANGE_KEY_LEN_MAX);
    let changes = [put(&longest, "1"), put_field(&format!("{longest:.29999}m"), &longest, "2")];
    tested.commit(&space, &state, &at(99), &changes).await;
    assert_eq!(tested.value(&space, &longest).await, Some(bytes("1")));
}

pub(super) async fn law_10_of_two_changes_to_one_key_the_later_holds(tested: Tested) {
    let space = fresh_space();
    let minute = Duration::from_secs(60);
    let changes = [
        put("doc:put", "1"),
        put("doc:put", "2"),
        put("doc:gone", "1"),
        delete("doc:gone"),
        delete("doc:back"),
        put_for(minute, "doc:back", "1"),
        put_for(minute, "doc:kept", "1"),
        put("doc:kept", "2"),
        put_field("map", "put", "1"),
        put_field("map", "put", "2"),
        put_field("map", "gone", "1"),
        delete_field("map", "gone"),
        delete_field("map", "back"),
        put_field("map", "back", "1"),
        index_put("index", "gone"),
        index_delete("index", "gone"),
        index_delete("index", "back"),
        index_put("index", "back"),
    ];
    tested.commit(&space, &SpaceState::Empty, &at(1), &changes).await;
    let keys = ["doc:put", "doc:gone", "doc:back", "doc:kept"].map(str::to_owned);
    let (_, values) = tested.store.read(&space, &keys).await.expect("read");
    assert_eq!(values, [Some(bytes("2")), None, Some(bytes("1")), Some(bytes("2"))]);
    let fields = [("back".to_owned(), bytes("1")), ("put".to_owned(), bytes("2"))];
    assert_eq!(tested.fields(&space, "map").await, fields);
    assert_eq!(tested.members(&space, "index").await, ["back"]);
}
