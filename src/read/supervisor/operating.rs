//! What an operator does with the projection: pause, resume, roll back.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::contract::Offset;
use crate::ports::Pointer;

use super::super::operations::OperationError;
use super::super::requests::Operation;
use super::{Supervisor, Unable};

/// How often a pointer that others change meanwhile is tried.
const ATTEMPTS_MAX: u32 = 10;

/// How long the generation before may take to come to where the live one was.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(10);

impl Supervisor {
    pub(super) async fn operate(&mut self, operation: Operation) -> Result<(), OperationError> {
        for _ in 0..ATTEMPTS_MAX {
            let pointer = self.pointer().await?;
            let new = match operation {
                Operation::Pause => Pointer { paused: true, ..pointer.clone() },
                Operation::Resume => Pointer { paused: false, ..pointer.clone() },
                Operation::RollBack => self.rolled_back(&pointer).await?,
            };
            if new == pointer || self.set(&pointer, &new).await? {
                self.follow(&new).await;
                if operation == Operation::RollBack {
                    self.hide_from_readers(&pointer).await?;
                }
                return Ok(());
            }
        }
        Err(OperationError::Busy)
    }

    /// The pointer after a rollback, once the generation before has come to where the live one
    /// is: nobody goes back in time by it.
    async fn rolled_back(&self, pointer: &Pointer) -> Result<Pointer, OperationError> {
        let (Some(live), Some(previous)) = (pointer.live, pointer.previous) else {
            return Err(OperationError::NothingBefore);
        };
        // A live one that was lost has nothing that anybody could have read.
        let floor = self.nexts_of(live).await?;
        let begun = Instant::now();
        loop {
            let Some(nexts) = self.nexts_of(previous).await? else {
                return Err(OperationError::NothingBefore);
            };
            let floor = floor.as_ref().unwrap_or(&nexts);
            let Some(behind) = behind(&nexts, floor) else {
                let now = self.shared.ids.now();
                return Ok(pointer.rolled_back(self.by_partition(floor), now));
            };
            if begun.elapsed() >= PATIENCE {
                return Err(OperationError::Behind(behind));
            }
            sleep(LOOK).await;
        }
    }

    /// Takes the checkpoints from what was live: a node that has not heard of the rollback finds
    /// none, and reads the pointer again.
    async fn hide_from_readers(&self, before: &Pointer) -> Result<(), OperationError> {
        for space in before.live.map(|live| self.spaces(live)).unwrap_or_default() {
            self.shared.store.drop_space(&space, 1).await?;
        }
        Ok(())
    }
}

fn behind(nexts: &[Offset], floor: &[Offset]) -> Option<String> {
    let mut partitions = (0..).zip(nexts.iter().zip(floor));
    let (partition, (at, floor)) = partitions.find(|(_, (at, floor))| at < floor)?;
    Some(format!("partition {partition} is at {at}, the live one at {floor}"))
}

impl From<Unable> for OperationError {
    fn from(unable: Unable) -> Self {
        match unable {
            Unable::Store(error) => Self::Store(error),
            Unable::Log(error) => Self::Behind(error.to_string()),
        }
    }
}
