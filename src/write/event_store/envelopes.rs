//! Between the metadata of `cqrs-es`, a map, and a record's fields: nothing is lost on the way.

use std::collections::HashMap;

use cqrs_es::EventEnvelope;

use crate::contract::{Aggregate, EventOf, Version};
use crate::events::{Commit, Metadata};

use super::COMMITTED;

const COMMAND: &str = "command";
const CORRELATION_ID: &str = "correlation_id";
const CAUSATION_ID: &str = "causation_id";
const ACTOR: &str = "actor";
const TRACEPARENT: &str = "traceparent";

/// The record's `command`, and its other fields.
pub(super) fn fields_of(mut metadata: HashMap<String, String>) -> (String, Metadata) {
    let command = metadata.remove(COMMAND).unwrap_or_else(|| COMMITTED.to_owned());
    let fields = Metadata {
        correlation_id: metadata.remove(CORRELATION_ID),
        causation_id: metadata.remove(CAUSATION_ID),
        actor: metadata.remove(ACTOR),
        traceparent: metadata.remove(TRACEPARENT),
        other: metadata.into_iter().collect(),
    };
    (command, fields)
}

/// The map that a record's fields came from.
pub(super) fn metadata_of(commit: &Commit<'_>) -> HashMap<String, String> {
    let Commit { command, correlation_id, causation_id, actor, traceparent, metadata, .. } = commit;
    let fields = [
        (COMMAND, Some(command).filter(|command| *command != COMMITTED)),
        (CORRELATION_ID, correlation_id.as_ref()),
        (CAUSATION_ID, causation_id.as_ref()),
        (ACTOR, actor.as_ref()),
        (TRACEPARENT, traceparent.as_ref()),
    ];
    let named = fields.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let named = named.map(|(name, value)| (name.to_owned(), value.to_string()));
    named.chain(metadata.clone()).collect()
}

pub(super) fn envelope<A: Aggregate>(
    id: &str,
    version: Version,
    payload: EventOf<A>,
    metadata: HashMap<String, String>,
) -> EventEnvelope<A> {
    let sequence = usize::try_from(version.0).expect("a version counts what was in memory");
    EventEnvelope { aggregate_id: id.to_owned(), sequence, payload, metadata }
}
