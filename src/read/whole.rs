//! A record that counts, as projections see it that fold records and not events.

use crate::contract::{Recorded, Version};
use crate::events::Commit;
use crate::log::{Chain, Stamp, Term};

/// What such a projection knows beyond [`Recorded`]; it stands in the place of the event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole {
    pub(super) term: Term,
    pub(super) chain: Chain,
    pub(super) first_version: Version,
    /// How many events the record has.
    pub(super) events: u64,
}

impl Whole {
    /// Of a record that counts.
    pub(super) fn of(stamp: Stamp, commit: &Commit<'_>) -> Self {
        let (term, chain) = match stamp {
            Stamp::Commit { term, chain } => (term, chain),
            Stamp::Claim { .. } | Stamp::Foreign(_) => Default::default(),
        };
        let (first_version, events) = (commit.first_version, commit.events.len() as u64);
        Self { term, chain, first_version, events }
    }

    /// What stands in the place of the event.
    pub(super) fn in_place(recorded: &Recorded<'_>) -> Self {
        *recorded.event.downcast_ref().expect("a step of a projection that reads records")
    }

    /// The aggregate's version after the record.
    pub(super) const fn last_version(&self) -> Version {
        Version(self.first_version.0.saturating_sub(1).saturating_add(self.events))
    }
}
