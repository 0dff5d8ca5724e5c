//! Views that are kept in memory for queries, as they are stored: those of one lane.
//!
//! What is kept is what the space holds at the checkpoint that the lane last committed. Only the
//! lane moves that checkpoint, and with it takes what its commit changed; what a query has read
//! joins only if it is of that very checkpoint. So an answer from here is one that the store gave
//! or would have given. That nobody else commits is sure for a moment only: an answer is never
//! older than [`SURE_FOR`], however the store, the network or another runner behave.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::log::Checkpoint;
use crate::ports::Change;

use super::looks::IDLE_CHECK;

/// How long it is believed that the space is where the lane left it. A lane in which nothing
/// happens looks twice within it.
const SURE_FOR: Duration = IDLE_CHECK.saturating_mul(2);

/// What an entry needs beside its key and its view, about.
const ENTRY_LEN: usize = 128;

/// The views of one lane; closed, with nothing in it, while the lane does not follow.
pub(super) struct Kept {
    bytes_max: usize,
    open: Mutex<Option<Open>>,
}

struct Open {
    /// What the lane last committed.
    checkpoint: Checkpoint,
    /// When the space was last known to be there.
    sure_at: Instant,
    /// In two ages, by the view's key in its space: when the young ones are too many they become
    /// the old ones, and the old ones are forgotten. A view that is used becomes young again.
    young: HashMap<String, Bytes>,
    old: HashMap<String, Bytes>,
    /// Of the young ones.
    bytes: usize,
}

impl Kept {
    /// Closed; with 0 bytes it keeps nothing.
    pub(super) const fn new(bytes_max: usize) -> Self {
        Self { bytes_max, open: Mutex::new(None) }
    }

    /// The view under this key, and the checkpoint that it is of.
    pub(super) fn get(&self, key: &str) -> Option<(Checkpoint, Bytes)> {
        let mut open = self.lock();
        let open = open.as_mut().filter(|open| open.sure_at.elapsed() < SURE_FOR)?;
        if let Some(view) = open.young.get(key) {
            return Some((open.checkpoint, view.clone()));
        }
        let (key, view) = open.old.remove_entry(key)?;
        open.keep(key, view.clone(), self.bytes_max);
        Some((open.checkpoint, view))
    }

    /// Keeps what was read, if nothing was committed since.
    pub(super) fn read(&self, checkpoint: &Checkpoint, key: &str, view: &Bytes) {
        let mut open = self.lock();
        if let Some(open) = open.as_mut().filter(|open| open.checkpoint == *checkpoint) {
            open.keep(key.to_owned(), view.clone(), self.bytes_max);
        }
    }

    /// The lane has made these changes, and was sure of the space at this time. Where nothing is to
    /// be kept it stays closed, and costs neither commits nor queries anything.
    pub(super) fn committed(&self, checkpoint: Checkpoint, changes: &[Change], sure_at: Instant) {
        if self.bytes_max == 0 {
            return;
        }
        let mut open = self.lock();
        let open = open.get_or_insert_with(|| Open::at(checkpoint, sure_at));
        (open.checkpoint, open.sure_at) = (checkpoint, sure_at);
        for change in changes {
            match change {
                Change::Put { key, value, expires_in: None } => open.replace(key, value),
                Change::Put { key, .. } | Change::Delete { key } => open.forget(key),
                // What is no value is not kept.
                _ => {}
            }
        }
    }

    /// The lane has found the space as it left it, when it asked at this time.
    pub(super) fn sure(&self, at: Instant) {
        if let Some(open) = self.lock().as_mut() {
            open.sure_at = at;
        }
    }

    /// The lane is not sure any more. Forgets everything.
    pub(super) fn close(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn at(checkpoint: Checkpoint, sure_at: Instant) -> Self {
        let (young, old) = (HashMap::new(), HashMap::new());
        Self { checkpoint, sure_at, young, old, bytes: 0 }
    }

    fn keep(&mut self, key: String, view: Bytes, bytes_max: usize) {
        let len = len_of(&key, &view);
        if len > bytes_max / 2 {
            return;
        }
        if self.bytes + len > bytes_max / 2 {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.forget(&key);
        self.bytes += len;
        self.young.insert(key, view);
    }

    /// What is kept under a key is another now; what is not kept is not wanted.
    fn replace(&mut self, key: &str, view: &Bytes) {
        if let Some(kept) = self.young.get_mut(key) {
            self.bytes = self.bytes + view.len() - kept.len();
            *kept = view.clone();
        } else if let Some(kept) = self.old.get_mut(key) {
            *kept = view.clone();
        }
    }

    fn forget(&mut self, key: &str) {
        if let Some((key, view)) = self.young.remove_entry(key) {
            self.bytes -= len_of(&key, &view);
        }
        self.old.remove(key);
    }
}

/// About how many bytes a view takes here.
const fn len_of(key: &str, view: &Bytes) -> usize {
    ENTRY_LEN + key.len() + view.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Offset, Time};
    use crate::log::{Chain, LogId, Term};

    const ROOM: usize = 1_000_000;

    fn at(next: u64) -> Checkpoint {
        Checkpoint {
            log: LogId::of_first_claim(b"claim"),
            next: Offset(next),
            term: Term(1),
            chain: Chain(next),
            time: Time::from_millis(0),
            commit: None,
        }
    }

    fn put(key: &str, view: &'static str) -> Change {
        let value = Bytes::from_static(view.as_bytes());
        Change::Put { key: key.to_owned(), value, expires_in: None }
    }

    fn open_at(next: u64, bytes_max: usize) -> Kept {
        let kept = Kept::new(bytes_max);
        kept.committed(at(next), &[], Instant::now());
        kept
    }

    fn read(kept: &Kept, next: u64, key: &str, view: &'static str) {
        kept.read(&at(next), key, &Bytes::from_static(view.as_bytes()));
    }

    fn get(kept: &Kept, key: &str) -> Option<(u64, String)> {
        let (checkpoint, view) = kept.get(key)?;
        Some((checkpoint.next.0, String::from_utf8(view.to_vec()).expect("text")))
    }

    /// R1: what is kept is the fold at the checkpoint that it is said to be of.
    #[tokio::test(start_paused = true)]
    async fn a_view_goes_with_the_commits_of_its_lane() {
        let kept = open_at(5, ROOM);
        read(&kept, 5, "doc:ann", "1");
        read(&kept, 5, "doc:bob", "7");
        kept.committed(at(9), &[put("doc:ann", "2"), put("doc:cid", "3")], Instant::now());
        assert_eq!(get(&kept, "doc:ann"), Some((9, "2".into())), "the new view");
        assert_eq!(get(&kept, "doc:bob"), Some((9, "7".into())), "nothing happened to it");
        assert_eq!(get(&kept, "doc:cid"), None, "nobody has asked for it");
        kept.committed(at(10), &[Change::Delete { key: "doc:ann".into() }], Instant::now());
        assert_eq!(get(&kept, "doc:ann"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_read_before_the_last_commit_is_not_kept() {
        let kept = open_at(5, ROOM);
        kept.committed(at(6), &[put("doc:ann", "2")], Instant::now());
        read(&kept, 5, "doc:ann", "1");
        assert_eq!(get(&kept, "doc:ann"), None, "read before the commit, told after it");
        read(&kept, 7, "doc:ann", "3");
        assert_eq!(get(&kept, "doc:ann"), None, "another has committed, and the lane not noticed");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_not_older_than_the_lane_is_sure() {
        let kept = open_at(5, ROOM);
        read(&kept, 5, "doc:ann", "1");
        tokio::time::advance(SURE_FOR / 2).await;
        kept.sure(Instant::now());
        tokio::time::advance(SURE_FOR / 2).await;
        assert!(get(&kept, "doc:ann").is_some());
        tokio::time::advance(SURE_FOR / 2).await;
        assert_eq!(get(&kept, "doc:ann"), None);
        kept.sure(Instant::now());
        assert!(get(&kept, "doc:ann").is_some(), "nothing had happened after all");
        kept.close();
        kept.sure(Instant::now());
        assert_eq!(get(&kept, "doc:ann"), None);
        read(&kept, 5, "doc:ann", "1");
        assert_eq!(get(&kept, "doc:ann"), None, "a closed one keeps nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_used_stays_and_what_is_not_is_forgotten_when_there_is_no_room() {
        let entry = len_of("doc:00", &Bytes::from_static(b"{}"));
        let kept = open_at(5, 8 * entry);
        read(&kept, 5, "doc:00", "{}");
        for i in 1..=20 {
            read(&kept, 5, &format!("doc:{i:02}"), "{}");
            assert!(get(&kept, "doc:00").is_some(), "{i}");
        }
        let left = (0..=20).filter(|i| get(&kept, &format!("doc:{i:02}")).is_some()).count();
        assert!((4..=8).contains(&left), "{left}");
        let nothing = open_at(5, 0);
        read(&nothing, 5, "doc:00", "{}");
        assert_eq!(get(&nothing, "doc:00"), None);
        let large: &'static str = Box::leak("x".repeat(4 * entry).into_boxed_str());
        read(&kept, 5, "doc:large", large);
        assert_eq!(get(&kept, "doc:large"), None, "one view must not drive out half of the others");
    }
}
