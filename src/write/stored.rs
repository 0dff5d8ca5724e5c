//! How states and keys are written into the state space.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::contract::{Offset, Target, Time, Version};
use crate::events::first_16_bytes_of_sha256;

use super::aggregates::{Snapshot, Stand};
use super::kind::Kinds;
use super::outcomes::IdHash;
use super::unsaved::NewKey;

/// Writes and reads the values of aggregates. Cheap to clone.
#[derive(Clone)]
pub(super) struct Format {
    kinds: Kinds,
    /// Which binary found that something cannot be read: another may be able to.
    reader: Arc<str>,
}

/// A value: an aggregate's state, or why there is none.
#[derive(Deserialize, Serialize)]
struct Stored<'a> {
    version: Version,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<Offset>,
    time: Time,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    state: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<Mark>,
}

/// Why a history cannot be read, and by whom.
#[derive(Deserialize, Serialize)]
struct Mark {
    why: String,
    reader: String,
}

impl Format {
    pub(super) fn new(kinds: Kinds) -> Self {
        let schemas = kinds.iter().map(|kind| format!("{}\n", kind.event_schema()));
        let text = schemas.collect::<String>() + env!("CARGO_PKG_VERSION");
        let reader = Uuid::from_bytes(first_16_bytes_of_sha256(text.as_bytes()));
        Self { kinds, reader: reader.to_string().into() }
    }

    /// What a value says; an aggregate without one has no events.
    pub(super) fn decode(&self, target: &Target, value: Option<&[u8]>) -> Result<Stand, String> {
        let Some(value) = value else {
            let settled = Snapshot::default();
            return Ok(Stand { settled, unreadable: None, stored: false });
        };
        let stored: Stored<'_> = serde_json::from_slice(value).map_err(|e| e.to_string())?;
        let kind = self.kinds.get(target.aggregate_type()).ok_or("its type is not known")?;
        let state = stored.state.map(|state| kind.decode_state(state.get())).transpose()?;
        let unreadable = match stored.unreadable {
            Some(mark) if mark.reader != *self.reader => {
                return Err(format!("another binary found: {}", mark.why));
            }
            mark => mark.map(|mark| mark.why.into()),
        };
        let Stored { version, offset, time, .. } = stored;
        let settled = Snapshot { version, state, offset, time };
        Ok(Stand { settled, unreadable, stored: true })
    }

    pub(super) fn encode(&self, target: &Target, stand: &Stand) -> Result<Vec<u8>, String> {
        let Stand { settled, unreadable, .. } = stand;
        let kind = self.kinds.get(target.aggregate_type()).ok_or("its type is not known")?;
        let state = settled.state.as_ref().map(|state| kind.encode_state(state)).transpose();
        let state = state.map_err(|error| format!("the state of {target}: {error}"))?;
        let reader = || self.reader.to_string();
        let mark = unreadable.as_ref().map(|why| Mark { why: why.to_string(), reader: reader() });
        let stored = Stored {
            version: settled.version,
            offset: settled.offset,
            time: settled.time,
            state: state.as_deref(),
            unreadable: mark,
        };
        serde_json::to_vec(&stored).map_err(|error| error.to_string())
    }
}

/// Sixteen bytes each: the hash and the offset.
pub(super) fn pack(keys: &[NewKey]) -> Bytes {
    let pairs = keys.iter().map(|key| [key.hash.0.to_be_bytes(), key.offset.0.to_be_bytes()]);
    pairs.flatten().flatten().collect::<Vec<u8>>().into()
}

pub(super) fn unpack(packed: &[u8], hour: i64) -> impl Iterator<Item = NewKey> {
    let number = |bytes: &[u8]| u64::from_be_bytes(*bytes.first_chunk().expect("eight bytes"));
    let (pairs, _) = packed.as_chunks::<16>();
    pairs.iter().map(move |pair| {
        let (hash, offset) = pair.split_at(8);
        NewKey { hash: IdHash(number(hash)), offset: Offset(number(offset)), hour }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_packed_into_sixteen_bytes_each() {
        let key = |n: u64| NewKey { hash: IdHash(n << 40), offset: Offset(n), hour: 7 };
        let keys: Vec<NewKey> = (0..5).map(key).collect();
        let packed = pack(&keys);
        assert_eq!(packed.len(), 80);
        assert!(unpack(&packed, 7).eq(keys));
    }
}
