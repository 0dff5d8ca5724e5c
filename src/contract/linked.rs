//! Merged projections that remember something of each aggregate that they read.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Key, MergedProjection, Recorded, Sources, View};

/// What a [`LinkedProjection`] may remember. Every such type is a `Link`.
///
/// ```
/// use serde::{Deserialize, Serialize};
///
/// /// To whom an account belongs.
/// #[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
/// struct Owner { name: Option<String> }
///
/// fn remembered<L: retell::Link>(link: &L) -> String {
///     serde_json::to_string(link).expect("JSON")
/// }
/// assert_eq!(remembered(&Owner::default()), r#"{"name":null}"#);
/// ```
pub trait Link:
    Serialize + DeserializeOwned + Clone + Default + PartialEq + Send + Sync + 'static
{
}

impl<T> Link for T where
    T: Serialize + DeserializeOwned + Clone + Default + PartialEq + Send + Sync + 'static
{
}

/// A [`MergedProjection`] whose keys depend on what an aggregate said earlier: a deposit belongs
/// to the account's owner, and only `AccountOpened` named that one.
///
/// It keeps a *link* for each aggregate: `link` is folded first, over the events of that one
/// aggregate; then `keys` and `fold` get it as it is after the event. Links are private, stored
/// beside the views, and committed with them. Every [`MergedProjection`] is a `LinkedProjection`
/// that remembers nothing.
///
/// ```
/// use retell::test::MergedTest;
/// use retell::{Key, LinkedProjection, Recorded, Sources};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
/// # use retell::doc::{Light, LightEvent};
///
/// /// How many lights are on again that were on before.
/// struct OnAgain;
///
/// #[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
/// struct Count { lights: i64 }
///
/// #[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
/// struct Switched { on: u32 }
///
/// impl LinkedProjection for OnAgain {
///     type View = Count;
///     type Link = Switched;
///     const NAME: &'static str = "on-again";
///     const REVISION: u32 = 1;
///
///     fn sources(&self) -> Sources {
///         Sources::default().and::<Light>()
///     }
///
///     fn link(&self, link: Switched, recorded: &Recorded<'_>) -> Switched {
///         match recorded.event::<Light>() {
///             Some(LightEvent::SwitchedOn {}) => Switched { on: link.on + 1 },
///             _ => link,
///         }
///     }
///
///     fn keys(&self, link: &Switched, _recorded: &Recorded<'_>) -> Vec<Key> {
///         if link.on > 1 { vec![Key::new("all").expect("a key")] } else { vec![] }
///     }
///
///     fn fold(&self, part: Count, _: &Key, _: &Switched, recorded: &Recorded<'_>) -> Count {
///         let is_on = recorded.event::<Light>() == Some(&LightEvent::SwitchedOn {});
///         Count { lights: part.lights + if is_on { 1 } else { -1 } }
///     }
///
///     fn merge(&self, left: Count, right: Count) -> Count {
///         Count { lights: left.lights + right.lights }
///     }
/// }
///
/// MergedTest::of(OnAgain)
///     .given::<Light>("hall", [LightEvent::SwitchedOn {}, LightEvent::SwitchedOff {}])
///     .then_view("all", None)
///     .when::<Light>("hall", LightEvent::SwitchedOn {})
///     .then_view("all", Some(Count { lights: 1 }));
/// ```
pub trait LinkedProjection: Send + Sync + 'static {
    /// A part, and the merged whole.
    type View: View + Default;
    /// What is remembered of an aggregate. Before its first event it is the default.
    type Link: Link;
    /// The name in URLs and in Redis: `[a-z][a-z0-9-]{0,62}`.
    const NAME: &'static str;
    /// Raise it when `link`, `keys`, `fold`, `merge`, the link or the view changes.
    const REVISION: u32;

    /// The aggregates whose events are folded.
    fn sources(&self) -> Sources;

    /// What is remembered of the event's aggregate after the event.
    fn link(&self, link: Self::Link, recorded: &Recorded<'_>) -> Self::Link;

    /// The keys whose parts this event changes.
    fn keys(&self, link: &Self::Link, recorded: &Recorded<'_>) -> Vec<Key>;

    /// The part under `key` after the event.
    fn fold(
        &self,
        part: Self::View,
        key: &Key,
        link: &Self::Link,
        recorded: &Recorded<'_>,
    ) -> Self::View;

    /// Two parts in one.
    fn merge(&self, left: Self::View, right: Self::View) -> Self::View;
}

impl<P: MergedProjection> LinkedProjection for P {
    type View = <P as MergedProjection>::View;
    type Link = ();
    const NAME: &'static str = <P as MergedProjection>::NAME;
    const REVISION: u32 = <P as MergedProjection>::REVISION;

    fn sources(&self) -> Sources {
        MergedProjection::sources(self)
    }

    fn link(&self, (): (), _: &Recorded<'_>) {}

    fn keys(&self, (): &(), recorded: &Recorded<'_>) -> Vec<Key> {
        MergedProjection::keys(self, recorded)
    }

    fn fold(
        &self,
        part: <P as MergedProjection>::View,
        key: &Key,
        (): &(),
        recorded: &Recorded<'_>,
    ) -> <P as MergedProjection>::View {
        MergedProjection::fold(self, part, key, recorded)
    }

    fn merge(
        &self,
        left: <P as MergedProjection>::View,
        right: <P as MergedProjection>::View,
    ) -> <P as MergedProjection>::View {
        MergedProjection::merge(self, left, right)
    }
}
