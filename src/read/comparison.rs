//! What a comparison of views with the log has found.

use std::sync::Arc;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::contract::Position;

/// How far a comparison is, and what it has found.
#[derive(Clone, Debug, Default, JsonSchema, PartialEq, Serialize)]
pub struct Compared {
    /// Views that were compared.
    pub views: u64,
    /// Those that differ.
    pub differences: u64,
    /// The first of them.
    #[serde(rename = "difference")]
    pub first: Option<Arc<Difference>>,
    /// Why nothing, or not everything, was compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<String>,
}

/// A view that is not what the log makes of it.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Difference {
    /// The projection.
    pub projection: &'static str,
    /// The view's key; the member, in an index.
    pub key: String,
    /// What differs: the view itself, or what an index has.
    pub of: What,
    /// Both are as of here.
    pub position: Position,
    /// What is live; nothing when it is not there.
    pub live: Option<Value>,
    /// What the log makes of it; nothing when there should be none.
    pub log: Option<Value>,
}

/// What of a view differs.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Its bytes.
    View,
    /// Its place in this index.
    Index(String),
}

impl Compared {
    pub(super) fn count(&mut self, difference: Difference) {
        self.differences += 1;
        self.first.get_or_insert_with(|| Arc::new(difference));
    }

    /// Both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            views: self.views + other.views,
            differences: self.differences + other.differences,
            first: self.first.or(other.first),
            incomplete: self.incomplete.or(other.incomplete),
        }
    }
}

/// Stored bytes for people: as JSON where they are.
pub(super) fn shown(stored: &Bytes) -> Value {
    let text = || Value::String(String::from_utf8_lossy(stored).into_owned());
    serde_json::from_slice(stored).unwrap_or_else(|_| text())
}
