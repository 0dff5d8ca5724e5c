//! Tests of a [`Projection`]: given events of one aggregate, when another happens, then its view.

use crate::contract::{EventOf, Key, Projection, Time};
use crate::events::Metadata;

use super::recorder::Recorder;
use super::twin::{Twin, expect_view};

/// A test of a projection.
///
/// ```
/// use retell::test::ProjectionTest;
/// # use retell::doc::{LightEvent, LightView, Lights};
///
/// ProjectionTest::of(Lights)
///     .given("hall", [LightEvent::SwitchedOn {}])
///     .when(LightEvent::SwitchedOff {})
///     .then_view(Some(LightView { on: false, switched: 2 }));
/// ```
#[derive(Debug)]
pub struct ProjectionTest<P>(P);

/// What has happened so far to the one aggregate of a [`ProjectionTest`].
///
/// ```
/// use retell::test::{GivenEvents, ProjectionTest};
/// # use retell::doc::{LightEvent, LightView, Lights};
///
/// let given: GivenEvents<Lights> = ProjectionTest::of(Lights).given("hall", []);
/// given.when(LightEvent::SwitchedOn {}).then_view(Some(LightView { on: true, switched: 1 }));
/// ```
#[derive(Debug)]
pub struct GivenEvents<P: Projection> {
    projection: P,
    id: Key,
    recorder: Recorder,
    view: Twin<P::View>,
}

impl<P: Projection> ProjectionTest<P> {
    /// A test of this projection.
    pub const fn of(projection: P) -> Self {
        Self(projection)
    }

    /// The events that the aggregate with this id has had; may be none.
    ///
    /// # Panics
    /// The id is no [`Key`].
    pub fn given(
        self,
        id: &str,
        events: impl IntoIterator<Item = EventOf<P::Aggregate>>,
    ) -> GivenEvents<P> {
        let id = Key::new(id).expect("the id of an aggregate is a key");
        let recorder = Recorder::new();
        let given = GivenEvents { projection: self.0, id, recorder, view: Twin::EMPTY };
        events.into_iter().fold(given, GivenEvents::when)
    }
}

impl<P: Projection> GivenEvents<P> {
    /// The next event happens at this time, instead of a second after the one before.
    #[must_use]
    pub const fn at(mut self, time: Time) -> Self {
        self.recorder.set_time(time);
        self
    }

    /// All further events are recorded with this metadata, instead of none.
    #[must_use]
    pub fn with(mut self, metadata: Metadata) -> Self {
        self.recorder.set_metadata(metadata);
        self
    }

    /// One more event.
    #[must_use]
    pub fn when(mut self, event: EventOf<P::Aggregate>) -> Self {
        let (projection, view) = (&self.projection, &mut self.view);
        self.recorder.record::<P::Aggregate>(&self.id, &event, |recorded| {
            view.fold(|view| projection.fold(view, &event, recorded));
        });
        self
    }

    /// The view is now this one; `None`: there is none. More may happen afterwards.
    ///
    /// # Panics
    /// It is not, or it becomes another one by being stored.
    pub fn then_view(self, expected: Option<P::View>) -> Self {
        expect_view(self.view.view(), expected.as_ref());
        self
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{UnwindSafe, catch_unwind};

    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    use crate::contract::{Recorded, Version};
    use crate::doc::{Light, LightEvent, LightView, Lights};
    use crate::test::time_of_event;

    use super::*;

    /// Shows what was recorded with the last event; gone when the light is off.
    struct LastRecorded;

    #[derive(Clone, Default, Deserialize, JsonSchema, Serialize)]
    struct LastView {
        at: Time,
        version: Version,
        position: String,
        actor: Option<String>,
        #[serde(skip)]
        unsaved: u32,
        seen: u32,
    }

    impl Projection for LastRecorded {
        type Aggregate = Light;
        type View = LastView;
        const NAME: &'static str = "last-recorded";
        const REVISION: u32 = 1;

        fn fold(
            &self,
            view: Option<LastView>,
            event: &LightEvent,
            recorded: &Recorded<'_>,
        ) -> Option<LastView> {
            let before = view.unwrap_or_default();
            (*event == LightEvent::SwitchedOn {}).then(|| LastView {
                at: recorded.time(),
                version: recorded.version(),
                position: recorded.position().to_string(),
                actor: recorded.actor().map(str::to_owned),
                unsaved: before.unsaved + 1,
                seen: before.unsaved,
            })
        }
    }

    fn complaint(test: impl FnOnce() + UnwindSafe) -> String {
        let panic = catch_unwind(test).expect_err("a complaint");
        *panic.downcast::<String>().expect("panics with a text")
    }

    #[test]
    fn another_view_than_expected_is_shown_beside_it() {
        let complaint = complaint(|| {
            let given = ProjectionTest::of(Lights).given("hall", [LightEvent::SwitchedOn {}]);
            given.then_view(Some(LightView { on: true, switched: 7 }));
        });
        assert!(complaint.contains("\"switched\": 7"), "{complaint}");
        assert!(complaint.contains("\"switched\": 1"), "{complaint}");
    }

    #[test]
    fn a_view_that_loses_a_field_when_it_is_stored_is_found() {
        let twice = [LightEvent::SwitchedOn {}, LightEvent::SwitchedOn {}];
        let complaint = complaint(|| {
            let given = ProjectionTest::of(LastRecorded).given("hall", twice);
            given.then_view(None);
        });
        assert!(complaint.contains("stored as JSON and read back"), "{complaint}");
    }

    #[test]
    fn events_are_recorded_in_order_a_second_apart_and_as_the_test_says() {
        let metadata = Metadata { actor: Some("ann".into()), ..Metadata::default() };
        ProjectionTest::of(LastRecorded)
            .given("hall", [LightEvent::SwitchedOff {}])
            .then_view(None)
            .with(metadata)
            .when(LightEvent::SwitchedOn {})
            .then_view(Some(LastView {
                at: time_of_event(2),
                version: Version(2),
                position: "0@1".into(),
                actor: Some("ann".into()),
                ..LastView::default()
            }));
        let noon = Time::from_millis(7);
        ProjectionTest::of(LastRecorded)
            .given("hall", [])
            .at(noon)
            .when(LightEvent::SwitchedOn {})
            .then_view(Some(LastView {
                at: noon,
                version: Version(1),
                position: "0@0".into(),
                ..LastView::default()
            }));
    }
}
