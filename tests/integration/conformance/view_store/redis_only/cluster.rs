//! A Redis Cluster: every space on the node that has its slot, also while slots move and nodes
//! are lost.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::time::Instant;

use super::*;
use crate::support::cluster::{NODES, RedisCluster, shared_url};

#[tokio::test]
async fn every_script_finds_its_keys_on_whichever_node_they_are() {
    let (url, namespace) = (shared_url(), fresh_namespace());
    let (store, other) = (views(&url, &namespace), views(&url, &namespace));
    let mut nodes = BTreeSet::new();
    while nodes.len() < NODES {
        let space = fresh_space();
        let mut changes: Vec<_> = put_listed("doc:ann", "1").into();
        changes.push(put_field("parked", "ann", "x"));
        commit(&store, &space, &SpaceState::Empty, &at(1), &changes).await;
        assert_eq!(value(&other, &space, "doc:ann").await, Some(bytes("1")));
        assert_eq!(members(&other, &space, KEY_INDEX).await, ["doc:ann"]);
        assert_eq!(other.read_map(&space, "parked").await.expect("read").1.len(), 1);
        while other.drop_space(&space, 1).await.expect("drop") != Dropped::All {}
        assert_eq!(store.read(&space, &[]).await.expect("read").0, SpaceState::Empty);
        nodes.insert(RedisCluster::node_of(slot_of(&url, &namespace, &space).await));
    }
    store.check().await.expect("all of it can be trusted");
}

/// R5: a slot on its way is not read in part, and is found where it has gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_moves_is_never_read_in_part_and_is_found_where_it_went() {
    let cluster = RedisCluster::start();
    let (store, watching) = (views(cluster.url(), "ns"), views(cluster.url(), "ns"));
    let space = fresh_space();
    commit(&store, &space, &SpaceState::Empty, &at(1), &[put("doc:a", "1"), put("doc:b", "1")])
        .await;
    let mut watch = watching.watch(&space).await;
    let slot = slot_of(cluster.url(), "ns", &space).await;
    let from = RedisCluster::node_of(slot);
    let to = from % NODES + 1;
    let (mut source, mut target) =
        (connection(&cluster.node(from)).await, connection(&cluster.node(to)).await);
    let source_id: String = ask(&mut source, "CLUSTER MYID").await;
    let target_id: String = ask(&mut target, "CLUSTER MYID").await;
    let set = |state: &str, id: &str| format!("CLUSTER SETSLOT {slot} {state} {id}");
    let () = ask(&mut target, &set("IMPORTING", &source_id)).await;
    let () = ask(&mut source, &set("MIGRATING", &target_id)).await;
    let both = ["doc:a".to_owned(), "doc:b".to_owned()];
    let whole = (at(1), vec![Some(bytes("1")), Some(bytes("1"))]);
    assert_eq!(store.read(&space, &both).await.expect("still there"), whole);

    let tag = tag("ns", &space);
    let port = cluster.port(to);
    let migrate = |keys: &str| format!("MIGRATE 127.0.0.1 {port}  0 5000 KEYS {keys}");
    let () = ask(&mut source, &migrate(&format!("{tag}:doc:a"))).await;
    let split = store.read(&space, &both).await;
    assert!(matches!(split, Err(StoreError::Unavailable(_))), "{split:?}");
    let split = store.commit(&space, &at(1), &at(2), &[put("doc:a", "2")]).await;
    assert!(matches!(split, Err(StoreError::Unavailable(_))), "{split:?}");
    assert_eq!(store.read(&space, &[]).await.expect("read").0, at(1), "nothing was done");

    let rest: Vec<String> = ask(&mut source, &format!("CLUSTER GETKEYSINSLOT {slot} 100")).await;
    let () = ask(&mut source, &migrate(&rest.join(" "))).await;
    assert_eq!(store.read(&space, &both).await.expect("asked for on the other node"), whole);
    let () = ask(&mut target, &set("NODE", &target_id)).await;
    let () = ask(&mut source, &set("NODE", &target_id)).await;
    for _ in 0..2 {
        assert_eq!(store.read(&space, &both).await.expect("moved"), whole);
    }
    commit(&store, &space, &at(1), &at(2), &[put("doc:c", "2")]).await;
    tokio::time::timeout(PATIENCE, watch.moved()).await.expect("it is woken");
    // One that knows nothing of the way it went.
    assert_eq!(value(&views(cluster.url(), "ns"), &space, "doc:c").await, Some(bytes("2")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_lost_is_told_at_once_and_found_again() {
    let cluster = RedisCluster::start();
    let store = views(cluster.url(), "ns");
    let mut spaces: BTreeMap<usize, Space> = BTreeMap::new();
    while spaces.len() < NODES {
        let space = fresh_space();
        let node = RedisCluster::node_of(slot_of(cluster.url(), "ns", &space).await);
        if let Entry::Vacant(place) = spaces.entry(node) {
            commit(&store, &space, &SpaceState::Empty, &at(1), &[put("doc:ann", "1")]).await;
            place.insert(space);
        }
    }
    // The first that the URL names: the others know the way, too.
    cluster.kill(1);
    let begun = Instant::now();
    let absent = store.read(&spaces[&1], &[]).await;
    assert!(matches!(absent, Err(StoreError::Unavailable(_))), "{absent:?}");
    assert!(begun.elapsed() < Duration::from_secs(2), "it waited {:?}", begun.elapsed());
    assert!(matches!(store.check().await, Err(StoreError::Unavailable(_))));
    cluster.restart(1);
    assert_eq!(until_it_answers(&store, &spaces[&1]).await, SpaceState::Empty, "it kept nothing");
    for node in [2, 3] {
        assert_eq!(until_it_answers(&store, &spaces[&node]).await, at(1));
        assert_eq!(value(&store, &spaces[&node], "doc:ann").await, Some(bytes("1")));
    }
    until_it_answers(&store, &spaces[&1]).await;
    commit(&store, &spaces[&1], &SpaceState::Empty, &at(1), &[put("doc:ann", "2")]).await;
}

#[tokio::test]
async fn a_server_that_is_not_what_the_url_says_is_refused() {
    let one = super::shared_url();
    let as_cluster = one.replace("redis://", "redis-cluster://").replace("/0", "");
    let node = shared_url().replace("redis-cluster://", "redis://");
    let node = node.split(',').next().expect("a node").to_owned();
    for (url, said) in [(as_cluster, "redis://HOST:PORT"), (node, "redis-cluster://HOST:PORT")] {
        let refused = views(&url, "ns").check().await;
        let Err(StoreError::Settings(wrong)) = refused else { panic!("{url}: {refused:?}") };
        assert!(wrong[0].contains(said), "{url}: {wrong:?}");
    }
}

async fn slot_of(url: &str, namespace: &str, space: &Space) -> usize {
    let node = url.replace("redis-cluster://", "redis://");
    let mut redis = connection(node.split(',').next().expect("a node")).await;
    ask(&mut redis, &format!("CLUSTER KEYSLOT {}:checkpoint", tag(namespace, space))).await
}
