//! Who in this process waits for which space to move: the part of law 8 that all view stores share.
//!
//! A wake-up is never lost here: one that comes while nobody waits is kept for the next wait. Two
//! that nobody waited for are one. Watchers of a space are woken in the order in which they came,
//! so that a simulation repeats itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use tokio::sync::Notify;

use super::{Space, Watch};

/// The watchers of one store. Clones are the same.
///
/// ```
/// use retell::Partition;
/// use retell::ports::{Space, Watchers};
///
/// # #[tokio::main] async fn main() {
/// let (watchers, space) =
///     (Watchers::default(), Space::new("accounts", uuid::Uuid::nil(), Partition(5)));
/// let mut watch = watchers.watch(&space);
/// watchers.moved(&space.to_string());
/// watch.moved().await; // it is woken, though it waits only now
/// assert_eq!(watchers.spaces(), [space.to_string()]);
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Watchers(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// By the space's name as text; a space that nobody watches has no entry.
    spaces: Mutex<BTreeMap<String, Vec<Arc<Notify>>>>,
    /// A space got its first watcher, or lost its last.
    changed: Notify,
}

/// One watcher; dropping it ends its watch.
struct Watcher {
    space: String,
    woken: Arc<Notify>,
    shared: Arc<Shared>,
}

impl Watchers {
    /// A new watcher of `space`.
    #[must_use]
    pub fn watch(&self, space: &Space) -> Box<dyn Watch> {
        let space = space.to_string();
        let woken = Arc::new(Notify::new());
        let mut spaces = self.0.spaces();
        let watchers = spaces.entry(space.clone()).or_default();
        watchers.push(Arc::clone(&woken));
        if watchers.len() == 1 {
            self.0.changed.notify_one();
        }
        drop(spaces);
        Box::new(Watcher { space, woken, shared: Arc::clone(&self.0) })
    }

    /// Wakes whoever watches the space of this name.
    pub fn moved(&self, space: &str) {
        if let Some(watchers) = self.0.spaces().get(space) {
            watchers.iter().for_each(|woken| woken.notify_one());
        }
    }

    /// The names of the spaces that somebody watches.
    #[must_use]
    pub fn spaces(&self) -> Vec<String> {
        self.0.spaces().keys().cloned().collect()
    }

    /// Returns when [`Self::spaces`] may have changed since the last call. For one caller.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }
}

impl Shared {
    fn spaces(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Arc<Notify>>>> {
        self.spaces.lock().expect("no panic while it is held")
    }
}

#[async_trait]
impl Watch for Watcher {
    async fn moved(&mut self) {
        self.woken.notified().await;
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut spaces = self.shared.spaces();
        if let Some(watchers) = spaces.get_mut(&self.space) {
            watchers.retain(|woken| !Arc::ptr_eq(woken, &self.woken));
            if watchers.is_empty() {
                spaces.remove(&self.space);
                self.shared.changed.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::contract::Partition;

    #[test]
    fn a_wake_up_that_comes_while_nobody_waits_is_kept() {
        let (watchers, space) = (Watchers::default(), space(0));
        let mut watch = watchers.watch(&space);
        assert!(watch.moved().now_or_never().is_none());
        watchers.moved(&space.to_string());
        watchers.moved(&space.to_string());
        assert!(watch.moved().now_or_never().is_some());
        assert!(watch.moved().now_or_never().is_none(), "two moves that nobody saw are one");
    }

    #[test]
    fn another_space_wakes_nobody() {
        let watchers = Watchers::default();
        let mut watch = watchers.watch(&space(0));
        watchers.moved(&space(1).to_string());
        assert!(watch.moved().now_or_never().is_none());
    }

    #[test]
    fn a_space_whose_last_watcher_went_is_forgotten() {
        let watchers = Watchers::default();
        let (one, two) = (watchers.watch(&space(0)), watchers.watch(&space(0)));
        assert!(watchers.changed().now_or_never().is_some());
        drop(one);
        assert!(watchers.changed().now_or_never().is_none(), "one is left");
        assert_eq!(watchers.spaces(), [space(0).to_string()]);
        drop(two);
        assert!(watchers.changed().now_or_never().is_some());
        assert!(watchers.spaces().is_empty());
    }

    fn space(partition: u32) -> Space {
        Space::new("accounts", uuid::Uuid::nil(), Partition(partition))
    }
}
