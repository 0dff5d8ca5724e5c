//! The views that a lane holds in memory: those it works on, and those it may need again.
//!
//! What is in it is what the space holds plus what was folded since the last commit. After a
//! commit whose outcome is unknown it is thrown away, and the space is asked again.

use std::collections::HashMap;

use bytes::Bytes;

use crate::contract::Key;
use crate::ports::{Change, KEY_INDEX};

use super::any_projection::{AnyProjection, Slot};

/// The key of a view within its space.
pub(super) fn doc_key(key: &str) -> String {
    ["doc:", key].concat()
}

/// The key of the view that is stored under this one.
pub(super) fn key_of_doc(doc: &str) -> &str {
    doc.strip_prefix("doc:").unwrap_or(doc)
}

struct Held {
    slot: Slot,
    /// Whether the space has a view under this key.
    stored: bool,
    dirty: bool,
}

/// Views in memory, in two ages: when the young ones are too many they become the old ones, and
/// the old ones are forgotten. A view that is used becomes young again.
#[derive(Default)]
pub(super) struct Workspace {
    young: HashMap<Key, Held>,
    old: HashMap<Key, Held>,
    dirty: Vec<Key>,
    /// Bytes of the views rendered so far, and how many: for the mean.
    rendered: (usize, usize),
}

impl Workspace {
    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
        self.dirty.clear();
    }

    /// Whether the view under this key is held; makes it young.
    pub(super) fn touch(&mut self, key: &str) -> bool {
        if self.young.contains_key(key) {
            return true;
        }
        let Some((key, held)) = self.old.remove_entry(key) else { return false };
        self.young.insert(key, held);
        true
    }

    /// Holds a view that was read, or found missing.
    pub(super) fn hold(&mut self, key: Key, slot: Slot, stored: bool) {
        self.young.insert(key, Held { slot, stored, dirty: false });
    }

    /// The slot under a key that is held, to fold into.
    pub(super) fn slot(&mut self, key: &str) -> &mut Slot {
        let held = self.young.get_mut(key).expect("every key of a step is loaded before it");
        if !held.dirty {
            held.dirty = true;
            self.dirty.push(Key::new(key).expect("a key that is held"));
        }
        &mut held.slot
    }

    /// About how many bytes are held, by the views rendered so far.
    pub(super) fn bytes(&self) -> usize {
        /// What an entry needs beside its view, and the JSON of a view of unknown size.
        const OVERHEAD: usize = 256;
        let (bytes, views) = self.rendered;
        let mean = bytes.checked_div(views).unwrap_or(OVERHEAD);
        (self.young.len() + self.old.len()) * (2 * mean + OVERHEAD)
    }

    /// The changes that make the space equal to what is held.
    pub(super) fn take_changes(&mut self, projection: &dyn AnyProjection) -> Vec<Change> {
        let mut changes = Vec::with_capacity(2 * self.dirty.len());
        for key in std::mem::take(&mut self.dirty) {
            let Some(held) = self.young.get_mut(key.as_str()) else { continue };
            held.dirty = false;
            let doc = doc_key(key.as_str());
            let (index, member) = (KEY_INDEX.to_owned(), Bytes::from(doc.clone()));
            match projection.render(&held.slot) {
                Some(value) => {
                    self.rendered = (self.rendered.0 + value.len(), self.rendered.1 + 1);
                    changes.push(Change::Put { key: doc, value, expires_in: None });
                    if !held.stored {
                        changes.push(Change::IndexPut { index, member });
                    }
                    held.stored = true;
                }
                None if held.stored => {
                    changes.push(Change::Delete { key: doc });
                    changes.push(Change::IndexDelete { index, member });
                    held.stored = false;
                }
                None => {}
            }
        }
        changes
    }

    /// Forgets the views that were not used for longest, when there are too many. Only between
    /// commits: nothing is dirty then.
    pub(super) fn age(&mut self, len_max: usize) {
        debug_assert!(self.dirty.is_empty(), "what is not committed must not be forgotten");
        if self.young.len() > len_max / 2 {
            self.old = std::mem::take(&mut self.young);
        }
    }
}
