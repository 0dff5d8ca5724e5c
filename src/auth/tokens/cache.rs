//! Tokens that were verified, by their hashes, so that a signature is computed once and not for
//! every request. What is in it must still be asked whether it has expired.

use std::collections::HashMap;
use std::sync::RwLock;

use crate::contract::Time;

use super::super::principal::Principal;

pub(super) struct Cache {
    len_max: usize,
    known: RwLock<HashMap<[u8; 32], Principal>>,
}

impl Cache {
    pub(super) fn new(len_max: usize) -> Self {
        Self { len_max, known: RwLock::default() }
    }

    pub(super) fn get(&self, digest: &[u8; 32]) -> Option<Principal> {
        self.known.read().expect("no panic while it is held").get(digest).cloned()
    }

    /// When it is full, what has expired goes; when nothing has, everything: verifying again is
    /// cheap, keeping order for that is not.
    pub(super) fn put(&self, digest: [u8; 32], principal: &Principal, now: Time) {
        let mut known = self.known.write().expect("no panic while it is held");
        if known.len() >= self.len_max {
            known.retain(|_, principal| !principal.has_ended(now));
        }
        if known.len() >= self.len_max {
            known.clear();
        }
        known.insert(digest, principal.clone());
    }

    pub(super) fn clear(&self) {
        self.known.write().expect("no panic while it is held").clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::role::Grants;
    use super::*;

    #[test]
    fn it_holds_so_many_tokens_and_the_expired_go_first() {
        let cache = Cache::new(2);
        let until = |millis| {
            Principal::of(Some("ann"), Grants::default(), Some(Time::from_millis(millis)), None)
        };
        cache.put([1; 32], &until(10), Time::from_millis(0));
        cache.put([2; 32], &until(99), Time::from_millis(0));
        cache.put([3; 32], &until(99), Time::from_millis(50));
        assert!(cache.get(&[1; 32]).is_none() && cache.get(&[2; 32]).is_some());
        cache.put([4; 32], &until(99), Time::from_millis(50));
        let held = (1..5).filter(|digest| cache.get(&[*digest; 32]).is_some());
        assert_eq!(held.collect::<Vec<_>>(), [4]);
    }
}
