//! An event as it was recorded: what happened, to whom, when, and why.

use std::fmt;

use uuid::Uuid;

use crate::events::Commit;

use super::projection::AnyEvent;
use super::{Aggregate, EventOf, Position, Target, Time, Version};

/// An event with what the log knows about it. Projections and policies get it.
///
/// ```
/// use retell::Recorded;
/// # use retell::doc::{Light, LightEvent};
///
/// fn told(recorded: &Recorded<'_>) -> Option<String> {
///     match recorded.event::<Light>()? {
///         LightEvent::SwitchedOn {} => Some(format!("{} is on", recorded.target())),
///         LightEvent::SwitchedOff {} => None,
///     }
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Recorded<'a> {
    pub(crate) target: &'a Target,
    pub(crate) version: Version,
    pub(crate) position: Position,
    pub(crate) time: Time,
    pub(crate) event_id: Uuid,
    pub(crate) event_type: &'a str,
    pub(crate) command_id: &'a str,
    pub(crate) correlation_id: Option<&'a str>,
    pub(crate) causation_id: Option<&'a str>,
    pub(crate) actor: Option<&'a str>,
    pub(crate) event: &'a AnyEvent,
}

impl<'a> Recorded<'a> {
    /// An event of a commit, counted from 0. Who reads whole records is shown one that has no
    /// event, too.
    pub(crate) fn of(
        target: &'a Target,
        commit: &'a Commit<'_>,
        position: Position,
        event: usize,
        decoded: &'a AnyEvent,
    ) -> Self {
        let stored = commit.events.get(event);
        Self {
            target,
            version: commit.version_of(event),
            position,
            time: commit.time,
            event_id: stored.map_or(Uuid::nil(), |stored| stored.id),
            event_type: stored.map_or("", |stored| &stored.event_type),
            command_id: &commit.command_id,
            correlation_id: commit.correlation_id.as_deref(),
            causation_id: commit.causation_id.as_deref(),
            actor: commit.actor.as_deref(),
            event: decoded,
        }
    }

    /// The event, when it is one of `A`'s.
    #[must_use]
    pub fn event<A: Aggregate>(&self) -> Option<&'a EventOf<A>> {
        if self.aggregate_type() != A::TYPE {
            return None; // two aggregates may share one Rust type of events
        }
        self.event.downcast_ref()
    }

    /// The aggregate: its type and id.
    #[must_use]
    pub const fn target(&self) -> &'a Target {
        self.target
    }

    /// The type of the aggregate.
    #[must_use]
    pub fn aggregate_type(&self) -> &'a str {
        self.target.aggregate_type()
    }

    /// The id of the aggregate.
    #[must_use]
    pub fn id(&self) -> &'a str {
        self.target.id()
    }

    /// The aggregate's version after this event.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Where the record is; all events of one command share it.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// The writer's clock when it was decided; never goes back within an aggregate. Order is by
    /// position only.
    #[must_use]
    pub const fn time(&self) -> Time {
        self.time
    }

    /// The id of the event.
    #[must_use]
    pub const fn event_id(&self) -> Uuid {
        self.event_id
    }

    /// The stored type of the event.
    #[must_use]
    pub const fn event_type(&self) -> &'a str {
        self.event_type
    }

    /// The id of the command that decided it.
    #[must_use]
    pub const fn command_id(&self) -> &'a str {
        self.command_id
    }

    /// What the command belongs to, as its sender named it.
    #[must_use]
    pub const fn correlation_id(&self) -> Option<&'a str> {
        self.correlation_id
    }

    /// What caused the command, as its sender named it.
    #[must_use]
    pub const fn causation_id(&self) -> Option<&'a str> {
        self.causation_id
    }

    /// Who sent the command, when requests are authenticated.
    #[must_use]
    pub const fn actor(&self) -> Option<&'a str> {
        self.actor
    }
}

impl fmt::Debug for Recorded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorded")
            .field("target", &self.target.as_str())
            .field("version", &self.version)
            .field("position", &self.position)
            .field("event_type", &self.event_type)
            .finish_non_exhaustive()
    }
}
