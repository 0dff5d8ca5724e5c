//! Processes: policies that also hear what became of the commands that they issued.

use super::{Instruction, Recorded, Refusal, Sources, Start};

/// Something that takes several steps over several aggregates: a process manager.
///
/// What it knows is the state of an aggregate of its own: a transfer of money, say, which is told
/// of each step by a command and decides on the next one by its event. So its state is in the log,
/// is there after a crash and an emptied store, and can be shown by a view. The process itself is
/// pure, as a [`Policy`](super::Policy) is: `react` says which commands follow from an event, and
/// `answered` which follow from the answer to one of them. Each is issued once, under an id that
/// begins with `process:`.
///
/// A deadline is a command that follows later: [`Instruction::after`]. It is kept in the view
/// store, beside how far the process is, and survives restarts; whether it still matters then
/// decides the aggregate that it goes to. `examples/transfer.rs` is a whole one.
///
/// ```
/// use retell::test::ProcessTest;
/// use retell::{Answer, Instruction, Process, Recorded, Refusal, Sources};
/// # use retell::doc::{Light, LightCommand, LightEvent};
///
/// /// The light of the stairs follows that of the hall; if it is on already, it is left alone.
/// struct Stairs;
///
/// impl Process for Stairs {
///     const NAME: &'static str = "stairs";
///
///     fn sources(&self) -> Sources {
///         Sources::default().and::<Light>()
///     }
///
///     fn react(&self, recorded: &Recorded<'_>) -> Vec<Instruction> {
///         match (recorded.id(), recorded.event::<Light>()) {
///             ("hall", Some(LightEvent::SwitchedOn {})) => {
///                 vec![Instruction::to::<Light>("stairs", &LightCommand::SwitchOn {})]
///             }
///             _ => Vec::new(),
///         }
///     }
///
///     fn answered(&self, _: &Recorded<'_>, _: usize, _: &Answer) -> Vec<Instruction> {
///         Vec::new()
///     }
/// }
///
/// ProcessTest::of(Stairs)
///     .when::<Light>("hall", LightEvent::SwitchedOn {})
///     .then([Instruction::to::<Light>("stairs", &LightCommand::SwitchOn {})])
///     .answered(0, Answer::Refused(Refusal::new("is_on", "the light is on")))
///     .then([]);
/// ```
pub trait Process: Send + Sync + 'static {
    /// The name in ids, in status and in Redis: `[a-z][a-z0-9-]{0,62}`. No policy has the same.
    const NAME: &'static str;
    /// Where it begins when it is new.
    const START: Start = Start::New;

    /// The aggregates whose events it is told of.
    fn sources(&self) -> Sources;

    /// What follows from this event.
    fn react(&self, recorded: &Recorded<'_>) -> Vec<Instruction>;

    /// What follows from the answer to an instruction that followed from this event: the one at
    /// `index`, counted from 0. Nobody is asked about the answers to those.
    fn answered(&self, recorded: &Recorded<'_>, index: usize, answer: &Answer) -> Vec<Instruction>;
}

/// What became of a command.
///
/// ```
/// use retell::{Answer, Refusal};
///
/// let answer = Answer::Refused(Refusal::new("insufficient_funds", "the balance is 5"));
/// assert!(matches!(&answer, Answer::Refused(refusal) if refusal.code == "insufficient_funds"));
/// assert_ne!(answer, Answer::Done);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// It was done.
    Done,
    /// The aggregate refused it.
    Refused(Refusal),
}
