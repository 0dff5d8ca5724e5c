//! The connection that hears of commits by others.

use super::super::watch::until;
use super::*;

#[tokio::test]
async fn a_watcher_is_woken_for_what_happened_while_its_connection_was_lost() {
    let server = RedisServer::start(KEEPING);
    let (tested, space) = (on(&server), fresh_space());
    let mut redis = connection(server.url()).await;
    let mut watch = tested.store.watch(&space).await;
    tested.commit(&space, &SpaceState::Empty, &at(1), &[]).await;
    until(&tested, &mut *watch, &space, &at(1)).await;
    until_subscribed(&mut redis, &space, 1).await;
    // Lost, and something happens before it is there again.
    let _: i64 = ask(&mut redis, "CLIENT KILL TYPE pubsub").await;
    commit(&*tested.other, &space, &at(1), &at(2), &[]).await;
    until(&tested, &mut *watch, &space, &at(2)).await;
    // The whole server is gone for a while.
    server.kill();
    server.restart();
    let mut redis = connection(server.url()).await;
    until_subscribed(&mut redis, &space, 1).await;
    commit(&*tested.other, &space, &at(2), &at(3), &[]).await;
    until(&tested, &mut *watch, &space, &at(3)).await;
}

#[tokio::test]
async fn a_space_is_subscribed_to_once_and_as_long_as_somebody_watches_it() {
    let server = RedisServer::start(&[]);
    let (tested, space, other) = (on(&server), fresh_space(), fresh_space());
    let mut redis = connection(server.url()).await;
    let (one, two) = (tested.store.watch(&space).await, tested.store.watch(&space).await);
    let three = tested.store.watch(&other).await;
    until_subscribed(&mut redis, &space, 1).await;
    until_subscribed(&mut redis, &other, 1).await;
    drop((one, three));
    until_subscribed(&mut redis, &other, 0).await;
    until_subscribed(&mut redis, &space, 1).await;
    drop(two);
    until_subscribed(&mut redis, &space, 0).await;
    // Nobody watches: the connection stays for the next one.
    let _again = tested.store.watch(&space).await;
    until_subscribed(&mut redis, &space, 1).await;
    drop(tested);
    until_subscribed(&mut redis, &space, 0).await;
}

fn on(server: &RedisServer) -> Tested {
    let views = || Arc::new(views(server.url(), "ns"));
    Tested { store: views(), other: views(), clock: None, _dir: None }
}

/// Waits until a space has so many subscribers.
async fn until_subscribed(redis: &mut MultiplexedConnection, space: &Space, len: usize) {
    let subscribed = async {
        let numsub = format!("PUBSUB NUMSUB {}", tag("ns", space));
        while ask::<(String, usize)>(redis, &numsub).await.1 != len {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, subscribed).await.expect("subscribed");
}
