//! The queue of one partition's writer, as senders see it.

use tokio::sync::mpsc;

use crate::contract::Partition;

use super::failure::Failure;
use super::status::{Ownership, StatusCell};
use super::ticket::Ticket;

/// Where commands for one partition go.
pub(super) struct Queue {
    pub(super) tickets: mpsc::Sender<Ticket>,
    pub(super) status: StatusCell,
}

impl Queue {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.tickets.max_capacity() - self.tickets.capacity()
    }

    /// Turns a command away at once when its writer cannot take it soon.
    pub(super) fn check(&self, partition: Partition) -> Result<(), Failure> {
        if self.status.is_owner() {
            return Ok(());
        }
        match self.status.get().ownership {
            Ownership::Owner { .. } | Ownership::Recovering | Ownership::Claiming => Ok(()),
            _ => Err(self.closed(partition)),
        }
    }

    pub(super) fn closed(&self, partition: Partition) -> Failure {
        match self.status.get().ownership {
            Ownership::Waiting { reason } | Ownership::Refused { reason } => {
                Failure::LogUnavailable(reason)
            }
            Ownership::WaitingForStates { reason } => Failure::StateUnavailable(reason),
            Ownership::Stopped => Failure::ShuttingDown,
            other => Failure::NoOwner { partition: partition.0, detail: other.to_string() },
        }
    }

    /// Why a command was still in the queue when its time was over.
    pub(super) fn too_late(&self, partition: Partition) -> Failure {
        match self.status.get().ownership {
            Ownership::Owner { .. } => Failure::QueueFull { partition: partition.0 },
            _ => self.closed(partition),
        }
    }
}
