//! Laws 3 and 4: values and state are of one instant.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

pub(super) async fn law_3_a_read_never_mixes_two_commits(tested: Tested) {
    const STATES: usize = 30;
    let space = fresh_space();
    tested.commit(&space, &SpaceState::Empty, &at(0), &numbered(0)).await;
    let (store, written) = (Arc::clone(&tested.other), space.clone());
    let enough = Arc::new(AtomicBool::new(false));
    let is_enough = Arc::clone(&enough);
    let writer = tokio::spawn(async move {
        for n in 1.. {
            let mut changes = numbered(n);
            changes.push(index_delete("numbers", format!("{:06}", n - 1)));
            changes.push(index_delete("naming", naming(n - 1)));
            commit(&*store, &written, &at(n - 1), &at(n), &changes).await;
            if is_enough.load(Ordering::SeqCst) {
                return;
            }
            tokio::task::yield_now().await;
        }
    });
    let keys = ["doc:a", "doc:b"].map(str::to_owned);
    let query = |index: &str| RangeQuery {
        index: index.to_owned(),
        from: Bound::Unbounded,
        to: Bound::Unbounded,
        limit: 10,
        descending: false,
    };
    let (numbers, naming_query) = (query("numbers"), query("naming"));
    // Read at different states, each of the four reads.
    let mut seen: [BTreeSet<u64>; 4] = Default::default();
    while seen.iter().any(|seen| seen.len() < STATES) {
        assert!(!writer.is_finished(), "every commit succeeds");
        let (state, values) = tested.store.read(&space, &keys).await.expect("read");
        let n = next(&state);
        assert_eq!(values, [Some(bytes(&n.to_string())), Some(bytes(&n.to_string()))]);
        seen[0].insert(n);
        let (state, fields) = tested.store.read_map(&space, "map").await.expect("read");
        let n = bytes(&next(&state).to_string());
        assert_eq!(fields, [("a".to_owned(), n.clone()), ("b".to_owned(), n)].into());
        seen[1].insert(next(&state));
        let (state, members) = tested.store.range(&space, &numbers).await.expect("range");
        assert_eq!(members, [format!("{:06}", next(&state))]);
        seen[2].insert(next(&state));
        let page = tested.store.page(&space, &naming_query, usize::MAX).await;
        let (state, page) = page.expect("page");
        let n = next(&state);
        let value = Some(bytes(&n.to_string()));
        assert_eq!(page, [Listed { member: naming(n).into(), value }]);
        seen[3].insert(n);
        tokio::task::yield_now().await;
    }
    enough.store(true, Ordering::SeqCst);
    writer.await.expect("every commit succeeds");
}

pub(super) async fn values_come_in_the_order_in_which_they_were_asked_for(tested: Tested) {
    let space = fresh_space();
    let changes = [put("doc:a", "1"), put("doc:b", "2")];
    tested.commit(&space, &SpaceState::Empty, &at(1), &changes).await;
    let keys = ["doc:b", "doc:none", "doc:a", "doc:b"].map(str::to_owned);
    let (_, values) = tested.store.read(&space, &keys).await.expect("read");
    assert_eq!(values, [Some(bytes("2")), None, Some(bytes("1")), Some(bytes("2"))]);
    let (state, values) = tested.store.read(&space, &[]).await.expect("read");
    assert_eq!((state, values.len()), (at(1), 0));
}

pub(super) async fn many_values_are_read_at_once(tested: Tested) {
    let space = fresh_space();
    let changes: Vec<_> = (0..500).map(|n| put(&format!("doc:{n}"), &n.to_string())).collect();
    tested.commit(&space, &SpaceState::Empty, &at(1), &changes).await;
    let keys: Vec<_> = (0..1_000).map(|n| format!("doc:{n}")).collect();
    let (state, values) = tested.store.read(&space, &keys).await.expect("read");
    assert_eq!(state, at(1));
    for (n, value) in values.iter().enumerate() {
        assert_eq!(*value, (n < 500).then(|| bytes(&n.to_string())));
    }
}

pub(super) async fn a_range_keeps_its_bounds_from_both_ends(tested: Tested) {
    let space = fresh_space();
    let members: BTreeSet<Bytes> =
        [&b""[..], b"\0", b"\0\0", b"a", b"a\0", b"a\xff", b"b", b"ba", b"\xff", b"\xff\xff"]
            .map(Bytes::from_static)
            .into();
    let mut changes: Vec<_> = members.iter().map(|m| index_put("i", m.clone())).collect();
    // Neighbours in the order of keys, whose members must not come in.
    changes.extend([index_put("h", "\u{ff}"), index_put("i\0", ""), index_put("j", "")]);
    tested.commit(&space, &SpaceState::Empty, &at(1), &changes).await;
    let ends = [&b""[..], b"\0", b"a", b"a\x80", b"b", b"\xff", b"\xff\xff\xff"];
    let bounds = ends.into_iter().map(Bytes::from_static);
    let bounds = bounds.flat_map(|end| [Bound::Included(end.clone()), Bound::Excluded(end)]);
    let bounds: Vec<Bound<Bytes>> = bounds.chain([Bound::Unbounded]).collect();
    for from in &bounds {
        for to in &bounds {
            for (descending, limit) in [(false, 100), (true, 100), (false, 3), (true, 3), (true, 0)]
            {
                let (from, to) = (from.clone(), to.clone());
                let within = |m: &&Bytes| {
                    (from.as_ref(), to.as_ref()) == (Bound::Unbounded, Bound::Unbounded)
                        || std::ops::RangeBounds::contains(&(from.clone(), to.clone()), *m)
                };
                let mut expected: Vec<Bytes> = members.iter().filter(within).cloned().collect();
                if descending {
                    expected.reverse();
                }
                expected.truncate(limit);
                let index = "i".to_owned();
                let query =
                    RangeQuery { index, from: from.clone(), to: to.clone(), limit, descending };
                let (state, found) = tested.store.range(&space, &query).await.expect("range");
                assert_eq!((state, found), (at(1), expected), "{query:?}");
            }
        }
    }
}

pub(super) async fn law_13_a_page_has_the_values_that_its_members_name(tested: Tested) {
    let space = fresh_space();
    // More than are read at once, in either order; one names nothing, one itself.
    let mut changes: Vec<Change> = Vec::new();
    for n in 0..200 {
        changes.push(put(&format!("doc:{n}"), &format!("{n:0>10}")));
        changes.push(index_put("i", format!("{:06}\0\u{1}\0doc:{n}", 999 - n)));
    }
    changes.extend([index_put("i", "a\0doc:none"), index_put("i", "doc:7")]);
    changes.push(index_put("i", "b\0"));
    tested.commit(&space, &SpaceState::Empty, &at(1), &changes).await;
    let mut expected: Vec<Listed> = (0..200)
        .rev()
        .map(|n| listed(&format!("{:06}\0\u{1}\0doc:{n}", 999 - n), Some(&format!("{n:0>10}"))))
        .collect();
    expected.extend([listed("a\0doc:none", None), listed("b\0", None)]);
    expected.push(listed("doc:7", Some("0000000007")));
    for (descending, limit) in [(false, 300), (false, 150), (true, 300), (true, 150), (true, 0)] {
        let mut expected = expected.clone();
        if descending {
            expected.reverse();
        }
        let (from, to) = (Bound::Unbounded, Bound::Unbounded);
        let query = RangeQuery { index: "i".to_owned(), from, to, limit, descending };
        let (state, page) = tested.store.page(&space, &query, usize::MAX).await.expect("page");
        expected.truncate(limit);
        assert_eq!((state, &page), (at(1), &expected), "{query:?}");
        // Ten bytes a value: the tenth or so goes beyond.
        let (_, page) = tested.store.page(&space, &query, 95).await.expect("page");
        expected.truncate(if descending { 12 } else { 10 });
        assert_eq!(page, expected, "{query:?}");
    }
}

fn listed(member: &str, value: Option<&str>) -> Listed {
    Listed { member: bytes(member), value: value.map(bytes) }
}

/// A member that names `doc:a`.
fn naming(n: u64) -> String {
    format!("{n:06}\0doc:a")
}

fn numbered(n: u64) -> Vec<Change> {
    let text = n.to_string();
    vec![
        put("doc:a", &text),
        put_field("map", "a", &text),
        index_put("numbers", format!("{n:06}")),
        index_put("naming", naming(n)),
        put_field("map", "b", &text),
        put("doc:b", &text),
    ]
}

fn next(state: &SpaceState) -> u64 {
    state.checkpoint().expect("a checkpoint").next.0
}
