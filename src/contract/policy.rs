//! Policies: what follows from an event by itself, as commands.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::events::to_wire;

use super::{Aggregate, Recorded, Sources};

/// What follows from an event: a pure function from what happened to commands.
///
/// A command is issued once, whatever crashes, second processes or lost stores happen: its id is
/// made of the policy's name, the event's id and its place among the instructions. Those that
/// follow from the events of one aggregate are issued in the order of its events, each after the
/// one before has its outcome. A refusal is an outcome, too: it is in the log, and the policy goes
/// on. What cannot be decided at all is tried again, and parked in the end with all that follows
/// from the same aggregate; others go on.
///
/// It does no I/O and reads no clock: it may be asked again about an event that it has seen.
///
/// ```
/// use retell::test::PolicyTest;
/// use retell::{Instruction, Policy, Recorded, Sources};
/// # use retell::doc::{Light, LightCommand, LightEvent};
///
/// /// Nobody needs light in the cellar for long.
/// struct CellarIsDark;
///
/// impl Policy for CellarIsDark {
///     const NAME: &'static str = "cellar-is-dark";
///
///     fn sources(&self) -> Sources {
///         Sources::default().and::<Light>()
///     }
///
///     fn react(&self, recorded: &Recorded<'_>) -> Vec<Instruction> {
///         match recorded.event::<Light>() {
///             Some(LightEvent::SwitchedOn {}) if recorded.id() == "cellar" => {
///                 vec![Instruction::to::<Light>("cellar", &LightCommand::SwitchOff {})]
///             }
///             _ => Vec::new(),
///         }
///     }
/// }
///
/// PolicyTest::of(CellarIsDark)
///     .when::<Light>("cellar", LightEvent::SwitchedOn {})
///     .then([Instruction::to::<Light>("cellar", &LightCommand::SwitchOff {})])
///     .when::<Light>("hall", LightEvent::SwitchedOn {})
///     .then([]);
/// ```
pub trait Policy: Send + Sync + 'static {
    /// The name in ids, in status and in Redis: `[a-z][a-z0-9-]{0,62}`. Never reuse one: a policy
    /// goes on where the one of its name stood.
    const NAME: &'static str;
    /// Where it begins when it is new.
    const START: Start = Start::New;

    /// The aggregates whose events it is told of.
    fn sources(&self) -> Sources;

    /// What follows from this event; nothing, usually.
    fn react(&self, recorded: &Recorded<'_>) -> Vec<Instruction>;
}

/// Where a policy begins that has not run before.
///
/// ```
/// use retell::{Instruction, Policy, Recorded, Sources, Start};
/// # use retell::doc::Light;
///
/// /// Counts lights, those of before it was written, too.
/// struct CountLights;
///
/// impl Policy for CountLights {
///     const NAME: &'static str = "count-lights";
///     const START: Start = Start::Beginning;
///
///     fn sources(&self) -> Sources {
///         Sources::default().and::<Light>()
///     }
///
///     fn react(&self, _: &Recorded<'_>) -> Vec<Instruction> {
///         Vec::new()
///     }
/// }
/// assert_eq!(Start::default(), Start::New);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Start {
    /// With what happens from now on: behind the first claim of a process that runs it.
    #[default]
    New,
    /// With the first event of all.
    Beginning,
}

/// A command, and to whom it goes.
///
/// ```
/// use std::time::Duration;
///
/// use retell::Instruction;
/// # use retell::doc::{Light, LightCommand};
///
/// let now = Instruction::to::<Light>("cellar", &LightCommand::SwitchOff {});
/// let later = now.clone().after(Duration::from_secs(60));
/// assert_ne!(now, later);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Instruction {
    pub(crate) aggregate_type: &'static str,
    pub(crate) id: String,
    /// The command's JSON, or why it has none.
    pub(crate) command: Result<Bytes, String>,
    /// How long after the event it is issued.
    pub(crate) delay: Option<Duration>,
}

impl Instruction {
    /// A command to the aggregate `A` with this id.
    pub fn to<A: Aggregate>(id: impl Into<String>, command: &A::Command) -> Self
    where
        A::Command: Serialize,
    {
        Self { aggregate_type: A::TYPE, id: id.into(), command: to_wire(command), delay: None }
    }

    /// The same, so long after the event that it follows from: a deadline.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self { delay: Some(delay), ..self }
    }
}
