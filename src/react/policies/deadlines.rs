//! What follows later: commands that wait in the space until they are due.
//!
//! They are put there before the checkpoint passes the event that they follow from, and leave when
//! they have an outcome. One that is put or issued again has the same id, so that is harmless.
//! Two indexes have them: by the time at which they are due, and by the record that they follow
//! from, because a bookmark must stay behind the first of these.

use std::ops::Bound;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use crate::contract::{Key, Time, Version};
use crate::events::{CommandId, Metadata};
use crate::log::Checkpoint;
use crate::ports::{Change, Commit, KEY_INDEX, Listed, RangeQuery, SpaceState, StoreError};

use super::chunk::Entry;
use super::follows::Command;
use super::runner::{Halt, Runner};

/// The index by time.
const BY_TIME: &str = "due";
/// The index by record.
const BY_RECORD: &str = "after";
/// Those that are put, or issued, at once.
const AT_ONCE: usize = 64;
/// Bytes of those that are read at once, about.
const BYTES_MAX: usize = 1 << 20;

/// A command that waits, as it is stored.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Deadline {
    aggregate_type: String,
    id: String,
    command: String,
    command_id: String,
    correlation_id: Option<String>,
    causation_id: Option<String>,
    /// When the log took the event.
    since: Time,
    due: Time,
    /// Where a reader stands before the event's record.
    before: Checkpoint,
}

impl Deadline {
    /// Those among what follows from an entry.
    pub(super) fn of(entry: &Entry) -> impl Iterator<Item = Self> + '_ {
        let commands = entry.follows.iter().flatten();
        commands.filter_map(|command| Self::of_command(command, entry.before))
    }

    fn of_command(command: &Command, before: Checkpoint) -> Option<Self> {
        Some(Self {
            aggregate_type: command.aggregate_type.clone(),
            id: command.id.as_str().to_owned(),
            command: String::from_utf8_lossy(&command.json).into_owned(),
            command_id: command.command_id.as_str().to_owned(),
            correlation_id: command.metadata.correlation_id.clone(),
            causation_id: command.metadata.causation_id.clone(),
            since: command.since,
            due: command.due?,
            before,
        })
    }

    fn command(&self) -> Option<Command> {
        let metadata = Metadata {
            correlation_id: self.correlation_id.clone(),
            causation_id: self.causation_id.clone(),
            ..Metadata::default()
        };
        Some(Command {
            aggregate_type: self.aggregate_type.clone(),
            id: Key::new(&self.id).ok()?,
            json: self.command.clone().into(),
            command_id: CommandId::known(&self.command_id),
            metadata,
            event: 0,
            index: 0,
            version: Version::NONE,
            since: self.since,
            due: Some(self.due),
        })
    }

    fn key(&self) -> String {
        format!("deadline:{}", self.command_id)
    }

    fn members(&self) -> [(&'static str, Bytes); 3] {
        let key = self.key();
        let ordered = |number: u64| [&number.to_be_bytes()[..], &[0], key.as_bytes()].concat();
        let due = u64::try_from(self.due.millis()).unwrap_or(0);
        [
            (BY_TIME, ordered(due).into()),
            (BY_RECORD, ordered(self.before.next.0).into()),
            (KEY_INDEX, key.into()),
        ]
    }

    fn put(&self, changes: &mut Vec<Change>) {
        let value = serde_json::to_vec(self).expect("it has string keys only").into();
        changes.push(Change::Put { key: self.key(), value, expires_in: None });
        let members = self.members().into_iter();
        changes.extend(
            members.map(|(index, member)| Change::IndexPut { index: index.to_owned(), member }),
        );
    }

    fn remove(&self, changes: &mut Vec<Change>) {
        changes.push(Change::Delete { key: self.key() });
        let members = self.members().into_iter();
        changes.extend(
            members.map(|(index, member)| Change::IndexDelete { index: index.to_owned(), member }),
        );
    }
}

impl Runner {
    /// Puts what follows later into the space. The checkpoint stays where it is; where there is
    /// none yet, it is `first`, before which there is nothing.
    pub(super) async fn put_off(
        &mut self,
        first: Checkpoint,
        deadlines: Vec<Deadline>,
    ) -> Result<(), Halt> {
        for some in deadlines.chunks(AT_ONCE) {
            let mut changes = Vec::new();
            some.iter().for_each(|deadline| deadline.put(&mut changes));
            let new = match &self.state {
                SpaceState::Empty => SpaceState::At(first),
                state => state.clone(),
            };
            self.change(new, &changes).await?;
            let due = some.iter().map(|deadline| deadline.due).min();
            self.next_due = self.next_due.into_iter().chain(due).min();
        }
        Ok(())
    }

    /// How long until the first is due, if one waits.
    pub(super) fn deadline_in(&self) -> Option<Duration> {
        Some(Duration::from_millis(self.next_due?.millis_since(self.parts.ids.now())))
    }

    /// Issues those that are due, some at a time.
    pub(super) async fn meet_deadlines(&mut self) -> Result<(), Halt> {
        let now = u64::try_from(self.parts.ids.now().millis()).unwrap_or(0);
        let to = Bound::Excluded(Bytes::copy_from_slice(&(now + 1).to_be_bytes()));
        let due = self.deadlines(BY_TIME, to, AT_ONCE).await?;
        let issuer = self.parts.issuer.clone();
        let issued = join_all(due.iter().map(|deadline| async {
            let Some(command) = deadline.command() else { return Ok(()) };
            issuer.command(&command).await.map(drop)
        }));
        let mut changes = Vec::new();
        let again = self.parts.ids.now().after(self.parts.config.retry_delay_max);
        for (deadline, issued) in due.iter().zip(issued.await) {
            deadline.remove(&mut changes);
            if let Err(error) = issued {
                tracing::error!(policy = self.name, error, "a deadline is tried again later");
                let later = Deadline { due: again, ..deadline.clone() };
                later.put(&mut changes);
            }
        }
        if !changes.is_empty() {
            self.change(self.state.clone(), &changes).await?;
        }
        self.find_next_due().await
    }

    /// Finds out when the next one is due.
    pub(super) async fn find_next_due(&mut self) -> Result<(), Halt> {
        let first = self.deadlines(BY_TIME, Bound::Unbounded, 1).await?;
        self.next_due = first.first().map(|deadline| deadline.due);
        Ok(())
    }

    /// Where a reader stands before the first record from which something follows later.
    pub(super) async fn first_put_off(&mut self) -> Result<Option<Checkpoint>, Halt> {
        if self.next_due.is_none() {
            return Ok(None);
        }
        let first = self.deadlines(BY_RECORD, Bound::Unbounded, 1).await?;
        Ok(first.first().map(|deadline| deadline.before))
    }

    async fn deadlines(
        &mut self,
        index: &str,
        to: Bound<Bytes>,
        limit: usize,
    ) -> Result<Vec<Deadline>, Halt> {
        let (index, from, descending) = (index.to_owned(), Bound::Unbounded, false);
        let query = RangeQuery { index, from, to, limit, descending };
        let (state, listed) = self.parts.store.page(&self.space, &query, BYTES_MAX).await?;
        if state != self.state {
            return Err(self.moved(state));
        }
        let values = listed.into_iter().filter_map(|Listed { value, .. }| value);
        let torn = |error: serde_json::Error| StoreError::Torn {
            space: self.space.to_string(),
            detail: format!("a deadline: {error}"),
        };
        let read = values.map(|value| serde_json::from_slice(&value).map_err(torn));
        Ok(read.collect::<Result<_, _>>()?)
    }

    /// The only write to the space.
    pub(super) async fn change(&mut self, new: SpaceState, changes: &[Change]) -> Result<(), Halt> {
        match self.parts.store.commit(&self.space, &self.state, &new, changes).await? {
            Commit::Committed => {
                self.state = new;
                Ok(())
            }
            Commit::Stale(found) => Err(self.moved(found)),
        }
    }
}
