//! A Redis that is absent, slow, full, a replica, or not to be trusted; and how calls heal.

use std::time::Instant;

use super::*;
use crate::support::default_config;

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_fails_at_once_while_redis_is_absent_and_heals_by_itself() {
    let server = RedisServer::start(KEEPING);
    let (store, space) = (views(server.url(), "ns"), fresh_space());
    server.kill();
    for _ in 0..3 {
        let begun = Instant::now();
        let absent = store.read(&space, &[]).await;
        assert!(matches!(absent, Err(StoreError::Unavailable(_))), "{absent:?}");
        assert!(begun.elapsed() < Duration::from_secs(1), "it waited {:?}", begun.elapsed());
        assert!(matches!(store.check().await, Err(StoreError::Unavailable(_))));
    }
    server.restart();
    commit(&store, &space, &SpaceState::Empty, &at(1), &[put("doc:ann", "1")]).await;
    // Connections that broke while nobody used them are not used again.
    server.kill();
    server.restart();
    assert_eq!(value(&store, &space, "doc:ann").await, Some(bytes("1")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_1_a_commit_is_all_or_nothing_through_crashes_of_redis() {
    let server = RedisServer::start(KEEPING);
    let store = Arc::new(views(server.url(), "ns"));
    let space = fresh_space();
    let (committed, mut last) = tokio::sync::watch::channel(0);
    let (committing, to) = (Arc::clone(&store), space.clone());
    let committer = tokio::spawn(async move {
        let mut from = SpaceState::Empty;
        loop {
            let n = from.checkpoint().map_or(0, |checkpoint| checkpoint.next.0);
            match committing.commit(&to, &from, &at(n + 1), &numbered(n + 1)).await {
                Ok(Commit::Committed) => {
                    committed.send_replace(n + 1);
                    from = at(n + 1);
                }
                Ok(Commit::Stale(state)) => panic!("{from:?} is expected, {state:?} is there"),
                // Whether it happened is unknown: look.
                Err(StoreError::Unavailable(_)) => from = until_it_answers(&committing, &to).await,
                Err(error) => panic!("{error}"),
            }
        }
    });
    for round in 1..=5 {
        let more = last.wait_for(|n| *n >= round * 50);
        let acknowledged =
            *tokio::time::timeout(PATIENCE, more).await.expect("commits").expect("n");
        server.kill();
        server.restart();
        until_it_answers(&store, &space).await;
        let keys: Vec<_> = (0..20).map(|doc| format!("doc:{doc}")).collect();
        let (state, values) = store.read(&space, &keys).await.expect("read");
        let n = state.checkpoint().expect("a checkpoint").next.0;
        assert!(n >= acknowledged, "{acknowledged} was acknowledged, {n} is there");
        let text = bytes(&n.to_string());
        assert!(values.iter().all(|value| *value == Some(text.clone())), "{n}: {values:?}");
    }
    assert!(!committer.is_finished(), "it goes on");
    committer.abort();
}

#[tokio::test]
async fn who_goes_on_after_redis_lost_everything_is_refused() {
    let server = RedisServer::start(&[]);
    let (store, space) = (views(server.url(), "ns"), fresh_space());
    commit(&store, &space, &SpaceState::Empty, &at(1), &[put("doc:ann", "1")]).await;
    let mut redis = connection(server.url()).await;
    let _: () = ask(&mut redis, "FLUSHALL").await;
    let stale = store.commit(&space, &at(1), &at(2), &[put("doc:ben", "1")]).await;
    assert_eq!(stale.expect("an answer"), Commit::Stale(SpaceState::Empty));
    assert_eq!(value(&store, &space, "doc:ben").await, None);
}

#[tokio::test]
async fn a_script_that_redis_forgot_is_sent_again() {
    let server = RedisServer::start(&[]);
    let (store, space) = (views(server.url(), "ns"), fresh_space());
    let mut redis = connection(server.url()).await;
    commit(&store, &space, &SpaceState::Empty, &at(1), &[]).await;
    let _: () = ask(&mut redis, "SCRIPT FLUSH").await;
    commit(&store, &space, &at(1), &at(2), &[put_field("map", "a", "1")]).await;
    assert_eq!(store.read_map(&space, "map").await.expect("read").1.len(), 1);
}

#[tokio::test]
async fn a_call_to_a_redis_that_hangs_ends_and_later_calls_heal() {
    let server = RedisServer::start(&[]);
    let mut limits = default_config().views.redis;
    (limits.response_timeout, limits.connect_timeout) = (SHORT, SHORT);
    let store = RedisViews::connect(server.url(), "ns", &limits).expect("a URL");
    let space = fresh_space();
    commit(&store, &space, &SpaceState::Empty, &at(1), &[]).await;
    server.pause();
    let unknown = store.commit(&space, &at(1), &at(2), &[put("doc:ann", "1")]).await;
    assert!(matches!(unknown, Err(StoreError::Unavailable(_))), "{unknown:?}");
    let absent = store.read(&space, &[]).await;
    assert!(matches!(absent, Err(StoreError::Unavailable(_))), "{absent:?}");
    server.resume();
    // What was sent before the pause happens now; state and value agree all the same.
    until_it_answers(&store, &space).await;
    let (state, values) = store.read(&space, &["doc:ann".to_owned()]).await.expect("read");
    assert_eq!(values[0].is_some(), state == at(2), "{state:?}: {values:?}");
}

#[tokio::test]
async fn a_full_redis_says_so_changes_nothing_and_can_be_emptied() {
    let server = RedisServer::start(&["--", "--maxmemory", "4mb"]);
    let (store, space) = (views(server.url(), "ns"), fresh_space());
    let big = "x".repeat(10_000);
    let (mut state, mut next) = (SpaceState::Empty, 1);
    let full = loop {
        let changes = put_listed(&format!("doc:{next}"), &big);
        match store.commit(&space, &state, &at(next), &changes).await {
            Ok(Commit::Committed) => (state, next) = (at(next), next + 1),
            Ok(stale) => panic!("{stale:?}"),
            Err(error) => break error,
        }
        assert!(next < 1_000, "it is never full");
    };
    assert!(matches!(full, StoreError::Full(_)), "{full:?}");
    // Also when the first thing that the script does would need no memory.
    let deleting = [delete("doc:1"), put("doc:new", &big)];
    let full = store.commit(&space, &state, &at(next), &deleting).await;
    assert!(matches!(full, Err(StoreError::Full(_))), "{full:?}");
    let keys = ["doc:1".to_owned(), format!("doc:{next}")];
    let (found, values) = store.read(&space, &keys).await.expect("a full Redis can be read");
    assert_eq!((found, values), (state, vec![Some(bytes(&big)), None]));
    while store.drop_space(&space, 50).await.expect("a full Redis can be emptied") != Dropped::All {
    }
    commit(&store, &space, &SpaceState::Empty, &at(1), &put_listed("doc:1", &big)).await;
}

#[tokio::test]
async fn a_redis_that_evicts_is_refused_until_it_is_mended() {
    let server = RedisServer::start(&["--", "--maxmemory-policy", "allkeys-lru"]);
    let (store, mut redis) = (views(server.url(), "ns"), connection(server.url()).await);
    for _ in 0..2 {
        let Err(StoreError::Settings(wrong)) = store.check().await else { panic!("it is trusted") };
        assert_eq!(wrong.len(), 1);
        assert!(wrong[0].contains("allkeys-lru"), "{}", wrong[0]);
        let (_, mend) = wrong[0].split_once("redis-cli ").expect("what to do");
        let _: () = ask(&mut redis, mend).await;
        store.check().await.expect("it is mended");
        let _: () = ask(&mut redis, "CONFIG SET maxmemory-policy allkeys-lru").await;
    }
}

#[tokio::test]
async fn a_replica_is_unavailable_until_it_is_promoted() {
    let server = RedisServer::start(&[]);
    let (store, space) = (views(server.url(), "ns"), fresh_space());
    let mut redis = connection(server.url()).await;
    commit(&store, &space, &SpaceState::Empty, &at(1), &[]).await;
    let _: () = ask(&mut redis, "REPLICAOF 127.0.0.1 1").await;
    let refused = store.commit(&space, &at(1), &at(2), &[put("doc:ann", "1")]).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(matches!(store.check().await, Err(StoreError::Unavailable(_))));
    let _: () = ask(&mut redis, "REPLICAOF NO ONE").await;
    store.check().await.expect("it is a primary");
    commit(&store, &space, &at(1), &at(2), &[]).await;
}

#[tokio::test]
async fn what_waiting_does_not_mend_is_an_error_of_the_settings() {
    let server = RedisServer::start(&["--", "--requirepass", "right"]);
    for password in ["", ":wrong@"] {
        let store = views(&server.url().replace("://", &format!("://{password}")), "ns");
        let refused = store.check().await;
        assert!(matches!(refused, Err(StoreError::Settings(_))), "{password}: {refused:?}");
    }
    views(&server.url().replace("://", "://:right@"), "ns").check().await.expect("let in");
    let limits = default_config().views.redis;
    for (url, namespace) in [
        ("kafka://127.0.0.1", "ns"),
        ("redis://127.0.0.1:1/x", "ns"),
        ("redis://127.0.0.1:1/0", ""),
        ("redis://127.0.0.1:1/0", "a}b"),
    ] {
        let refused = RedisViews::connect(url, namespace, &limits).map(|_| ());
        assert!(matches!(refused, Err(StoreError::Settings(_))), "{url} {namespace}: {refused:?}");
    }
}

fn numbered(n: u64) -> Vec<Change> {
    (0..20).map(|doc| put(&format!("doc:{doc}"), &n.to_string())).collect()
}
