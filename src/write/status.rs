//! What a writer says about itself: for readiness, for status, and for answers it cannot give.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use schemars::JsonSchema;
use serde::Serialize;

use crate::contract::Offset;
use crate::events::Claim;
use crate::log::{Counters, Term};

/// Where a writer stands with its partition.
///
/// ```
/// use retell::{app::App, write::Ownership};
/// # use retell::doc::Light;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).build().await?;
/// app.ready().await;
/// assert!(app.commands().status().iter().all(|writer| writer.ownership.is_owner()));
/// let waiting = Ownership::Waiting { reason: "no broker answers".to_owned() };
/// assert_eq!(waiting.to_string(), "waiting for the log: no broker answers");
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug, Default, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ownership {
    /// Reading the log from its last known state to its end.
    #[default]
    Recovering,
    /// Its claim is on the way.
    Claiming,
    /// It writes.
    Owner {
        /// Its term.
        term: Term,
    },
    /// Another process claimed the partition; this one only follows.
    Deposed {
        /// The other's term.
        term: Term,
        /// The other's node, as far as its claim can be read.
        by: String,
        /// The same in parts.
        #[serde(skip)]
        owner: Option<OwnerNode>,
    },
    /// The log does not answer.
    Waiting {
        /// What it said last.
        reason: String,
    },
    /// The view store does not answer, and the log is too long to be read without it.
    WaitingForStates {
        /// What it said last.
        reason: String,
    },
    /// The log is not one that this process may write.
    Refused {
        /// Why.
        reason: String,
    },
    /// The process is going down.
    Stopped,
}

/// The node that decides the commands of a partition.
///
/// ```
/// use retell::{log::Term, write::{OwnerNode, Ownership}};
///
/// /// Where another node takes the commands that this one does not.
/// fn elsewhere(ownership: &Ownership) -> Option<&str> {
///     match ownership {
///         Ownership::Deposed { owner, .. } => Some(&owner.as_ref()?.address),
///         _ => None,
///     }
/// }
/// let owner = Some(OwnerNode { node: "b".to_owned(), address: "http://b:8080".to_owned() });
/// let deposed = Ownership::Deposed { term: Term(4), by: "node b".to_owned(), owner };
/// assert_eq!(elsewhere(&deposed), Some("http://b:8080"));
/// ```
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct OwnerNode {
    /// Its name.
    pub node: String,
    /// Where other nodes reach it.
    pub address: String,
}

/// A writer's state at a moment.
///
/// ```
/// use retell::{app::App, log::Term};
/// # use retell::doc::Light;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).build().await?;
/// app.ready().await;
/// // There is one for each partition.
/// for writer in app.commands().status() {
///     let json = serde_json::to_value(&writer)?;
///     assert_eq!((&json["state"], &json["term"], writer.alarms), (&"owner".into(), &1.into(), 0));
/// }
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
pub struct WriterStatus {
    /// Where it stands with its partition.
    #[serde(flatten)]
    pub ownership: Ownership,
    /// The offset after the last record that it has folded.
    pub next: Offset,
    /// Records that it has read or written since it started.
    pub records: Counters,
    /// Aggregates that it holds in memory.
    pub aggregates: usize,
    /// Aggregates whose history it cannot read.
    pub unreadable: usize,
    /// Outcomes of commands whose id may come again, that it can find.
    pub outcomes: usize,
    /// Of these, the ones that are held as they are, and not by a filter.
    pub exact_outcomes: usize,
    /// Commands whose aggregate was in memory, since the process started.
    pub hits: u64,
    /// Aggregates that had to be read from the state space, since the process started.
    pub misses: u64,
    /// The offset up to which states are stored.
    pub stored: Offset,
    /// Offsets that the stored states are behind: what a restart has to read.
    pub behind: u64,
    /// Why states are not stored at the moment, if so.
    pub problem: Option<String>,
    /// Records in flight.
    pub in_flight: usize,
    /// Alarms: records with a right stamp that no writer of ours can have sent.
    pub alarms: u64,
}

/// The writer's side and the readers' side of a status.
#[derive(Clone, Debug, Default)]
pub(super) struct StatusCell(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    status: Mutex<WriterStatus>,
    /// Apart, because every command asks.
    is_owner: AtomicBool,
}

impl StatusCell {
    pub(super) fn get(&self) -> WriterStatus {
        self.0.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn is_owner(&self) -> bool {
        self.0.is_owner.load(Ordering::Acquire)
    }

    pub(super) fn set_ownership(&self, ownership: Ownership) {
        let is_owner = ownership.is_owner();
        self.update(|status| status.ownership = ownership);
        self.0.is_owner.store(is_owner, Ordering::Release);
    }

    pub(super) fn update(&self, update: impl FnOnce(&mut WriterStatus)) {
        update(&mut self.0.status.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl OwnerNode {
    /// As its claim says.
    pub(super) fn of(claim: &Claim) -> Self {
        Self { node: claim.node.clone(), address: claim.address.clone() }
    }
}

impl Ownership {
    /// Whether commands are decided here now.
    #[must_use]
    pub const fn is_owner(&self) -> bool {
        matches!(self, Self::Owner { .. })
    }
}

impl std::fmt::Display for Ownership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Recovering => f.write_str("reading the log"),
            Self::Claiming => f.write_str("claiming the partition"),
            Self::Owner { term } => write!(f, "owner in term {term}"),
            Self::Deposed { term, by, .. } => write!(f, "deposed: {by} claimed term {term}"),
            Self::Waiting { reason } => write!(f, "waiting for the log: {reason}"),
            Self::WaitingForStates { reason } => write!(f, "waiting for its states: {reason}"),
            Self::Refused { reason } => write!(f, "refused: {reason}"),
            Self::Stopped => f.write_str("shutting down"),
        }
    }
}
