//! A view or a link folded twice: as it lives in memory, and as it is read back from a store.
//!
//! The two must never differ: a restart between two events must not show.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// One view or link in both forms.
#[derive(Clone, Debug)]
pub(super) struct Twin<V> {
    kept: Option<V>,
    stored: Option<V>,
}

impl<V: Serialize + DeserializeOwned> Twin<V> {
    pub(super) const EMPTY: Self = Self { kept: None, stored: None };

    /// One step of the fold, in both forms.
    pub(super) fn fold(&mut self, step: impl Fn(Option<V>) -> Option<V>) {
        self.kept = step(self.kept.take());
        self.stored = step(self.stored.take()).map(|view| read_back(&view));
    }

    /// The view or link, when both forms agree.
    pub(super) fn view(&self) -> Option<&V> {
        let (kept, stored) = (json_of(self.kept.as_ref()), json_of(self.stored.as_ref()));
        assert!(
            kept == stored,
            "the view or link is another one when it is stored as JSON and read back between \
             two events; in memory:\n{kept}\nread back:\n{stored}",
        );
        self.kept.as_ref()
    }
}

/// Fails with both views as JSON unless they are the same text: what a client gets, a replay must
/// give again byte for byte.
pub(super) fn expect_view<V: Serialize>(view: Option<&V>, expected: Option<&V>) {
    let (view, expected) = (json_of(view), json_of(expected));
    assert!(view == expected, "expected the view\n{expected}\nbut it is\n{view}");
}

pub(super) fn json_of<V: Serialize>(view: Option<&V>) -> String {
    view.map_or_else(
        || "none".to_owned(),
        |view| serde_json::to_string_pretty(view).expect("a view has JSON"),
    )
}

fn read_back<V: Serialize + DeserializeOwned>(view: &V) -> V {
    let json = serde_json::to_vec(view).expect("a view has JSON");
    serde_json::from_slice(&json).expect("a view is read back from its own JSON")
}
