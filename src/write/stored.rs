//! How states are written into the state space.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::contract::{Offset, Target, Time, Version};
use crate::events::first_16_bytes_of_sha256;

use super::aggregates::{Snapshot, Stand};
use super::kind::{Kinds, State};

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

    /// The value, and why the state is not in it, if that has no JSON: then the value says so, too.
    pub(super) fn encode(&self, target: &Target, stand: &Stand) -> (Vec<u8>, Option<String>) {
        let Stand { settled, unreadable, .. } = stand;
        let (state, flaw) = match settled.state.as_ref().map(|it| self.encode_state(target, it)) {
            Some(Ok(state)) => (Some(state), None),
            Some(Err(why)) => (None, Some(format!("its state cannot be stored: {why}"))),
            None => (None, None),
        };
        let why = unreadable.as_deref().or(flaw.as_deref());
        let reader = || self.reader.to_string();
        let mark = why.map(|why| Mark { why: why.to_owned(), reader: reader() });
        let stored = Stored {
            version: settled.version,
            offset: settled.offset,
            time: settled.time,
            state: state.as_deref(),
            unreadable: mark,
        };
        (serde_json::to_vec(&stored).expect("a value has string keys only"), flaw)
    }

    fn encode_state(&self, target: &Target, state: &State) -> Result<Box<RawValue>, String> {
        let kind = self.kinds.get(target.aggregate_type()).ok_or("its type is not known")?;
        kind.encode_state(state)
    }
}
