//! `history`: where in its partition the events of every aggregate are, and where a reader may
//! begin that wants to know which records count.
//!
//! A page has the commits of 1,000 versions of one aggregate; a commit that reaches into several
//! pages is in each. A block has the waypoints among 10,000 offsets: commits that count, so that
//! what rules behind them is known without reading the log from its beginning.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::contract::{Key, Name, Offset, Partition, Recorded, Sources, Target, Version};
use crate::log::{Chain, Partitions, Term};

use super::any_projection::{AnyProjection, LinkSlot, Slot};
use super::status::ViewKind;
use super::whole::Whole;

/// Versions to a page.
const PAGE_VERSIONS: u64 = 1_000;
/// Offsets to a block.
const BLOCK_OFFSETS: u64 = 10_000;
/// Every so many commits of a term there may be a waypoint, and at the first of each term.
const WAYPOINT_COMMITS: u64 = 64;
/// From one waypoint to the next, at least.
const WAYPOINT_OFFSETS: u64 = 256;

/// The projection `history`.
///
/// ```
/// use retell::read::{AnyProjection, History, ViewKind};
///
/// let history = History::new(vec!["light"]);
/// assert_eq!((history.name().as_str(), history.kind()), ("history", ViewKind::Records));
/// assert!(history.knows("light") && !history.knows("lamp"));
/// ```
#[derive(Debug)]
pub struct History {
    name: Name,
    types: Vec<&'static str>,
}

/// What is stored under a key.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Doc {
    /// A page of an aggregate.
    Commits(Vec<Place>),
    /// A block of the partition.
    Waypoints(Vec<Waypoint>),
}

/// Where a commit is, and the aggregate's version after it: `[1234,5]`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Place(pub(super) Offset, pub(super) Version);

/// A commit that counts: where it is, its term and its number: `[1234,3,64]`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Waypoint(pub(super) Offset, pub(super) Term, pub(super) Chain);

impl History {
    /// The name under which it is known.
    pub const NAME: &'static str = "history";

    /// The projection of a binary that has these aggregate types.
    #[must_use]
    pub fn new(types: Vec<&'static str>) -> Self {
        Self { name: Name::new(Self::NAME).expect("a name"), types }
    }
}

/// The number of the page that a version is on.
pub(super) const fn page_of(version: Version) -> u64 {
    version.0.saturating_sub(1) / PAGE_VERSIONS
}

/// The first version on a page.
pub(super) const fn first_on(page: u64) -> Version {
    Version(page * PAGE_VERSIONS + 1)
}

/// The key of an aggregate's page: `account:ann:0`.
pub(super) fn page_key(target: &Target, page: u64) -> String {
    format!("{}:{}:{page}", target.aggregate_type(), target.id())
}

/// The number of the block that an offset is in.
pub(super) const fn block_of(offset: Offset) -> u64 {
    offset.0 / BLOCK_OFFSETS
}

/// The key of a block: `@17`, which is no aggregate's.
pub(super) fn block_key(block: u64) -> String {
    format!("@{block}")
}

impl AnyProjection for History {
    fn name(&self) -> Name {
        self.name
    }

    fn revision(&self) -> u32 {
        1
    }

    fn kind(&self) -> ViewKind {
        ViewKind::Records
    }

    fn schema(&self) -> Value {
        let lists = |len: u32| {
            let number = json!({"type": "integer", "minimum": 0});
            let item = json!({"type": "array", "items": number, "minItems": len, "maxItems": len});
            json!({"type": "array", "items": item})
        };
        json!({"oneOf": [
            {"type": "object", "properties": {"commits": lists(2)}, "required": ["commits"]},
            {"type": "object", "properties": {"waypoints": lists(3)}, "required": ["waypoints"]},
        ]})
    }

    fn sources(&self) -> Sources {
        Sources::default()
    }

    fn reads_records(&self) -> bool {
        true
    }

    fn knows(&self, aggregate_type: &str) -> bool {
        self.types.contains(&aggregate_type)
    }

    fn partition_of(&self, _: &Key, _: Partitions) -> Option<Partition> {
        None
    }

    fn keys(&self, _: Option<&LinkSlot>, recorded: &Recorded<'_>) -> Option<Vec<Key>> {
        let whole = Whole::in_place(recorded);
        let mut keys = Vec::with_capacity(2);
        if whole.events > 0 {
            let pages = page_of(whole.first_version)..=page_of(whole.last_version());
            keys.extend(pages.map(|page| Key::known(&page_key(recorded.target(), page))));
        }
        if whole.chain.0.is_multiple_of(WAYPOINT_COMMITS) {
            keys.push(Key::known(&block_key(block_of(recorded.position().offset))));
        }
        Some(keys)
    }

    fn slot(&self, stored: Option<&[u8]>) -> Result<Slot, serde_json::Error> {
        let doc: Option<Doc> = stored.map(serde_json::from_slice).transpose()?;
        Ok(Box::new(doc))
    }

    fn fold(&self, slot: &mut Slot, key: &str, _: Option<&LinkSlot>, recorded: &Recorded<'_>) {
        let doc = slot.downcast_mut().expect("a slot of this projection's");
        let (whole, offset) = (Whole::in_place(recorded), recorded.position().offset);
        if key.starts_with('@') {
            add_waypoint(doc, Waypoint(offset, whole.term, whole.chain));
        } else if let Doc::Commits(commits) = doc.get_or_insert(Doc::Commits(Vec::new())) {
            commits.push(Place(offset, whole.last_version()));
        }
    }

    fn render(&self, slot: &Slot) -> Option<Bytes> {
        let doc: &Option<Doc> = slot.downcast_ref().expect("a slot of this projection's");
        let doc = doc.as_ref()?;
        Some(serde_json::to_vec(doc).expect("a page has string keys only").into())
    }

    fn merge(&self, parts: Vec<Bytes>) -> Result<Bytes, serde_json::Error> {
        Ok(parts.into_iter().next().unwrap_or_default())
    }
}

/// One that is near the last is left out: a block stays small, however often terms change.
fn add_waypoint(doc: &mut Option<Doc>, waypoint: Waypoint) {
    let Doc::Waypoints(waypoints) = doc.get_or_insert(Doc::Waypoints(Vec::new())) else { return };
    let is_far = |last: &Waypoint| waypoint.0.0 >= last.0.plus(WAYPOINT_OFFSETS).0;
    if waypoints.last().is_none_or(is_far) {
        waypoints.push(waypoint);
    }
}
