//! Tests of the stored form of events: what is written today is read back as it was.

use std::collections::BTreeSet;

use cqrs_es::DomainEvent;
use serde_json::Value;
use uuid::Uuid;

use crate::contract::{Aggregate, EventOf};
use crate::events::{decode, encode};

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
    let mut missing = tags_of::<A>();
    for event in samples {
        let stored = encode::<A>(Uuid::nil(), event).expect("an event has a stored form");
        let read = decode::<A>(&stored).expect("a stored event is read back");
        assert!(read == *event, "stored as {}, {event:?} is read back as {read:?}", stored.data);
        missing.remove(&event.event_type());
    }
    assert!(missing.is_empty(), "no sample of {missing:?}");
}

/// The tags of an enum by its JSON Schema: `{"properties":{TAG:…}}` for a variant with content,
/// `{"const":TAG}` or `{"enum":[TAG, …]}` for those without.
fn tags_of<A: Aggregate>() -> BTreeSet<String> {
    let schema = schemars::schema_for!(EventOf<A>).to_value();
    let variants = match schema.get("oneOf") {
        Some(Value::Array(variants)) => variants.clone(),
        _ => vec![schema],
    };
    let mut tags = BTreeSet::new();
    for variant in &variants {
        if let Some(Value::Object(properties)) = variant.get("properties") {
            tags.extend(properties.keys().cloned());
        }
        let listed = variant.get("enum").and_then(Value::as_array).into_iter().flatten();
        let units = listed.chain(variant.get("const"));
        tags.extend(units.filter_map(Value::as_str).map(str::to_owned));
    }
    tags
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use cqrs_es::event_sink::EventSink;
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    use crate::contract::{Refusal, Upcaster};

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
}
