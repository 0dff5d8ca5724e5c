//! Tests of a [`Policy`]: when an event happens, then these commands follow.

use crate::contract::{Aggregate, EventOf, Instruction, Key, Policy, Time};
use crate::events::Metadata;

use super::recorder::Recorder;

/// A test of a policy.
///
/// ```
/// use retell::test::PolicyTest;
/// # use retell::doc::{CellarIsDark, Light, LightEvent};
///
/// PolicyTest::of(CellarIsDark).when::<Light>("hall", LightEvent::SwitchedOn {}).then([]);
/// ```
#[derive(Debug)]
pub struct PolicyTest<P> {
    policy: P,
    recorder: Recorder,
    followed: Vec<Instruction>,
}

impl<P: Policy> PolicyTest<P> {
    /// A test of this policy.
    pub const fn of(policy: P) -> Self {
        Self { policy, recorder: Recorder::new(), followed: Vec::new() }
    }

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

    /// An event happens to the aggregate `A` with this id.
    ///
    /// # Panics
    /// The id is no [`Key`], or the policy is not told of `A`'s events.
    #[must_use]
    pub fn when<A: Aggregate>(mut self, id: &str, event: EventOf<A>) -> Self {
        let is_told = self.policy.sources().iter().any(|it| it.aggregate_type == A::TYPE);
        assert!(is_told, "`{}` has no events of `{}` among its sources", P::NAME, A::TYPE);
        let id = Key::new(id).expect("the id of an aggregate is a key");
        let (policy, followed) = (&self.policy, &mut self.followed);
        self.recorder.record::<A>(&id, &event, |recorded| *followed = policy.react(recorded));
        self
    }

    /// These commands followed from the last event, in this order. More may happen afterwards.
    ///
    /// # Panics
    /// Others did, or one of them has no JSON.
    pub fn then(self, expected: impl IntoIterator<Item = Instruction>) -> Self {
        let expected: Vec<Instruction> = expected.into_iter().collect();
        assert_eq!(self.followed, expected, "what followed, and what should have");
        let without_json = self.followed.iter().find_map(|it| it.command.as_ref().err());
        assert_eq!(without_json, None, "a command has no JSON");
        self
    }
}
