//! Tests of a [`Process`]: when an event happens, or a command is answered, then these follow.

use std::fmt;

use crate::contract::{Aggregate, Answer, EventOf, Instruction, Key, Process, Time};

use super::recorder::Recorder;

type Asked<P> = Box<dyn Fn(&P, usize, &Answer) -> Vec<Instruction>>;

/// A test of a process.
///
/// ```
/// use retell::test::ProcessTest;
/// use retell::{Answer, Refusal};
/// # use retell::doc::{Light, LightEvent, OneLight};
///
/// ProcessTest::of(OneLight)
///     .when::<Light>("hall", LightEvent::SwitchedOff {})
///     .then([])
///     .answered(0, Answer::Refused(Refusal::new("is_on", "the light is on")))
///     .then([]);
/// ```
pub struct ProcessTest<P> {
    process: P,
    recorder: Recorder,
    /// Asks about answers to what followed from the last event.
    last: Option<Asked<P>>,
    followed: Vec<Instruction>,
}

impl<P: Process> ProcessTest<P> {
    /// A test of this process.
    pub fn of(process: P) -> Self {
        Self { process, recorder: Recorder::new(), last: None, followed: Vec::new() }
    }

    /// The next event happens at this time, instead of a second after the one before.
    #[must_use]
    pub fn at(mut self, time: Time) -> Self {
        self.recorder.set_time(time);
        self
    }

    /// An event happens to the aggregate `A` with this id.
    ///
    /// # Panics
    /// The id is no [`Key`], or the process is not told of `A`'s events.
    #[must_use]
    pub fn when<A: Aggregate>(mut self, id: &str, event: EventOf<A>) -> Self {
        let is_told = self.process.sources().iter().any(|it| it.aggregate_type == A::TYPE);
        assert!(is_told, "`{}` has no events of `{}` among its sources", P::NAME, A::TYPE);
        let id = Key::new(id).expect("the id of an aggregate is a key");
        let before = self.recorder.clone();
        let (process, followed) = (&self.process, &mut self.followed);
        self.recorder.record::<A>(&id, &event, |recorded| *followed = process.react(recorded));
        self.last = Some(Box::new(move |process, index, answer| {
            let mut followed = Vec::new();
            before.clone().record::<A>(&id, &event, |recorded| {
                followed = process.answered(recorded, index, answer);
            });
            followed
        }));
        self
    }

    /// The instruction at `index`, counted from 0, that followed from the last event is answered.
    ///
    /// # Panics
    /// Nothing happened before.
    #[must_use]
    pub fn answered(mut self, index: usize, answer: Answer) -> Self {
        let last = self.last.as_ref().expect("something happened before");
        self.followed = last(&self.process, index, &answer);
        self
    }

    /// These commands followed, in this order. More may happen afterwards.
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

impl<P> fmt::Debug for ProcessTest<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessTest").field("followed", &self.followed).finish_non_exhaustive()
    }
}
