//! What only the store on Redis must do: where its keys are, what it refuses, and how it heals.

mod cluster;
mod faults;
mod layout;
mod subscription;

use redis::aio::MultiplexedConnection;
use retell::adapters::redis::RedisViews;
use retell::ports::StoreError;

use super::*;
use crate::support::redis::{RedisServer, connection, shared_url, views};

/// A server that keeps whatever it acknowledged, also through `kill -9`; with `everysec` it may
/// have put off the write.
const KEEPING: &[&str] = &["--appendonly", "yes", "--", "--appendfsync", "always"];

/// A namespace that no other test has.
fn fresh_namespace() -> String {
    fresh_id().to_string()
}

/// The beginning of a space's keys.
fn tag(namespace: &str, space: &Space) -> String {
    format!("retell:{{{namespace}:{space}}}")
}

async fn ask<T: redis::FromRedisValue>(connection: &mut MultiplexedConnection, line: &str) -> T {
    let mut words = line.split(' ');
    let mut cmd = redis::cmd(words.next().expect("a command"));
    words.for_each(|word| {
        cmd.arg(word);
    });
    cmd.query_async(connection).await.expect("Redis answers")
}

/// Calls until the store answers again.
async fn until_it_answers(store: &RedisViews, space: &Space) -> SpaceState {
    let answered = async {
        loop {
            match store.read(space, &[]).await {
                Ok((state, _)) => return state,
                Err(StoreError::Unavailable(_)) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, answered).await.expect("it answers again")
}
