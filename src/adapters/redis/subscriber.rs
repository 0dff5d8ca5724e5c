//! One connection that hears of commits by others and wakes whoever watches their spaces. In a
//! cluster any node will do: each hears of what is published at another.
//!
//! It follows [`Watchers`]: a space that somebody watches is subscribed to, one that nobody
//! watches is not. Whatever may have been missed is made up for: when a subscription is confirmed,
//! first or after a lost connection, the watchers of its space are woken.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{PushInfo, PushKind, RedisError, Value};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::ports::{Space, Watch, Watchers};

use super::keys::Keys;
use super::pool::Connector;

/// Between two attempts to connect.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// How long a connection may say nothing before it is asked whether it still lives.
const SILENCE_MAX: Duration = Duration::from_secs(5);

pub(super) struct Subscriber {
    following: Following,
    /// The task, which begins with the first watcher.
    task: OnceLock<AbortHandle>,
}

#[derive(Clone)]
struct Following {
    /// The servers to connect to; the next one when one is lost.
    connectors: Vec<Connector>,
    keys: Keys,
    watchers: Watchers,
}

impl Subscriber {
    pub(super) fn new(connectors: Vec<Connector>, keys: Keys) -> Self {
        let following = Following { connectors, keys, watchers: Watchers::default() };
        Self { following, task: OnceLock::new() }
    }

    pub(super) fn watch(&self, space: &Space) -> Box<dyn Watch> {
        let watch = self.following.watchers.watch(space);
        self.task.get_or_init(|| tokio::spawn(self.following.clone().run()).abort_handle());
        watch
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

impl Following {
    async fn run(self) {
        for connector in self.connectors.iter().cycle() {
            let ended = Arc::new(Notify::new());
            let pushed = self.pushed(Arc::clone(&ended));
            if let Ok(connection) = connector.connect_with(pushed).await {
                let followed = self.follow(connection, &ended).await;
                if let Err(error) = followed {
                    tracing::warn!(%error, "the subscription to commits has ended; again");
                }
            }
            sleep(RETRY_INTERVAL).await;
        }
    }

    /// What is done with what Redis says unasked. It runs on the connection's own task, so there
    /// is no queue that could grow.
    fn pushed(&self, ended: Arc<Notify>) -> impl Fn(PushInfo) + Send + Sync + 'static {
        let (keys, watchers) = (self.keys.clone(), self.watchers.clone());
        move |push| match push.kind {
            PushKind::Message => {
                if let Some(Value::BulkString(channel)) = push.data.first() {
                    let channel = String::from_utf8_lossy(channel);
                    if let Some(space) = keys.space_of_channel(&channel) {
                        watchers.moved(space);
                    }
                }
            }
            PushKind::Disconnection => ended.notify_one(),
            _ => {}
        }
    }

    /// Returns when the connection has ended.
    async fn follow(
        &self,
        mut connection: MultiplexedConnection,
        ended: &Notify,
    ) -> Result<(), RedisError> {
        let mut subscribed = BTreeSet::new();
        loop {
            let watched: BTreeSet<String> = self.watchers.spaces().into_iter().collect();
            let added: Vec<&String> = watched.difference(&subscribed).collect();
            if !added.is_empty() {
                connection.subscribe(self.channels(&added)).await?;
                added.into_iter().for_each(|space| self.watchers.moved(space));
            }
            let removed: Vec<&String> = subscribed.difference(&watched).collect();
            if !removed.is_empty() {
                connection.unsubscribe(self.channels(&removed)).await?;
            }
            subscribed = watched;
            tokio::select! {
                () = ended.notified() => return Ok(()),
                changed = timeout(SILENCE_MAX, self.watchers.changed()) => if changed.is_err() {
                    redis::cmd("PING").exec_async(&mut connection).await?;
                },
            }
        }
    }

    fn channels(&self, spaces: &[&String]) -> Vec<String> {
        spaces.iter().map(|space| self.keys.channel(space)).collect()
    }
}
