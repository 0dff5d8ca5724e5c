//! Tests of the stored form of events: what is written today is read back as it was, and what
//! was ever written is read as it was meant.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use cqrs_es::DomainEvent;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::contract::{Aggregate, EventOf, Upcaster};
use crate::events::{StoredEvent, decode, encode, known_schema, schema_of, variants};

/// Checks the stored form of an aggregate's events, of which there must be a sample each.
///
/// - `event_type()` is the tag of the enum,
/// - `event_version()` is an integer from 1, and the one that the upcasters lead to,
/// - an event that is stored and read back is the same event.
///
/// ```
/// use retell::test::check_events;
/// # use retell::doc::{Light, LightEvent};
///
/// check_events::<Light>(&[LightEvent::SwitchedOn {}, LightEvent::SwitchedOff {}]);
/// ```
///
/// # Panics
/// One of these does not hold, or an event of the enum has no sample.
pub fn check_events<A: Aggregate>(samples: &[EventOf<A>]) {
    let all = variants(&schemars::schema_for!(EventOf<A>).to_value());
    let mut missing: BTreeSet<String> = all.into_iter().map(|(tag, _)| tag).collect();
    for event in samples {
        let stored = encode::<A>(Uuid::nil(), event).expect("an event has a stored form");
        let read = decode::<A>(&stored).expect("a stored event is read back");
        assert!(read == *event, "stored as {}, {event:?} is read back as {read:?}", stored.data);
        missing.remove(&event.event_type());
    }
    assert!(missing.is_empty(), "no sample of {missing:?}");
}

/// Checks that what was ever stored of an aggregate's events is still read as it was meant.
///
/// A sample is the JSON of an event as the log has it, with the event of today that it must be
/// read as. Keep each for ever: a change of an event adds samples and touches none.
///
/// - Each sample is read, through the upcasters, as the event beside it.
/// - Each event type has a sample of each schema from 1 to today's.
/// - Of today's schema one sample is exactly what is stored today, so that a changed field is
///   noticed, and has a sample before it is ever written.
///
/// ```
/// use retell::test::check_stored_events;
/// # use retell::doc::{Light, LightEvent};
///
/// check_stored_events::<Light>(&[
///     (r#"{"type":"SwitchedOn","schema":"1","data":{}}"#, LightEvent::SwitchedOn {}),
///     (r#"{"type":"SwitchedOff","schema":"1","data":{}}"#, LightEvent::SwitchedOff {}),
/// ]);
/// ```
///
/// [`Upcaster`](crate::Upcaster) has an example with two schemas.
///
/// # Panics
/// One of these does not hold; it says which, and what a missing sample would be.
#[expect(clippy::panic, reason = "a test says what it saw by panicking")]
pub fn check_stored_events<A: Aggregate>(samples: &[(&str, EventOf<A>)]) {
    let types = variants(&schemars::schema_for!(EventOf<A>).to_value()).into_iter();
    let types: BTreeSet<String> = types.map(|(tag, _)| tag).collect();
    let mut missing = BTreeSet::new();
    for event_type in types.iter().cloned().chain(A::upcasters().iter().map(type_of)) {
        let schemas = 1..=known_schema::<A>(&event_type);
        missing.extend(schemas.map(|schema| (event_type.clone(), schema)));
    }
    let mut changed = BTreeMap::new();
    let mut current = BTreeSet::new();
    for (json, expected) in samples {
        let stored = sample_in(json);
        let read = decode::<A>(&stored).unwrap_or_else(|error| panic!("{error}, in {json}"));
        assert!(read == *expected, "{json} is read as {read:?}, not as {expected:?}");
        missing.remove(&(stored.event_type.to_string(), stored.schema));
        let today = encode::<A>(Uuid::nil(), expected).expect("an event has a stored form");
        let same_type = today.event_type == stored.event_type && today.schema == stored.schema;
        if same_type && value(&today) == value(&stored) {
            current.insert(today.event_type.into_owned());
        } else {
            changed.insert(today.event_type.to_string(), shown(&today));
        }
    }
    assert!(missing.is_empty(), "no sample of {missing:?}");
    changed.retain(|event_type, _| !current.contains(event_type));
    let missing: Vec<_> = changed.into_values().collect();
    assert!(missing.is_empty(), "no sample is as it is stored today: {}", missing.join(", "));
}

fn type_of(upcaster: &Upcaster) -> String {
    upcaster.event_type.to_owned()
}

/// An event as the log has it; its id is of no interest.
#[expect(clippy::panic, reason = "a test says what it saw by panicking")]
fn sample_in(json: &str) -> StoredEvent<'_> {
    #[derive(Deserialize)]
    struct Sample<'a> {
        #[serde(borrow, rename = "type")]
        event_type: Cow<'a, str>,
        #[serde(borrow)]
        schema: Cow<'a, str>,
        #[serde(borrow)]
        data: &'a RawValue,
    }
    let sample: Sample<'_> =
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}, in {json}"));
    let schema = schema_of(&sample.schema);
    let schema = schema.unwrap_or_else(|| panic!("schema is no integer from 1, in {json}"));
    let (event_type, data) = (sample.event_type, Cow::Borrowed(sample.data));
    StoredEvent { id: Uuid::nil(), event_type, schema, data }
}

fn value(stored: &StoredEvent<'_>) -> Value {
    serde_json::from_str(stored.data.get()).expect("raw JSON is JSON")
}

fn shown(stored: &StoredEvent<'_>) -> String {
    let StoredEvent { event_type, schema, data, .. } = stored;
    format!(r#"{{"type":"{event_type}","schema":"{schema}","data":{data}}}"#)
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use cqrs_es::event_sink::EventSink;
    use schemars::JsonSchema;
    use serde::Serialize;

    use crate::contract::Refusal;

    use super::*;

    /// An aggregate whose events are each wrong in one way.
    #[derive(Clone, Default, Deserialize, Serialize)]
    struct Odd;

    #[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
    enum OddEvent {
        Right,
        WrongTag {},
        WrongVersion {},
        NotUpcast {},
        Forgets {
            #[serde(skip)]
            what: u32,
        },
    }

    impl DomainEvent for OddEvent {
        fn event_type(&self) -> String {
            let tag = match self {
                Self::Right => "Right",
                Self::WrongTag {} => "wrong_tag",
                Self::WrongVersion {} => "WrongVersion",
                Self::NotUpcast {} => "NotUpcast",
                Self::Forgets { .. } => "Forgets",
            };
            tag.to_owned()
        }

        fn event_version(&self) -> String {
            if matches!(self, Self::WrongVersion {}) { "1.0".to_owned() } else { "1".to_owned() }
        }
    }

    impl cqrs_es::Aggregate for Odd {
        const TYPE: &'static str = "odd";
        type Command = ();
        type Event = OddEvent;
        type Error = std::fmt::Error;
        type Services = ();

        async fn handle(
            &mut self,
            (): (),
            (): &(),
            _: &EventSink<Self>,
        ) -> Result<(), std::fmt::Error> {
            Ok(())
        }

        fn apply(&mut self, _: OddEvent) {}
    }

    impl Aggregate for Odd {
        fn refusal(error: &std::fmt::Error) -> Refusal {
            Refusal::new("odd", error.to_string())
        }

        fn upcasters() -> Vec<Upcaster> {
            vec![Upcaster { event_type: "NotUpcast", from: 1, upcast: |content| content }]
        }
    }

    fn complaint_about(event: OddEvent) -> String {
        let panic = catch_unwind(|| check_events::<Odd>(&[event])).expect_err("a complaint");
        *panic.downcast::<String>().expect("panics with a text")
    }

    #[test]
    fn each_mistake_in_an_event_is_named() {
        assert!(complaint_about(OddEvent::WrongTag {}).contains("NotTagged"));
        assert!(complaint_about(OddEvent::WrongVersion {}).contains("NotAVersion"));
        assert!(complaint_about(OddEvent::NotUpcast {}).contains("NotUpcast"));
        let forgets = complaint_about(OddEvent::Forgets { what: 7 });
        assert!(forgets.contains("read back as Forgets { what: 0 }"), "{forgets}");
    }

    #[test]
    fn an_event_without_a_sample_is_named() {
        let missing = complaint_about(OddEvent::Right);
        assert!(missing.contains("no sample of"), "{missing}");
        for tag in ["Forgets", "NotUpcast", "WrongTag", "WrongVersion"] {
            assert!(missing.contains(tag), "{missing}");
        }
        assert!(!missing.contains("Right"), "{missing}");
    }
    fn complaint_about_stored(samples: &[(&str, OddEvent)]) -> String {
        let panic = catch_unwind(|| check_stored_events::<Odd>(samples)).expect_err("a complaint");
        *panic.downcast::<String>().expect("panics with a text")
    }

    #[test]
    fn a_sample_that_is_not_read_as_it_was_meant_is_named() {
        let right = r#"{"type":"Right","schema":"1","data":{}}"#;
        let said = complaint_about_stored(&[(right, OddEvent::WrongTag {})]);
        assert!(said.contains("is read as Right, not as WrongTag"), "{said}");
        let unknown = r#"{"type":"Left","schema":"1","data":{}}"#;
        let said = complaint_about_stored(&[(unknown, OddEvent::Right)]);
        assert!(said.contains("event type `Left` is unknown"), "{said}");
        let newer = r#"{"type":"Right","schema":"2","data":{}}"#;
        let said = complaint_about_stored(&[(newer, OddEvent::Right)]);
        assert!(said.contains("schema 2, this binary knows 1"), "{said}");
        for broken in ["{}", r#"{"type":"Right","schema":"0","data":{}}"#] {
            let said = complaint_about_stored(&[(broken, OddEvent::Right)]);
            assert!(said.ends_with(&format!(", in {broken}")), "{said}");
        }
    }

    #[test]
    fn a_schema_without_a_sample_is_named() {
        let right = r#"{"id":"…","type":"Right","schema":"1","data":{}}"#;
        let missing = complaint_about_stored(&[(right, OddEvent::Right)]);
        for named in [r#"("NotUpcast", 1)"#, r#"("NotUpcast", 2)"#, r#"("Forgets", 1)"#] {
            assert!(missing.contains(named), "{missing}");
        }
        assert!(!missing.contains("Right"), "{missing}");
    }
}
