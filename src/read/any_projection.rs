//! A projection as the read loop sees it: without its Rust types.

use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::contract::{
    Aggregate, EventOf, Key, LinkedProjection, Name, Offset, Partition, Projection, Recorded,
    Sources,
};
use crate::log::Partitions;

use super::index::{IndexFlaw, Indexes};
use super::status::ViewKind;

/// A view of any type that may not be there: an `Option` of the projection's view.
pub type Slot = Box<dyn Any + Send + Sync>;

/// What a projection remembers of one aggregate, of any type.
pub type LinkSlot = Arc<dyn Any + Send + Sync>;

/// A projection without its Rust types.
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

    /// Whether it folds the records of every aggregate type, each as one [`super::whole::Whole`],
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
#[derive(Clone, Default)]
pub struct Projections(BTreeMap<&'static str, Arc<dyn AnyProjection>>);

/// A [`Projection`] without its types.
pub struct Keyed<P> {
    name: Name,
    projection: P,
    indexes: Indexes,
}

/// A [`LinkedProjection`] without its types.
pub struct Merged<P> {
    name: Name,
    projection: P,
}

/// A link as it is held and stored: who looks back is told how far back it is as it is.
#[derive(Default, Deserialize, Serialize)]
struct Linked<L> {
    link: L,
    since: Option<Offset>,
}

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

impl<P: Projection> Keyed<P> {
    /// The projection under its name.
    ///
    /// # Errors
    /// What is wrong with its indexes.
    pub fn new(name: Name, projection: P) -> Result<Self, Vec<IndexFlaw>> {
        let schema = schemars::schema_for!(P::View).to_value();
        Ok(Self { name, projection, indexes: Indexes::new(P::INDEXES, &schema)? })
    }
}

impl<P: LinkedProjection> Merged<P> {
    /// The projection under its name.
    pub const fn new(name: Name, projection: P) -> Self {
        Self { name, projection }
    }
}

impl<P: Projection> AnyProjection for Keyed<P> {
    fn name(&self) -> Name {
        self.name
    }

    fn revision(&self) -> u32 {
        P::REVISION
    }

    fn kind(&self) -> ViewKind {
        ViewKind::Aggregate(<P::Aggregate as cqrs_es::Aggregate>::TYPE)
    }

    fn schema(&self) -> Value {
        schemars::schema_for!(P::View).to_value()
    }

    fn sources(&self) -> Sources {
        Sources::default().and::<P::Aggregate>()
    }

    fn indexes(&self) -> &Indexes {
        &self.indexes
    }

    fn partition_of(&self, key: &Key, partitions: Partitions) -> Option<Partition> {
        let whole = || Cow::Owned(format!("{}/{key}", <P::Aggregate as cqrs_es::Aggregate>::TYPE));
        let by = P::Aggregate::partition_by(key.as_str()).unwrap_or_else(whole);
        Some(partitions.of(&by))
    }

    fn keys(&self, _: Option<&LinkSlot>, _: &Recorded<'_>) -> Option<Vec<Key>> {
        None
    }

    fn slot(&self, stored: Option<&[u8]>) -> Result<Slot, serde_json::Error> {
        let view: Option<P::View> = stored.map(serde_json::from_slice).transpose()?;
        Ok(Box::new(view))
    }

    fn fold(&self, slot: &mut Slot, _: &str, _: Option<&LinkSlot>, recorded: &Recorded<'_>) {
        let view = view_in::<P::View>(slot);
        let event: &EventOf<P::Aggregate> =
            recorded.event::<P::Aggregate>().expect("the source decodes its own events");
        *view = self.projection.fold(view.take(), event, recorded);
    }

    fn render(&self, slot: &Slot) -> Option<Bytes> {
        render::<P::View>(slot)
    }

    fn merge(&self, parts: Vec<Bytes>) -> Result<Bytes, serde_json::Error> {
        Ok(parts.into_iter().next().unwrap_or_default())
    }
}

impl<P: LinkedProjection> AnyProjection for Merged<P> {
    fn name(&self) -> Name {
        self.name
    }

    fn revision(&self) -> u32 {
        P::REVISION
    }

    fn kind(&self) -> ViewKind {
        ViewKind::Merged
    }

    fn schema(&self) -> Value {
        schemars::schema_for!(P::View).to_value()
    }

    fn sources(&self) -> Sources {
        self.projection.sources()
    }

    fn links(&self) -> Option<&dyn AnyLinks> {
        // A link without a size has one value only: nothing to remember.
        (size_of::<P::Link>() > 0).then_some(self)
    }

    fn partition_of(&self, _: &Key, _: Partitions) -> Option<Partition> {
        None
    }

    fn keys(&self, link: Option<&LinkSlot>, recorded: &Recorded<'_>) -> Option<Vec<Key>> {
        Some(self.projection.keys(&link_in::<P>(link), recorded))
    }

    fn slot(&self, stored: Option<&[u8]>) -> Result<Slot, serde_json::Error> {
        let view: Option<P::View> = stored.map(serde_json::from_slice).transpose()?;
        Ok(Box::new(view))
    }

    fn fold(&self, slot: &mut Slot, key: &str, link: Option<&LinkSlot>, recorded: &Recorded<'_>) {
        let view = view_in::<P::View>(slot);
        let key = Key::new(key).expect("a key that `keys` gave");
        let part = view.take().unwrap_or_default();
        *view = Some(self.projection.fold(part, &key, &link_in::<P>(link), recorded));
    }

    fn render(&self, slot: &Slot) -> Option<Bytes> {
        render::<P::View>(slot)
    }

    fn merge(&self, parts: Vec<Bytes>) -> Result<Bytes, serde_json::Error> {
        let [only] = parts.as_slice() else {
            let mut whole = P::View::default();
            for part in &parts {
                whole = self.projection.merge(whole, serde_json::from_slice(part)?);
            }
            return serde_json::to_vec(&whole).map(Bytes::from);
        };
        Ok(only.clone())
    }
}

impl<P: LinkedProjection> AnyLinks for Merged<P> {
    fn link_of(&self, stored: Option<&[u8]>) -> Result<LinkSlot, serde_json::Error> {
        let link: Option<Linked<P::Link>> = stored.map(serde_json::from_slice).transpose()?;
        Ok(Arc::new(link.unwrap_or_default()))
    }

    fn link(&self, before: &LinkSlot, recorded: &Recorded<'_>) -> Option<LinkSlot> {
        let before = link_in::<P>(Some(before));
        let after = self.projection.link(before.clone().into_owned(), recorded);
        let since = Some(recorded.position().offset);
        (after != *before).then(|| Arc::new(Linked { link: after, since }) as LinkSlot)
    }

    fn render_link(&self, link: &LinkSlot) -> Bytes {
        serde_json::to_vec(linked::<P>(link)).expect("a link has string keys only").into()
    }

    fn since(&self, link: &LinkSlot) -> Option<Offset> {
        linked::<P>(link).since
    }
}

fn view_in<V: 'static>(slot: &mut Slot) -> &mut Option<V> {
    slot.downcast_mut().expect("a slot stays with the projection that made it")
}

fn link_in<P: LinkedProjection>(link: Option<&LinkSlot>) -> Cow<'_, P::Link> {
    match link {
        Some(link) => Cow::Borrowed(&linked::<P>(link).link),
        None => Cow::Owned(P::Link::default()),
    }
}

fn linked<P: LinkedProjection>(link: &LinkSlot) -> &Linked<P::Link> {
    link.downcast_ref().expect("a link stays with the projection that made it")
}

fn render<V: serde::Serialize + 'static>(slot: &Slot) -> Option<Bytes> {
    let view: &Option<V> =
        slot.downcast_ref().expect("a slot stays with the projection that made it");
    let view = view.as_ref()?;
    Some(serde_json::to_vec(view).expect("a view has string keys only").into())
}
