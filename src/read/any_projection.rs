//! A projection as the read loop sees it: without its Rust types.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use crate::contract::{Key, Name, Offset, Partition, Recorded, Sources};
use crate::log::Partitions;

use super::index::Indexes;
use super::status::ViewKind;

/// A view of any type that may not be there: an `Option` of the projection's view.
///
/// ```
/// use retell::read::{AnyProjection, Keyed, Slot};
/// # use retell::Name;
/// # use retell::doc::{Lights, LightView};
///
/// let lights = Keyed::new(Name::new("lights")?, Lights).expect("it has no index");
/// let empty: Slot = lights.slot(None)?;
/// assert_eq!(empty.downcast_ref::<Option<LightView>>(), Some(&None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type Slot = Box<dyn Any + Send + Sync>;

/// What a projection remembers of one aggregate, of any type.
///
/// ```
/// use retell::read::{AnyProjection, LinkSlot, Merged};
/// # use retell::Name;
/// # use retell::projections::AccountTotals;
///
/// let totals = Merged::new(Name::new("totals")?, AccountTotals);
/// let links = totals.links().expect("it remembers the owner of each account");
/// let link: LinkSlot = links.link_of(None)?;
/// assert_eq!(links.since(&link), None, "no record has made it what it is");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type LinkSlot = Arc<dyn Any + Send + Sync>;

/// A projection without its Rust types.
///
/// ```
/// use retell::read::{AnyProjection, Keyed, ViewKind};
/// # use retell::Name;
/// # use retell::doc::Lights;
///
/// let lights = Keyed::new(Name::new("lights")?, Lights).expect("it has no index");
/// let lights: &dyn AnyProjection = &lights;
/// assert_eq!(lights.kind(), ViewKind::Aggregate("light"));
/// let view = lights.slot(Some(br#"{"on":true,"switched":1}"#))?;
/// assert_eq!(lights.render(&view).expect("it is there"), r#"{"on":true,"switched":1}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait AnyProjection: Send + Sync {
    /// Its name.
    fn name(&self) -> Name;

    /// Its revision.
    fn revision(&self) -> u32;

    /// What its keys are.
    fn kind(&self) -> ViewKind;

    /// The JSON Schema of its views.
    fn schema(&self) -> Value;

    /// The aggregates whose events it folds.
    fn sources(&self) -> Sources;

    /// Whether it folds the records of every aggregate type, each as it is in the log,
    /// instead of decoded events. Its keys are its own, and nobody asks for its views by them.
    fn reads_records(&self) -> bool {
        false
    }

    /// Whether this binary has the type of an aggregate. Records of one that it has not, and that
    /// are newer than it, hold that aggregate back: nobody here will ever understand them.
    fn knows(&self, _aggregate_type: &str) -> bool {
        true
    }

    /// How long the slot's view is kept from now on; none: for ever.
    fn kept_for(&self, _: &Slot) -> Option<Duration> {
        None
    }

    /// By what its views are listed, besides by key.
    fn indexes(&self) -> &Indexes {
        Indexes::NONE
    }

    /// Its links, if it remembers something of each aggregate.
    fn links(&self) -> Option<&dyn AnyLinks> {
        None
    }

    /// The partition of a key; `None` when each partition has a part of it.
    fn partition_of(&self, key: &Key, partitions: Partitions) -> Option<Partition>;

    /// The keys that an event changes; `None` is the id of its aggregate. `link` is that of its
    /// aggregate after the event, where there are links.
    fn keys(&self, link: Option<&LinkSlot>, recorded: &Recorded<'_>) -> Option<Vec<Key>>;

    /// A slot with the stored view, or an empty one.
    ///
    /// # Errors
    /// The stored view is not one of this revision's.
    fn slot(&self, stored: Option<&[u8]>) -> Result<Slot, serde_json::Error>;

    /// Folds an event into a slot. If the fold panics the slot is empty.
    fn fold(&self, slot: &mut Slot, key: &str, link: Option<&LinkSlot>, recorded: &Recorded<'_>);

    /// The slot's view as it is stored; `None` when it is empty.
    fn render(&self, slot: &Slot) -> Option<Bytes>;

    /// One view of the parts of all partitions.
    ///
    /// # Errors
    /// A stored part is not one of this revision's.
    fn merge(&self, parts: Vec<Bytes>) -> Result<Bytes, serde_json::Error>;
}

/// What a projection remembers of each aggregate.
///
/// ```
/// use retell::read::{AnyProjection, Merged};
/// # use retell::Name;
/// # use retell::projections::AccountTotals;
/// # use retell::doc::LightsOn;
///
/// let totals = Merged::new(Name::new("totals")?, AccountTotals);
/// assert!(totals.links().is_some(), "it remembers the owner of each account");
/// let lights_on = Merged::new(Name::new("lights-on")?, LightsOn);
/// assert!(lights_on.links().is_none());
/// # Ok::<(), retell::InvalidName>(())
/// ```
pub trait AnyLinks: Send + Sync {
    /// The stored link, or that of an aggregate without events.
    ///
    /// # Errors
    /// The stored link is not one of this revision's.
    fn link_of(&self, stored: Option<&[u8]>) -> Result<LinkSlot, serde_json::Error>;

    /// The link after an event; `None` when it is as before.
    fn link(&self, before: &LinkSlot, recorded: &Recorded<'_>) -> Option<LinkSlot>;

    /// The record that made it what it is; none where there was none yet.
    fn since(&self, link: &LinkSlot) -> Option<Offset>;

    /// The link as it is stored.
    fn render_link(&self, link: &LinkSlot) -> Bytes;
}

/// All projections of an application, by name.
///
/// ```
/// use std::sync::Arc;
///
/// use retell::{Name, read::{Merged, Projections}};
/// # use retell::doc::LightsOn;
///
/// let (name, mut all) = (Name::new("lights-on")?, Projections::default());
/// assert_eq!(all.add(Arc::new(Merged::new(name, LightsOn))), Ok(()));
/// assert_eq!(all.add(Arc::new(Merged::new(name, LightsOn))), Err(name));
/// # Ok::<(), retell::InvalidName>(())
/// ```
#[derive(Clone, Default)]
pub struct Projections(BTreeMap<&'static str, Arc<dyn AnyProjection>>);

impl Projections {
    /// Adds a projection.
    ///
    /// # Errors
    /// The name that is taken.
    pub fn add(&mut self, projection: Arc<dyn AnyProjection>) -> Result<(), Name> {
        let name = projection.name();
        match self.0.insert(name.as_str(), projection) {
            None => Ok(()),
            Some(_) => Err(name),
        }
    }

    /// Each projection, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn AnyProjection>> {
        self.0.values()
    }
}
