//! The keys, for whoever looks at them with another tool, and what is found under them.

use std::collections::{BTreeMap, BTreeSet};

use retell::ports::Pointer;

use super::*;

#[tokio::test]
async fn keys_are_where_the_documentation_says() {
    let (url, namespace, space) = (shared_url(), fresh_namespace(), fresh_space());
    let (store, mut redis) = (views(&url, &namespace), connection(&url).await);
    let changes = [
        put("doc:ann", "{}"),
        put_for(Duration::from_secs(60), "outcome:ann", "x"),
        put_field("parked", "ann", "y"),
        index_put("owner", "Ann"),
    ];
    commit(&store, &space, &SpaceState::Empty, &at(7), &changes).await;
    let pointer = Pointer { live: Some(Uuid::nil()), ..Pointer::default() };
    assert!(store.set_pointer("accounts", 3, None, &pointer).await.expect("set"));

    let tag = tag(&namespace, &space);
    let get = async |redis: &mut _, key: &str| ask::<String>(redis, &format!("GET {key}")).await;
    assert_eq!(get(&mut redis, &format!("{tag}:checkpoint")).await, at(7).to_text());
    assert_eq!(get(&mut redis, &format!("{tag}:doc:ann")).await, "{}");
    assert_eq!(get(&mut redis, &format!("{tag}:outcome:ann")).await, "x");
    let millis: i64 = ask(&mut redis, &format!("PTTL {tag}:outcome:ann")).await;
    assert!((1..=60_000).contains(&millis), "{millis}");
    let parked: BTreeMap<String, String> = ask(&mut redis, &format!("HGETALL {tag}:parked")).await;
    assert_eq!(parked, [("ann".to_owned(), "y".to_owned())].into());
    let owner: Vec<(String, f64)> =
        ask(&mut redis, &format!("ZRANGE {tag}:index:owner 0 -1 WITHSCORES")).await;
    assert_eq!(owner, [("Ann".to_owned(), 0.0)]);
    let generations = format!("HGET retell:{{{namespace}:accounts}}:generations 3");
    let json: String = ask(&mut redis, &generations).await;
    assert_eq!(serde_json::from_str::<Pointer>(&json).expect("JSON"), pointer);
}

#[tokio::test]
async fn a_drop_leaves_no_key_but_those_that_expire() {
    let (url, namespace, space) = (shared_url(), fresh_namespace(), fresh_space());
    let (store, mut redis) = (views(&url, &namespace), connection(&url).await);
    let minute = Duration::from_secs(60);
    let mut changes = vec![
        put_for(minute, "outcome:ann", "x"),
        put_field("parked", "ann", "x"),
        put_field_for(minute, "trace", "ann", "x"),
        // Kept for ever only with its second field.
        put_field_for(minute, "history", "1", "x"),
    ];
    for n in 0..30 {
        changes.extend(put_listed(&format!("doc:{n}"), "x"));
        changes.push(index_put(&format!("by-{n}"), "x"));
    }
    commit(&store, &space, &SpaceState::Empty, &at(1), &changes).await;
    commit(&store, &space, &at(1), &at(2), &[put_field("history", "2", "x")]).await;
    while store.drop_space(&space, 7).await.expect("drop") != Dropped::All {}
    let left = keys(&mut redis, &namespace).await;
    let tag = tag(&namespace, &space);
    let expiring = ["outcome:ann", "trace"].map(|key| format!("{tag}:{key}"));
    assert_eq!(left, expiring.into());
}

#[tokio::test]
async fn a_key_of_a_wrong_type_tears_the_commit_and_nothing_is_half_done() {
    let (url, namespace) = (shared_url(), fresh_namespace());
    let (store, mut redis) = (views(&url, &namespace), connection(&url).await);
    for (key, spoil) in [
        ("doc:z", "LPUSH"),
        ("doc:gone", "SADD"),
        ("outcome:z", "SADD"),
        ("map", "LPUSH"),
        ("index:owner", "LPUSH"),
        ("parts", "LPUSH"),
    ] {
        let space = fresh_space();
        let tag = tag(&namespace, &space);
        let before = [put("doc:a", "1"), put_field("kept", "a", "1"), index_put("kept", "1")];
        commit(&store, &space, &SpaceState::Empty, &at(1), &before).await;
        let _: () = ask(&mut redis, &format!("DEL {tag}:{key}")).await;
        let _: () = ask(&mut redis, &format!("{spoil} {tag}:{key} x")).await;
        let changes = [
            put("doc:a", "2"),
            put_field("kept", "a", "2"),
            index_put("kept", "2"),
            put("doc:z", "2"),
            delete("doc:gone"),
            put_for(Duration::from_secs(60), "outcome:z", "2"),
            index_put("owner", "2"),
            put_field("map", "z", "2"),
        ];
        match store.commit(&space, &at(1), &at(2), &changes).await {
            Err(StoreError::Torn { space: torn, detail }) => {
                assert_eq!(torn, space.to_string());
                assert!(detail.contains(&format!("{tag}:{key}")), "{key}: {detail}");
            }
            answer => panic!("{key}: {answer:?}"),
        }
        let keys = ["doc:a".to_owned()];
        let read = store.read(&space, &keys).await.expect("read");
        assert_eq!(read, (at(1), vec![Some(bytes("1"))]), "{key}");
        let (_, fields) = store.read_map(&space, "kept").await.expect("read");
        assert_eq!(fields, [("a".to_owned(), bytes("1"))].into(), "{key}");
        assert_eq!(members(&store, &space, "kept").await, ["1"], "{key}");
    }
}

#[tokio::test]
async fn a_checkpoint_that_nobody_of_us_wrote_is_torn_until_the_space_is_dropped() {
    let (url, namespace) = (shared_url(), fresh_namespace());
    let (store, mut redis) = (views(&url, &namespace), connection(&url).await);
    for spoil in ["SET CHECKPOINT nonsense", "LPUSH CHECKPOINT x"] {
        let space = fresh_space();
        let tag = tag(&namespace, &space);
        let spoil = spoil.replace("CHECKPOINT", &format!("{tag}:checkpoint"));
        let _: () = ask(&mut redis, &spoil).await;
        let commit_torn = store.commit(&space, &SpaceState::Empty, &at(1), &[]).await;
        assert!(matches!(commit_torn, Err(StoreError::Torn { .. })), "{spoil}: {commit_torn:?}");
        let map_torn = store.read_map(&space, "map").await;
        assert!(matches!(map_torn, Err(StoreError::Torn { .. })), "{spoil}: {map_torn:?}");
        while store.drop_space(&space, 7).await.expect("drop") != Dropped::All {}
        commit(&store, &space, &SpaceState::Empty, &at(1), &[]).await;
    }
}

#[tokio::test]
async fn a_commit_that_fails_half_way_leaves_a_torn_space() {
    let server = RedisServer::start(&[]);
    let (space, mut redis) = (fresh_space(), connection(server.url()).await);
    commit(&views(server.url(), "ns"), &space, &SpaceState::Empty, &at(1), &[]).await;
    // A user who may do everything but the last thing that the script does.
    let _: () = ask(&mut redis, "ACL SETUSER half on >x ~* &* +@all -zadd").await;
    let store = views(&server.url().replace("://", "://half:x@"), "ns");
    let changes = [put("doc:ann", "1"), index_put("owner", "x")];
    store.commit(&space, &at(1), &at(2), &changes).await.expect_err("it may not");
    let torn = store.read(&space, &[]).await;
    assert!(matches!(torn, Err(StoreError::Torn { .. })), "{torn:?}");
    while store.drop_space(&space, 7).await.expect("drop") != Dropped::All {}
    assert_eq!(store.read(&space, &[]).await.expect("read").0, SpaceState::Empty);
}

/// All keys of a namespace.
async fn keys(redis: &mut MultiplexedConnection, namespace: &str) -> BTreeSet<String> {
    ask::<Vec<String>>(redis, &format!("KEYS retell:{{{namespace}:*")).await.into_iter().collect()
}
