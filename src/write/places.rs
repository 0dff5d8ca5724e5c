//! The places of outcomes as they came: a map from hash to offset.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::contract::Offset;

use super::outcomes::IdHash;

/// The places of one segment.
#[derive(Default)]
pub(super) struct Places {
    /// The latest place of each hash.
    latest: HashMap<IdHash, Offset, BuildHasherDefault<AsItIs>>,
    /// Earlier places of a hash that came again: another id, or one that was read twice.
    earlier: Vec<(IdHash, Offset)>,
}

/// A hash needs no hashing.
#[derive(Default)]
pub(super) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

impl Places {
    pub(super) fn len(&self) -> usize {
        self.latest.len() + self.earlier.len()
    }

    pub(super) fn add(&mut self, hash: IdHash, offset: Offset) {
        if let Some(before) = self.latest.insert(hash, offset) {
            self.earlier.push((hash, before));
        }
    }

    /// Adds the places of a hash, the latest first.
    pub(super) fn find(&self, hash: IdHash, found: &mut Vec<Offset>) {
        let Some(latest) = self.latest.get(&hash) else { return };
        found.push(*latest);
        let earlier = self.earlier.iter().rev().filter(|(other, _)| *other == hash);
        found.extend(earlier.map(|(_, offset)| *offset));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (IdHash, Offset)> {
        let latest = self.latest.iter().map(|(hash, offset)| (*hash, *offset));
        latest.chain(self.earlier.iter().copied())
    }
}
