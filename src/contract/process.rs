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
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// It was done.
    Done,
    /// The aggregate refused it.
    Refused(Refusal),
}
