//! The views that a lane holds in memory: those it works on, and those it may need again; and
//! beside them the links of the aggregates, in a workspace of their own.
//!
//! What is in it is what the space holds plus what was folded since the last commit. After a
//! commit whose outcome is unknown it is thrown away, and the space is asked again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::ports::{Change, KEY_INDEX};

use super::index::Indexes;

/// What the keys of views begin with, within their space.
pub(super) const DOC: &str = "doc:";

/// What the keys of links begin with.
pub(super) const LINK: &str = "link:";

/// The key of a view within its space.
pub(super) fn doc_key(key: &str) -> String {
    [DOC, key].concat()
}

/// The key of the view that is stored under this one.
pub(super) fn key_of_doc(doc: &str) -> &str {
    doc.strip_prefix(DOC).unwrap_or(doc)
}

struct Held<S> {
    slot: S,
    /// What lists the stored view in each index; none where there is no view.
    members: Vec<Bytes>,
    /// Whether the space has a value under this key.
    stored: bool,
    dirty: bool,
}

/// Values in memory, in two ages: when the young ones are too many they become the old ones, and
/// the old ones are forgotten. A value that is used becomes young again.
pub(super) struct Workspace<S> {
    prefix: &'static str,
    young: HashMap<Arc<str>, Held<S>>,
    old: HashMap<Arc<str>, Held<S>>,
    dirty: Vec<Arc<str>>,
    /// Bytes of the values rendered so far, and how many: for the mean.
    rendered: (usize, usize),
}

impl<S> Workspace<S> {
    /// Nothing yet, of the values whose keys begin like this.
    pub(super) fn new(prefix: &'static str) -> Self {
        let (young, old) = (HashMap::new(), HashMap::new());
        Self { prefix, young, old, dirty: Vec::new(), rendered: (0, 0) }
    }

    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
        self.dirty.clear();
    }

    /// Whether the value under this key is held; makes it young.
    pub(super) fn touch(&mut self, key: &str) -> bool {
        if self.young.contains_key(key) {
            return true;
        }
        let Some((key, held)) = self.old.remove_entry(key) else { return false };
        self.young.insert(key, held);
        true
    }

    /// The key of a value within its space.
    pub(super) fn stored_key(&self, key: &str) -> String {
        [self.prefix, key].concat()
    }

    /// Holds a value that was read, or found missing.
    pub(super) fn hold(&mut self, key: &str, slot: S, stored: Option<&[u8]>, indexes: &Indexes) {
        let doc = || self.stored_key(key);
        let members = stored.map(|view| indexes.members(view, &doc())).unwrap_or_default();
        let held = Held { slot, members, stored: stored.is_some(), dirty: false };
        self.young.insert(Arc::from(key), held);
    }

    /// The slot under a key that is held.
    pub(super) fn get(&self, key: &str) -> Option<&S> {
        self.young.get(key).or_else(|| self.old.get(key)).map(|held| &held.slot)
    }

    /// The slot under a key that is held and young, to be changed.
    pub(super) fn slot(&mut self, key: &str) -> &mut S {
        let held = self.young.get_mut(key).expect("every key of a step is loaded before it");
        if !held.dirty {
            held.dirty = true;
            self.dirty.push(Arc::from(key));
        }
        &mut held.slot
    }

    /// About how many bytes are held, by the values rendered so far.
    pub(super) fn bytes(&self) -> usize {
        /// What an entry needs beside its value, and the JSON of a value of unknown size.
        const OVERHEAD: usize = 256;
        let (bytes, values) = self.rendered;
        let mean = bytes.checked_div(values).unwrap_or(OVERHEAD);
        (self.young.len() + self.old.len()) * (2 * mean + OVERHEAD)
    }

    /// The changes that make the space equal to what is held; `render` gives a slot's JSON.
    pub(super) fn take_changes(
        &mut self,
        indexes: &Indexes,
        render: impl Fn(&S) -> Option<Bytes>,
        kept_for: impl Fn(&S) -> Option<Duration>,
    ) -> Vec<Change> {
        let mut changes = Vec::with_capacity(2 * self.dirty.len());
        for key in std::mem::take(&mut self.dirty) {
            let stored_key = self.stored_key(&key);
            let Some(held) = self.young.get_mut(&key) else { continue };
            held.dirty = false;
            let value = render(&held.slot);
            let members = value.as_ref().map(|view| indexes.members(view, &stored_key));
            held.relist(indexes, members.unwrap_or_default(), &mut changes);
            let (index, member) = (KEY_INDEX.to_owned(), Bytes::from(stored_key.clone()));
            let was_stored = std::mem::replace(&mut held.stored, value.is_some());
            match value {
                Some(value) => {
                    self.rendered = (self.rendered.0 + value.len(), self.rendered.1 + 1);
                    let expires_in = kept_for(&held.slot);
                    changes.push(Change::Put { key: stored_key, value, expires_in });
                    // What expires is not listed: nobody would take it off the list.
                    if !was_stored && expires_in.is_none() {
                        changes.push(Change::IndexPut { index, member });
                    }
                }
                None if was_stored => {
                    changes.push(Change::Delete { key: stored_key });
                    changes.push(Change::IndexDelete { index, member });
                }
                None => {}
            }
        }
        changes
    }

    /// Forgets the values that were not used for longest, when there are too many. Only between
    /// commits: nothing is dirty then.
    pub(super) fn age(&mut self, len_max: usize) {
        debug_assert!(self.dirty.is_empty(), "what is not committed must not be forgotten");
        if self.young.len() > len_max / 2 {
            self.old = std::mem::take(&mut self.young);
        }
    }
}

impl<S> Held<S> {
    /// Takes the value's old members out of the indexes and puts the new ones in, where they are
    /// not the same.
    fn relist(&mut self, indexes: &Indexes, new: Vec<Bytes>, changes: &mut Vec<Change>) {
        let old = std::mem::replace(&mut self.members, new);
        for (at, index) in indexes.names().enumerate() {
            let (old, new) = (old.get(at), self.members.get(at));
            if old == new {
                continue;
            }
            if let Some(member) = old.cloned() {
                changes.push(Change::IndexDelete { index: index.to_owned(), member });
            }
            if let Some(member) = new.cloned() {
                changes.push(Change::IndexPut { index: index.to_owned(), member });
            }
        }
    }
}
