//! Projections: pure folds from events to what readers see.

use std::any::Any;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::events::{Decoded, StoredEvent, Undecodable, decode_any};

use super::{Aggregate, Key, Recorded};

/// The longest text that an index tells apart, in bytes of UTF-8: longer ones stand behind it,
/// those that begin alike by key.
pub const INDEXED_TEXT_LEN_MAX: usize = 1_000;

/// The event type of an aggregate.
///
/// ```
/// use retell::EventOf;
/// # use retell::doc::{Light, LightEvent};
///
/// let event: EventOf<Light> = LightEvent::SwitchedOn {};
/// assert_eq!(event, LightEvent::SwitchedOn {});
/// ```
pub type EventOf<A> = <A as cqrs_es::Aggregate>::Event;

/// What a view must be: JSON with a schema. Every such type is a `View`.
///
/// ```
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize, JsonSchema)]
/// struct Balance { cents: i64 }
///
/// fn shown<V: retell::View>(view: &V) -> String {
///     serde_json::to_string(view).expect("JSON")
/// }
/// assert_eq!(shown(&Balance { cents: 5 }), r#"{"cents":5}"#);
/// ```
pub trait View: Serialize + DeserializeOwned + JsonSchema + Clone + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + JsonSchema + Clone + Send + Sync + 'static> View for T {}

/// One view per aggregate, under the aggregate's id.
///
/// A projection is pure: it does no I/O and reads no clock, so that folding the log again gives
/// the same views. A panic in `fold` parks that aggregate for this projection; all others go on.
///
/// ```
/// use retell::test::ProjectionTest;
/// use retell::{Projection, Recorded};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
/// # use retell::doc::{Light, LightEvent};
///
/// #[derive(Clone, Serialize, Deserialize, JsonSchema)]
/// struct LightView { id: String, on: bool }
///
/// struct Lights;
///
/// impl Projection for Lights {
///     type Aggregate = Light;
///     type View = LightView;
///     const NAME: &'static str = "lights";
///     const REVISION: u32 = 1;
///
///     fn fold(
///         &self,
///         _view: Option<LightView>,
///         event: &LightEvent,
///         recorded: &Recorded<'_>,
///     ) -> Option<LightView> {
///         let on = *event == LightEvent::SwitchedOn {};
///         Some(LightView { id: recorded.id().to_owned(), on })
///     }
/// }
///
/// ProjectionTest::of(Lights)
///     .given("hall", [LightEvent::SwitchedOn {}])
///     .then_view(Some(LightView { id: "hall".into(), on: true }));
/// ```
pub trait Projection: Send + Sync + 'static {
    /// The aggregate whose events are folded and whose id is the view's key.
    type Aggregate: Aggregate;
    /// What readers get, as JSON.
    type View: View;
    /// The name in URLs and in Redis: `[a-z][a-z0-9-]{0,62}`.
    const NAME: &'static str;
    /// Raise it when `fold`, the view or the indexes change: the views are then rebuilt beside the
    /// old ones.
    const REVISION: u32;
    /// By which fields views are listed, besides by key. An index over `["owner", "balance"]`
    /// serves a query that says which owner, and may ask for a range of balances, or to be sorted
    /// by balance, or both.
    ///
    /// Fields are those of the view's JSON, and hold texts (listed by their first
    /// [`INDEXED_TEXT_LEN_MAX`] bytes), numbers, booleans or times (to the millisecond), or
    /// nothing. An application with an index over anything else is not built.
    const INDEXES: &'static [&'static [&'static str]] = &[];

    /// The view after the event; `None` when there is no view (any more).
    fn fold(
        &self,
        view: Option<Self::View>,
        event: &EventOf<Self::Aggregate>,
        recorded: &Recorded<'_>,
    ) -> Option<Self::View>;
}

/// Views under any key, fed by any aggregate of any partition, and read by key only.
///
/// Each partition keeps its own part of a view; a query merges the parts. So `merge` must be
/// associative and commutative, and `View::default()` must be its identity. Where the keys of an
/// event depend on what its aggregate said earlier, see
/// [`LinkedProjection`](super::LinkedProjection).
///
/// ```
/// use retell::test::MergedTest;
/// use retell::{Key, MergedProjection, Recorded, Sources};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
/// # use retell::doc::{Light, LightEvent};
///
/// #[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
/// struct Switched { times: u64 }
///
/// struct SwitchedPerFloor;
///
/// impl MergedProjection for SwitchedPerFloor {
///     type View = Switched;
///     const NAME: &'static str = "switched-per-floor";
///     const REVISION: u32 = 1;
///
///     fn sources(&self) -> Sources {
///         Sources::default().and::<Light>()
///     }
///
///     fn keys(&self, recorded: &Recorded<'_>) -> Vec<Key> {
///         let floor = recorded.id().split('.').next(); // of light `2.hall` it is `2`
///         floor.and_then(|floor| Key::new(floor).ok()).into_iter().collect()
///     }
///
///     fn fold(&self, part: Switched, _key: &Key, _recorded: &Recorded<'_>) -> Switched {
///         Switched { times: part.times + 1 }
///     }
///
///     fn merge(&self, left: Switched, right: Switched) -> Switched {
///         Switched { times: left.times + right.times }
///     }
/// }
///
/// MergedTest::of(SwitchedPerFloor)
///     .given::<Light>("2.hall", [LightEvent::SwitchedOn {}, LightEvent::SwitchedOff {}])
///     .given::<Light>("2.bath", [LightEvent::SwitchedOn {}])
///     .then_view("2", Some(Switched { times: 3 }))
///     .then_view("1", None);
/// ```
pub trait MergedProjection: Send + Sync + 'static {
    /// A part, and the merged whole.
    type View: View + Default;
    /// The name in URLs and in Redis: `[a-z][a-z0-9-]{0,62}`.
    const NAME: &'static str;
    /// Raise it when `keys`, `fold`, `merge` or the view changes.
    const REVISION: u32;

    /// The aggregates whose events are folded.
    fn sources(&self) -> Sources;

    /// The keys whose parts this event changes.
    fn keys(&self, recorded: &Recorded<'_>) -> Vec<Key>;

    /// The part under `key` after the event.
    fn fold(&self, part: Self::View, key: &Key, recorded: &Recorded<'_>) -> Self::View;

    /// Two parts in one.
    fn merge(&self, left: Self::View, right: Self::View) -> Self::View;
}

/// The aggregates that a merged projection reads.
///
/// ```
/// use retell::Sources;
/// # use retell::doc::Light;
///
/// let sources = Sources::default().and::<Light>();
/// assert_eq!(sources.iter().count(), 1);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Sources(Vec<Source>);

/// One aggregate type whose events a projection reads, and how they are decoded.
///
/// ```
/// use retell::Source;
/// # use retell::doc::Light;
///
/// assert_eq!(Source::of::<Light>().aggregate_type, "light");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// The name of the aggregate type.
    pub aggregate_type: &'static str,
    pub(crate) decode: fn(&StoredEvent<'_>) -> Result<Decoded, Undecodable>,
}

impl Sources {
    /// These sources and the events of `A`.
    #[must_use]
    pub fn and<A: Aggregate>(mut self) -> Self {
        self.0.push(Source::of::<A>());
        self
    }

    /// Each source.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.0.iter()
    }
}

impl Source {
    /// The events of `A`.
    #[must_use]
    pub fn of<A: Aggregate>() -> Self {
        Self { aggregate_type: A::TYPE, decode: decode_any::<A> }
    }

    /// The one that reads records with this key, `TYPE/ID`.
    pub(crate) fn among<'s>(sources: &'s [Self], key: &[u8]) -> Option<&'s Self> {
        let slash = key.iter().position(|&byte| byte == b'/')?;
        sources.iter().find(|source| source.aggregate_type.as_bytes() == &key[..slash])
    }
}

/// An event of any type, as [`Recorded`] holds it.
pub(crate) type AnyEvent = dyn Any + Send + Sync;
