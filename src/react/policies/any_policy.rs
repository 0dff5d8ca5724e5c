//! A policy without its type, and the list of all.

use std::sync::Arc;

use uuid::Uuid;

use crate::contract::{Answer, Instruction, Name, Policy, Process, Recorded, Sources, Start};
use crate::events::CommandId;

/// A policy of any type.
pub(crate) trait AnyPolicy: Send + Sync + 'static {
    /// Its name.
    fn name(&self) -> Name;
    /// Where it begins when it is new.
    fn start(&self) -> Start;
    /// The aggregates whose events it is told of.
    fn sources(&self) -> Sources;
    /// What follows from an event.
    fn react(&self, recorded: &Recorded<'_>) -> Vec<Instruction>;
    /// Whether it is asked about answers.
    fn is_process(&self) -> bool;
    /// What follows from the answer to an instruction.
    fn answered(&self, recorded: &Recorded<'_>, index: usize, answer: &Answer) -> Vec<Instruction>;

    /// The id of an instruction's command, or of one that follows from the answer to it.
    fn command_id(&self, event: Uuid, index: usize, next: Option<usize>) -> CommandId {
        match self.is_process() {
            true => CommandId::of_process(self.name().as_str(), event, index, next),
            false => CommandId::of_policy(self.name().as_str(), event, index),
        }
    }
}

/// A policy with its checked name.
#[derive(Debug)]
pub(crate) struct Registered<P> {
    name: Name,
    policy: P,
}

/// A process with its checked name.
#[derive(Debug)]
pub(crate) struct RegisteredProcess<P> {
    name: Name,
    process: P,
}

/// The policies and processes of an application, each with a name of its own.
#[derive(Clone, Default)]
pub(crate) struct Policies(Vec<Arc<dyn AnyPolicy>>);

impl<P: Policy> Registered<P> {
    /// A policy under its name.
    pub(crate) const fn new(name: Name, policy: P) -> Self {
        Self { name, policy }
    }
}

impl<P: Process> RegisteredProcess<P> {
    /// A process under its name.
    pub(crate) const fn new(name: Name, process: P) -> Self {
        Self { name, process }
    }
}

impl Policies {
    /// Adds one.
    ///
    /// # Errors
    /// There is one of this name.
    pub(crate) fn add(&mut self, policy: Arc<dyn AnyPolicy>) -> Result<(), Name> {
        if self.0.iter().any(|known| known.name() == policy.name()) {
            return Err(policy.name());
        }
        self.0.push(policy);
        Ok(())
    }

    /// Each of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<dyn AnyPolicy>> {
        self.0.iter()
    }
}

impl<P: Policy> AnyPolicy for Registered<P> {
    fn name(&self) -> Name {
        self.name
    }

    fn start(&self) -> Start {
        P::START
    }

    fn sources(&self) -> Sources {
        self.policy.sources()
    }

    fn react(&self, recorded: &Recorded<'_>) -> Vec<Instruction> {
        self.policy.react(recorded)
    }

    fn is_process(&self) -> bool {
        false
    }

    fn answered(&self, _: &Recorded<'_>, _: usize, _: &Answer) -> Vec<Instruction> {
        Vec::new()
    }
}

impl<P: Process> AnyPolicy for RegisteredProcess<P> {
    fn name(&self) -> Name {
        self.name
    }

    fn start(&self) -> Start {
        P::START
    }

    fn sources(&self) -> Sources {
        self.process.sources()
    }

    fn react(&self, recorded: &Recorded<'_>) -> Vec<Instruction> {
        self.process.react(recorded)
    }

    fn is_process(&self) -> bool {
        true
    }

    fn answered(&self, recorded: &Recorded<'_>, index: usize, answer: &Answer) -> Vec<Instruction> {
        self.process.answered(recorded, index, answer)
    }
}
