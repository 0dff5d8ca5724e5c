//! Whether an aggregate's events can evolve: each type knows its schema, and upcasters lead from
//! every older one to it. It is checked when an application is built, before anything is stored.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::contract::{Aggregate, EventOf};

use super::codec::{Unencodable, encode};
use super::sample::variants;
use super::tagged::Tagged;

/// A tag that no enum has.
const NO_TAG: &str = "\u{0}";

/// Why the events of an aggregate cannot be stored, or could not be read later.
///
/// ```
/// use retell::events::{EventFlaw, event_flaws};
/// # use retell::doc::Light;
///
/// assert!(event_flaws::<Light>().is_empty());
/// let flaw = EventFlaw::Gap { event_type: "SwitchedOn", missing: 1, later: 2 };
/// let said = "`SwitchedOn` has an upcaster from schema 2, but none from schema 1";
/// assert_eq!(flaw.to_string(), said);
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventFlaw {
    /// An event type that does not exist would be read as one that does.
    #[error(
        "its events must be an enum that serde tags externally, without `#[serde(other)]`: an \
         event type of a newer binary must be told from all others"
    )]
    TakesAnyType,
    /// An upcaster is for a type that the events do not have.
    #[error("an upcaster is for the event type `{0}`, which its events do not have")]
    NoSuchType(&'static str),
    /// Schemas begin with 1.
    #[error("an upcaster of `{0}` reads schema 0; schemas are numbered from 1")]
    FromZero(&'static str),
    /// Two upcasters read the same schema of one type.
    #[error("`{event_type}` has two upcasters from schema {from}")]
    Doubled {
        /// The stored type.
        event_type: &'static str,
        /// What both read.
        from: u32,
    },
    /// No upcaster reads a schema below another that one reads.
    #[error("`{event_type}` has an upcaster from schema {later}, but none from schema {missing}")]
    Gap {
        /// The stored type.
        event_type: &'static str,
        /// What nothing reads.
        missing: u32,
        /// The next that an upcaster reads.
        later: u32,
    },
    /// An event has no stored form.
    #[error(transparent)]
    Unencodable(Unencodable),
}

/// Everything that is wrong with the events of an aggregate.
///
/// The version and the type that an event says it has are asked of a sample, which is made from
/// the events' JSON Schema. Where a type takes less than its schema says there may be none; then
/// its events are checked when they are decided, and a schema with `examples` helps.
#[must_use]
pub fn event_flaws<A: Aggregate>() -> Vec<EventFlaw> {
    if knows::<A>(NO_TAG) {
        return vec![EventFlaw::TakesAnyType];
    }
    let mut flaws = flaws_of_upcasters::<A>();
    let mut unasked = Vec::new();
    for (tag, sample) in variants(&schemars::schema_for!(EventOf<A>).to_value()) {
        match sample.and_then(|sample| read::<A>(sample).ok()) {
            Some(event) => match encode::<A>(Uuid::nil(), &event) {
                Ok(_) | Err(Unencodable::Json { .. }) => {}
                Err(error) => flaws.push(EventFlaw::Unencodable(error)),
            },
            None => unasked.push(tag),
        }
    }
    if !unasked.is_empty() {
        let aggregate = <A as cqrs_es::Aggregate>::TYPE;
        tracing::info!(aggregate, ?unasked, "event_version() is checked when one is decided");
    }
    flaws
}

/// Whether the events of an aggregate have a variant with this tag, or with this alias.
fn knows<A: Aggregate>(tag: &str) -> bool {
    let tagged = Tagged::new(tag, "null");
    EventOf::<A>::deserialize(&tagged).is_ok() || !tagged.tag_is_unknown()
}

fn read<A: Aggregate>(sample: Value) -> Result<EventOf<A>, serde_json::Error> {
    serde_json::from_value(sample)
}

fn flaws_of_upcasters<A: Aggregate>() -> Vec<EventFlaw> {
    let mut schemas: BTreeMap<&'static str, Vec<u32>> = BTreeMap::new();
    for upcaster in A::upcasters() {
        schemas.entry(upcaster.event_type).or_default().push(upcaster.from);
    }
    let mut flaws = Vec::new();
    for (event_type, mut read) in schemas {
        if !knows::<A>(event_type) {
            flaws.push(EventFlaw::NoSuchType(event_type));
        }
        read.sort_unstable();
        let mut expected = 1;
        for from in read {
            match from {
                0 => flaws.push(EventFlaw::FromZero(event_type)),
                _ if from < expected => flaws.push(EventFlaw::Doubled { event_type, from }),
                _ if from > expected => {
                    let (missing, later) = (expected, from);
                    flaws.push(EventFlaw::Gap { event_type, missing, later });
                }
                _ => {}
            }
            expected = expected.max(from.saturating_add(1));
        }
    }
    flaws
}
