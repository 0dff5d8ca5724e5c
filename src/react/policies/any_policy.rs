//! A policy without its type, and the list of all.

use std::sync::Arc;

use crate::contract::{Instruction, Name, Policy, Recorded, Sources, Start};

/// A policy of any type.
pub trait AnyPolicy: Send + Sync + 'static {
    /// Its name.
    fn name(&self) -> Name;
    /// Where it begins when it is new.
    fn start(&self) -> Start;
    /// The aggregates whose events it is told of.
    fn sources(&self) -> Sources;
    /// What follows from an event.
    fn react(&self, recorded: &Recorded<'_>) -> Vec<Instruction>;
}

/// A policy with its checked name.
#[derive(Debug)]
pub struct Registered<P> {
    name: Name,
    policy: P,
}

/// The policies of an application, each with a name of its own.
#[derive(Clone, Default)]
pub struct Policies(Vec<Arc<dyn AnyPolicy>>);

impl<P: Policy> Registered<P> {
    /// A policy under its name.
    pub const fn new(name: Name, policy: P) -> Self {
        Self { name, policy }
    }
}

impl Policies {
    /// Adds one.
    ///
    /// # Errors
    /// There is one of this name.
    pub fn add(&mut self, policy: Arc<dyn AnyPolicy>) -> Result<(), Name> {
        if self.0.iter().any(|known| known.name() == policy.name()) {
            return Err(policy.name());
        }
        self.0.push(policy);
        Ok(())
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn AnyPolicy>> {
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
}
