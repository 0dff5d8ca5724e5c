//! The projections that users write, as the read loop sees them: each with its types around it.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::contract::{
    Aggregate, EventOf, Key, LinkedProjection, Name, Offset, Partition, Projection, Recorded,
    Sources, schema_of,
};
use crate::log::Partitions;

use super::any_projection::{AnyLinks, AnyProjection, LinkSlot, Slot};
use super::index::{IndexFlaw, Indexes};
use super::status::ViewKind;

/// A [`Projection`] without its types.
///
/// ```
/// use retell::{Name, log::Partitions, read::{AnyProjection, Keyed}};
/// # use retell::{Key, doc::Lights};
///
/// let lights = Keyed::new(Name::new("lights")?, Lights).expect("it has no index");
/// // A view is where the records of its aggregate are.
/// let (key, partitions) = (Key::new("hall")?, Partitions::new(16).expect("some"));
/// assert_eq!(lights.partition_of(&key, partitions), Some(partitions.of("light/hall")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Keyed<P> {
    name: Name,
    projection: P,
    indexes: Indexes,
}

/// A [`LinkedProjection`] without its types.
///
/// ```
/// use retell::{Name, read::{AnyProjection, Merged}};
/// # use retell::doc::LightsOn;
///
/// let lights_on = Merged::new(Name::new("lights-on")?, LightsOn);
/// let whole = lights_on.merge(vec![r#"{"on":2}"#.into(), r#"{"on":3}"#.into()])?;
/// assert_eq!(whole, r#"{"on":5}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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

impl<P: Projection> Keyed<P> {
    /// The projection under its name.
    ///
    /// # Errors
    /// What is wrong with its indexes.
    pub fn new(name: Name, projection: P) -> Result<Self, Vec<IndexFlaw>> {
        let schema = schema_of::<P::View>();
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
        schema_of::<P::View>()
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
        schema_of::<P::View>()
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
