//! Records a test's events as the log would: versions, positions, times and ids are the same in
//! every run.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::contract::{
    Aggregate, EventOf, Key, Name, Offset, Partition, Position, Recorded, Target, Time, Version,
};
use crate::events::{CommandId, Metadata};

/// 2026-01-01T00:00:00.000Z: when the first event of every test happens.
const FIRST: Time = Time::from_millis(1_767_225_600_000);

/// From one event of a test to the next.
const STEP_MS: i64 = 1_000;

/// When the `n`th event of a test happens, counted from 1, unless the test says otherwise: the
/// first at 2026-01-01T00:00:00.000Z, each other a second after the one before.
#[must_use]
pub const fn time_of_event(n: u32) -> Time {
    Time::from_millis(FIRST.millis() + (n as i64 - 1) * STEP_MS)
}

/// A log in which every aggregate has a partition of its own.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    next_time: Time,
    metadata: Metadata,
    aggregates: Vec<(Target, Version)>,
    events: u64,
}

impl Recorder {
    pub(super) const fn new() -> Self {
        let metadata = Metadata {
            correlation_id: None,
            causation_id: None,
            actor: None,
            traceparent: None,
            other: BTreeMap::new(),
        };
        Self { next_time: FIRST, metadata, aggregates: Vec::new(), events: 0 }
    }

    pub(super) const fn set_time(&mut self, time: Time) {
        self.next_time = time;
    }

    pub(super) fn set_metadata(&mut self, metadata: Metadata) {
        self.metadata = metadata;
    }

    /// Records one event and shows it to `read`.
    pub(super) fn record<A: Aggregate>(
        &mut self,
        id: &Key,
        event: &EventOf<A>,
        read: impl FnOnce(&Recorded<'_>),
    ) {
        let name = Name::new(A::TYPE).expect("the type of an aggregate is a name");
        let (position, version) = self.place(Target::new(name, id));
        let event_id = self.event_id();
        read(&Recorded {
            target: &Target::new(name, id),
            version,
            position,
            time: self.next_time,
            event_id,
            event_type: &cqrs_es::DomainEvent::event_type(event),
            command_id: CommandId::generated(event_id).as_str(),
            correlation_id: self.metadata.correlation_id.as_deref(),
            causation_id: self.metadata.causation_id.as_deref(),
            actor: self.metadata.actor.as_deref(),
            event,
        });
        self.next_time = Time::from_millis(self.next_time.millis() + STEP_MS);
    }

    /// Where the aggregate's next event goes, and its version.
    fn place(&mut self, target: Target) -> (Position, Version) {
        let known = self.aggregates.iter().position(|(known, _)| *known == target);
        let at = known.unwrap_or_else(|| {
            self.aggregates.push((target, Version::NONE));
            self.aggregates.len() - 1
        });
        let version = self.aggregates[at].1.next();
        self.aggregates[at].1 = version;
        let partition = Partition(u32::try_from(at).expect("a test has few aggregates"));
        (Position { partition, offset: Offset(version.0 - 1) }, version)
    }

    fn event_id(&mut self) -> Uuid {
        self.events += 1;
        let millis = u64::try_from(self.next_time.millis()).unwrap_or_default();
        let mut bytes = [0; 10];
        bytes[2..].copy_from_slice(&self.events.to_be_bytes());
        uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
    }
}
